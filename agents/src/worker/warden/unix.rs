//! A second process. It ends what its worker started once the pipe between them closes.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::worker::lock;

/// A warden at work. Dropping it lets it kill what is left, and waits for that.
pub(in crate::worker) struct Warden {
    process: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Warden {
    /// Starts `command`, which must call [`keep_watch`] on its standard input.
    pub(in crate::worker) fn start(command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("the warden has no program"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("PHISYNC_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Ctrl-C in the worker's terminal is not for it.
        command.process_group(0);
        let mut process = command.spawn()?;
        let pipe = Mutex::new(process.stdin.take());
        Ok(Self { process, pipe })
    }

    /// Has the group led by `leader` killed should the worker die, until the guard is dropped.
    pub(in crate::worker) fn guard(&self, leader: u32) -> Guarded<'_> {
        self.tell(&format!("+{leader}\n"));
        Guarded {
            warden: self,
            leader,
        }
    }

    fn tell(&self, line: &str) {
        if let Some(pipe) = &mut *lock(&self.pipe)
            && let Err(cause) = pipe.write_all(line.as_bytes())
        {
            tracing::warn!(%cause, "the warden is gone: a kill of this worker would leave commands behind");
        }
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        drop(lock(&self.pipe).take());
        // Only so that no zombie stays.
        self.process.wait().ok();
    }
}

/// A group that the warden knows of.
pub(in crate::worker) struct Guarded<'a> {
    warden: &'a Warden,
    leader: u32,
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        self.warden.tell(&format!("-{}\n", self.leader));
    }
}

/// What a warden does: reads which groups there are until the end of `input`, then kills those left.
pub fn keep_watch(input: impl BufRead) {
    let mut groups = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        // A worker that dies in the middle of a line leaves a piece of it.
        let mut chars = line.chars();
        match (chars.next(), chars.as_str().parse::<i32>()) {
            (Some('+'), Ok(leader)) => groups.insert(leader),
            (Some('-'), Ok(leader)) => groups.remove(&leader),
            _ => continue,
        };
    }
    groups.into_iter().for_each(kill);
}

fn kill(leader: i32) {
    // It fails when the group is gone, which is what was wanted.
    if let Some(leader) = Pid::from_raw(leader) {
        kill_process_group(leader, Signal::KILL).ok();
    }
}
