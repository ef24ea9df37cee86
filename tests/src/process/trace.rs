//! Who did what: lines that the commands of agents append to a file, and the processes named there.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::project::Project;
use super::wait::eventually;

/// A file that commands append lines to: words, the last one a process id where one is meant.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    /// The trace at `relative` in `project`; it need not be there yet.
    #[must_use]
    pub fn of(project: &Project, relative: &str) -> Self {
        Self {
            path: project.path(relative),
        }
    }

    /// All whole lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole.map(|line| line.trim_end().to_owned()).collect()
    }

    /// The first line that begins with `words`, once it is there.
    #[must_use]
    pub fn line(&self, words: &str) -> String {
        eventually(&format!("`{words}` in the trace"), || {
            self.lines()
                .into_iter()
                .find(|line| line.starts_with(words))
        })
    }

    /// The process that wrote the line beginning with `words`, once it is there.
    ///
    /// # Panics
    /// When the line does not end with a process id.
    #[must_use]
    pub fn pid(&self, words: &str) -> Pid {
        let line = self.line(words);
        let last = line.rsplit(' ').next().and_then(|last| last.parse().ok());
        last.and_then(Pid::from_raw)
            .expect("the line ends with a process id")
    }

    /// Whether a line begins with `words`.
    #[must_use]
    pub fn has(&self, words: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(words))
    }
}

/// Whether the process is there, dead ones that nobody asked about included.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// Whether the process still does anything. Where the system does not tell, one that has ended and that
/// nobody asked about counts as running.
#[must_use]
pub fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // After the name, which may hold anything, stands the state.
    let state = stat.as_deref().unwrap_or_default().rsplit(") ").next();
    is_alive(pid) && !state.is_some_and(|state| state.starts_with('Z'))
}

/// Sends `signal` to a process that must be there.
///
/// # Panics
/// When it is not.
pub fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("the process is there");
}

/// Lets a stopped process go on, if it is there.
pub fn resume(pid: Pid) {
    kill_process(pid, Signal::CONT).ok();
}
