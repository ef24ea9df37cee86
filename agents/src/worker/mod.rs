//! `phisync agent work`: claims tasks and runs a command for each.
//!
//! Every slot works by itself (`slot.rs`): it polls, runs the command under supervision
//! (`attempt.rs`: the child, its heart, the fence), reports, and polls again. What the end of a
//! command means stands in `outcome.rs`. A worker promises that a child is dead before its lease
//! ends by the worker's monotonic clock, and that nothing is reported after the server refused a
//! claim. Once it is killed itself it can promise nothing: then its warden, if it has one, kills its
//! children (`warden.rs`), and the fencing token keeps out what they still say.

mod attempt;
mod backoff;
mod capture;
mod child;
mod fence;
mod heart;
mod nudge;
mod outcome;
mod secrets;
mod slot;
mod stop;
mod warden;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, thread};

use phisync_state::env::{Clock, Entropy};

use child::Program;
use slot::Shift;
use warden::Warden;

pub use capture::Screen;
pub use child::StdinForm;
pub use nudge::Nudge;
pub use outcome::{MESSAGE_BYTES_MAX, OutputLimits, RESULT_BYTES_MAX};
pub use stop::{StopFlag, StopGuard};
pub use warden::keep_watch;

use crate::client::{CallError, Client};

/// What to work with.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The agent's name, for people.
    pub name: String,
    /// Program and arguments. The first word `phisync` means this very binary; one with a path
    /// separator is looked for from `base_dir`, any other in `PATH`.
    pub command: Vec<String>,
    /// Where a relative program is looked for; the command itself runs in the current directory.
    pub base_dir: PathBuf,
    /// How many tasks at once, at least 1.
    pub concurrency: u32,
    /// Polls once, works on what comes, and ends.
    pub once: bool,
    /// Ends once a poll finds no task.
    pub drain: bool,
    /// Ends after that many tasks; none: when asked to stop.
    pub max_tasks: Option<u32>,
    /// What the command reads on its standard input.
    pub stdin: StdinForm,
    /// How much of what the command leaves is kept.
    pub limits: OutputLimits,
    /// Capabilities to serve; none: all that the agent is registered with.
    pub capabilities: Option<Vec<String>>,
    /// Where the commands' standard error is shown, line by line; none: nowhere.
    pub screen: Option<Screen>,
    /// Has every task asked at once whether it is still wanted.
    pub nudge: Nudge,
    /// What starts a process that calls [`keep_watch`] on its standard input, and kills the commands
    /// should the worker be killed; none: they would live on.
    pub warden: Option<Vec<String>>,
}

impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// What became of the tasks a worker claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSummary {
    /// Completed, and the server has the result.
    pub completed: u32,
    /// Failed, and the server knows.
    pub failed: u32,
    /// Waiting for the answer to a question of the command.
    pub asked: u32,
    /// Given back for others to take.
    pub released: u32,
    /// Taken away: the claim was over before the end.
    pub lost: u32,
    /// The end of them could not be reported: their leases run out.
    pub unreported: u32,
}

impl WorkerSummary {
    /// How many tasks were claimed.
    #[must_use]
    pub fn claimed(&self) -> u32 {
        self.completed + self.failed + self.asked + self.released + self.lost + self.unreported
    }
}

/// Why a worker ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The command has no first word.
    #[error("there is no command to run")]
    NoCommand,
    /// This binary does not know where it is.
    #[error("this program cannot find itself")]
    Itself(#[source] std::io::Error),
    /// The command's program cannot be started; the task it was for was given back.
    #[error("`{program}` cannot be started")]
    Program {
        /// The program, resolved.
        program: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The server does not let this agent poll.
    #[error("the server refuses to hand out tasks")]
    Refused(#[source] CallError),
    /// No thread could be started.
    #[error("no thread for a task")]
    Thread(#[source] std::io::Error),
}

/// An agent at work.
pub struct Worker {
    config: WorkerConfig,
    program: Program,
    client: Client,
    clock: Arc<dyn Clock>,
    entropy: Mutex<Box<dyn Entropy>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Gets ready; nothing is asked of the server yet. `clock` must run in real time.
    ///
    /// # Errors
    /// When the command is empty, or is this binary and cannot be found.
    pub fn new(
        config: WorkerConfig,
        client: Client,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, WorkerError> {
        let program = resolve(&config.command, &config.base_dir)?;
        Ok(Self {
            config,
            program,
            client,
            clock,
            entropy: Mutex::new(entropy),
        })
    }

    /// Works until `drain` or `stop` is requested, or the configured work is done. After a request to
    /// drain nothing more is taken, and what runs comes to its end. A request to stop kills the running
    /// commands and gives their tasks back.
    ///
    /// # Errors
    /// When it makes no sense to go on: the program cannot be started, or the server refuses this
    /// agent. What was running then is ended as by a request to stop.
    pub fn run(&self, drain: &StopFlag, stop: &StopFlag) -> Result<WorkerSummary, WorkerError> {
        let (closing, halt) = (StopFlag::new(), StopFlag::new());
        let request = |flag: &StopFlag| {
            let flag = flag.clone();
            move || flag.request()
        };
        let _drained = drain.on_request(request(&closing));
        let _stopped = stop.on_request(request(&halt));
        let _halted = halt.on_request(request(&closing));
        let warden = self.config.warden.as_ref();
        let warden = warden.and_then(|command| match Warden::start(command) {
            Ok(warden) => Some(warden),
            Err(cause) => {
                tracing::warn!(%cause, "no warden: a kill of this worker would leave commands behind");
                None
            }
        });
        let shift = Shift::new(self, closing, halt, warden);
        let slots = if self.config.once {
            1
        } else {
            self.config.concurrency.max(1)
        };
        thread::scope(|scope| {
            for _ in 0..slots {
                let slot = thread::Builder::new().name("slot".to_owned());
                if let Err(cause) = slot.spawn_scoped(scope, || shift.serve()) {
                    shift.give_up(WorkerError::Thread(cause));
                    break;
                }
            }
        });
        shift.end()
    }
}

/// Finds what `command` names.
fn resolve(command: &[String], base_dir: &Path) -> Result<Program, WorkerError> {
    let Some((first, arguments)) = command.split_first().filter(|(first, _)| !first.is_empty())
    else {
        return Err(WorkerError::NoCommand);
    };
    let path = if first == "phisync" {
        std::env::current_exe().map_err(WorkerError::Itself)?
    } else if first.contains(std::path::is_separator) {
        base_dir.join(first)
    } else {
        PathBuf::from(first)
    };
    Ok(Program {
        path,
        arguments: arguments.to_vec(),
    })
}

/// A thread that panicked while it held the lock left the value whole: no update spans a call.
fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{WorkerError, resolve};
    use std::path::Path;

    #[test]
    fn a_program_is_found_by_its_kind_of_name() {
        let path = |words: &[&str]| {
            let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            resolve(&command, Path::new("/team")).map(|program| program.path)
        };
        assert_eq!(path(&["sh", "x"]).expect("a program"), Path::new("sh"));
        assert_eq!(
            path(&["./a.sh"]).expect("a program"),
            Path::new("/team/./a.sh")
        );
        assert_eq!(path(&["/bin/sh"]).expect("a program"), Path::new("/bin/sh"));
        assert_eq!(
            path(&["phisync"]).expect("a program"),
            std::env::current_exe().expect("a path")
        );
        assert!(matches!(path(&[]), Err(WorkerError::NoCommand)));
        assert!(matches!(path(&["", "x"]), Err(WorkerError::NoCommand)));
    }
}
