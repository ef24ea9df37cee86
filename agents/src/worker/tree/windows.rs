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
pub(in crate::worker) struct Tree {
    child: Arc<Mutex<Box<dyn ChildWrapper>>>,
    /// Ends the watch when dropped.
    watch: Mutex<Option<Sender<()>>>,
}

impl Tree {
    /// Starts `command` in a new job, with three pipes.
    pub(in crate::worker) fn spawn(mut command: Command) -> io::Result<(Self, Pipes)> {
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
    pub(in crate::worker) fn leader(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Tells when the child ended, from a thread of its own.
    pub(in crate::worker) fn watch(&self, tell: impl Fn(Life) + Send + 'static) -> io::Result<()> {
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

    /// Kills whatever is left of the job.
    pub(in crate::worker) fn kill(&self) {
        // It fails when nothing is left to kill, which is what was wanted.
        lock(&self.child).start_kill().ok();
    }

    /// Kills the rest of the job and collects the child, which has ended or is about to.
    pub(in crate::worker) fn collect(self) -> io::Result<ExitStatus> {
        let ended = lock(&self.child).try_wait()?;
        self.kill();
        match ended {
            Some(status) => Ok(status),
            None => lock(&self.child).wait(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.kill();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
