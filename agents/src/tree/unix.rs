//! Process groups.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{Life, Pipes};

/// A running child that leads its group; killed and collected when dropped.
#[derive(Debug)]
pub struct Tree {
    child: Child,
    leads: bool,
    collected: bool,
}

impl Tree {
    /// Starts `command` as the leader of a new group, with three pipes.
    ///
    /// # Errors
    /// The system's.
    pub fn spawn(mut command: Command) -> io::Result<(Self, Pipes)> {
        command.process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let tree = Self {
            child,
            leads: true,
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

    /// The number of the leader, and of the group.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.child.id()
    }

    /// Starts `command` with streams as it says; as the leader of a new group, or in ours.
    ///
    /// # Errors
    /// The system's.
    pub fn share(mut command: Command, leads: bool) -> io::Result<Self> {
        if leads {
            command.process_group(0);
        }
        Ok(Self {
            child: command.spawn()?,
            leads,
            collected: false,
        })
    }

    /// Tells what becomes of the child, from a thread of its own, until it ended.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn watch(&self, tell: impl Fn(Life) + Send + 'static) -> io::Result<()> {
        let leader = Pid::from_child(&self.child);
        let watch = move || {
            loop {
                let life = next(leader);
                tell(life);
                if life == Life::Ended {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(watch)?;
        Ok(())
    }

    /// Asks the group to end.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills whatever is left of the group.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let leader = Pid::from_child(&self.child);
        // It fails when nothing is left to be told, which is what was wanted.
        match self.leads {
            true => kill_process_group(leader, signal).ok(),
            false => kill_process(leader, signal).ok(),
        };
    }

    /// Kills the rest of the group and collects the child, which has ended or is about to.
    ///
    /// # Errors
    /// The system's.
    pub fn collect(self) -> io::Result<ExitStatus> {
        self.kill();
        self.wait()
    }

    /// Collects the child; what it left running goes on.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.collected = true;
        self.child.wait()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.collected {
            self.kill();
            // Only so that no zombie stays: what it ended with interests nobody.
            self.child.wait().ok();
        }
    }
}

/// Waits for the next change of the leader's life without collecting it.
fn next(leader: Pid) -> Life {
    let stops = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED;
    loop {
        let peek = WaitIdOptions::EXITED | stops | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::Pid(leader), peek) {
            Ok(Some(status)) => status,
            Err(Errno::INTR) | Ok(None) => continue,
            // Collected already.
            Err(_) => return Life::Ended,
        };
        let life = if status.stopped() || status.trapped() {
            Life::Stopped
        } else if status.continued() {
            Life::Continued
        } else {
            return Life::Ended;
        };
        // The peek left the news in place: take it, or the next peek finds it again. It may have
        // changed meanwhile, so what is taken counts.
        match waitid(WaitId::Pid(leader), stops | WaitIdOptions::NOHANG) {
            Ok(Some(taken)) if taken.continued() => return Life::Continued,
            Ok(Some(taken)) if taken.stopped() => return Life::Stopped,
            Ok(_) => return life,
            Err(_) => {}
        }
    }
}
