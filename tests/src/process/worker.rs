//! `phisync agent work` as a process.

use std::process::Command;

use rustix::process::Signal;

use super::child::{Child, Finished};
use super::project::Project;

/// A worker that has begun to ask for tasks. Killed when this goes; a command that it runs then may
/// live on, as after any `kill -9`.
#[derive(Debug)]
pub struct Worker {
    /// The process.
    pub process: Child,
}

impl Worker {
    /// Works as `name` with `options`, each task with `sh -c script`.
    #[must_use]
    pub fn start(project: &Project, name: &str, options: &[&str], script: &str) -> Self {
        let mut args = vec!["agent", "work", "--as", name];
        args.extend(options);
        args.extend(["--", "sh", "-c", script]);
        Self::spawn(project.command(&args))
    }

    /// Starts a whole command line of `agent work`.
    #[must_use]
    pub fn spawn(command: Command) -> Self {
        let process = Child::start(command, b"");
        let _ready = process.stderr_line(|line| line.contains(" works for "));
        Self { process }
    }

    /// Asks it to stop; what it says at the end counts what became of its tasks.
    ///
    /// # Panics
    /// When it does not end in order.
    #[must_use]
    pub fn stop(mut self) -> Finished {
        self.process.signal(Signal::TERM);
        let finished = self.process.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished
    }
}
