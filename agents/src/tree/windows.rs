//! Job objects.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use process_wrap::std::{ChildWrapper, CommandWrap, JobObject};

use super::{Life, Pipes};

/// How often an end is looked for: a job cannot be waited for while it may have to be killed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running child in its job; killed and collected when dropped.
pub struct Tree {
    child: Arc<Mutex<Box<dyn ChildWrapper>>>,
    /// Ends the watch when dropped.
    watch: Mutex<Option<Sender<()>>>,
    collected: bool,
}

impl Tree {
    /// Starts `command` in a new job, with three pipes.
    ///
    /// # Errors
    /// The system's.
    pub fn spawn(mut command: Command) -> io::Result<(Self, Pipes)> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = CommandWrap::from(command).wrap(JobObject).spawn()?;
        let pipes = (
            child.stdin().take(),
            child.stdout().take(),
            child.stderr().take(),
        );
        let tree = Self {
            child: Arc::new(Mutex::new(child)),
            watch: Mutex::new(None),
            collected: false,
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("a pipe of the child is missing"));
        };
        let pipes = Pipes {
            stdin,
            stdout,
            stderr,
        };
        Ok((tree, pipes))
    }

    /// The number of the child.
    #[must_use]
    pub fn leader(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Starts `command` in a new job, with streams as it says. A job may read from the console.
    ///
    /// # Errors
    /// The system's.
    pub fn share(command: Command, _leads: bool) -> io::Result<Self> {
        let child = CommandWrap::from(command).wrap(JobObject).spawn()?;
        Ok(Self {
            child: Arc::new(Mutex::new(child)),
            watch: Mutex::new(None),
            collected: false,
        })
    }

    /// Tells when the child ended, from a thread of its own.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn watch(&self, tell: impl Fn(Life) + Send + 'static) -> io::Result<()> {
        let (end, ended) = mpsc::channel::<()>();
        let child = Arc::clone(&self.child);
        let watch = move || {
            while matches!(lock(&child).try_wait(), Ok(None)) {
                if ended.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            tell(Life::Ended);
        };
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(watch)?;
        *lock(&self.watch) = Some(end);
        Ok(())
    }

    /// A job cannot be asked: who shares our console has heard of it already.
    pub fn ask_to_end(&self) {}

    /// Kills whatever is left of the job.
    pub fn kill(&self) {
        // It fails when nothing is left to kill, which is what was wanted.
        lock(&self.child).start_kill().ok();
    }

    /// Kills the rest of the job and collects the child, which has ended or is about to.
    ///
    /// # Errors
    /// The system's.
    pub fn collect(self) -> io::Result<ExitStatus> {
        let ended = lock(&self.child).try_wait()?;
        self.kill();
        match ended {
            Some(status) => Ok(status),
            None => lock(&self.child).wait(),
        }
    }

    /// Collects the child, which has ended; what it left running goes on.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.collected = true;
        let ended = lock(&self.child).try_wait()?;
        match ended {
            Some(status) => Ok(status),
            None => lock(&self.child).wait(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.collected {
            self.kill();
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
