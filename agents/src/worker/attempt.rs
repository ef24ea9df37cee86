//! One attempt of one task: a child under supervision.
//!
//! The supervisor does nothing but wait for the first of: the child's end, the end of the claim, a
//! request to stop, and the instant at which the child must be dead. It makes no call itself while
//! the child runs, so no slow server delays a kill; the calls are the heart's.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use phisync_state::env::Clock;

use super::capture::{Mirror, Screen};
use super::child::{Program, StartError, StdinForm, Worked};
use super::fence::Fence;
use super::heart::{Beat, Heart, Pace};
use super::nudge::Nudge;
use super::outcome::{Failure, OutputLimits, Report, report};
use super::stop::StopFlag;
use super::warden::Warden;
use crate::client::Client;
use crate::protocol::Task;
use crate::tree::Life;

/// How long the end of a killed child is waited for. Only the system can delay it further.
const DEATH_WITHIN: Duration = Duration::from_secs(10);

/// What a supervisor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Something became of the child.
    Life(Life),
    /// The lease was renewed.
    Renewed(Fence),
    /// The work is not wanted any more; the claim still is ours.
    Cancelled,
    /// The claim is not ours any more.
    Stale,
    /// The worker is to stop.
    Stop,
}

/// How an attempt ended; its child is dead in every case.
#[derive(Debug)]
pub(super) enum Ended {
    /// With something to tell.
    Report(Report),
    /// The claim is over: nothing may be told.
    Stale,
    /// Without a result: not wanted any more, to be stopped, or not renewed in time.
    Back {
        /// Whether the child had been started, and may have had effects.
        begun: bool,
    },
    /// The program cannot be started, for this task or any other.
    Unstartable(std::io::Error),
    /// The child was started, but this machine has no thread left to look after it.
    Unattended(std::io::Error),
}

/// What an attempt works with.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) stop: &'a StopFlag,
    pub(super) program: &'a Program,
    pub(super) name: &'a str,
    pub(super) stdin: StdinForm,
    pub(super) limits: OutputLimits,
    pub(super) nudge: &'a Nudge,
    pub(super) warden: Option<&'a Warden>,
    pub(super) screen: Option<&'a Screen>,
}

impl Attempt<'_> {
    /// Works on `task`, which was asked for at `asked` and no later granted.
    pub(super) fn run(&self, task: &Task, asked: Duration) -> Ended {
        let lease = Duration::from_millis(task.lease_ms);
        let mut heart = Heart {
            client: self.client.clone(),
            clock: Arc::clone(self.clock),
            task: task.clone(),
            fence: Fence::new(asked, lease),
            progress: None,
        };
        let now = self.clock.monotonic();
        if now >= heart.fence.beat_at() {
            // The poll took long: because it waited for a task, or because we slept with the
            // answer in our hands. Only the server knows, so it is asked before anything starts.
            heart.fence = Fence::new(now, lease);
            match heart.beat() {
                Beat::Renewed => {}
                Beat::Over(Event::Cancelled) | Beat::Unanswered | Beat::TooLate => {
                    return Ended::Back { begun: false };
                }
                Beat::Over(_) => return Ended::Stale,
            }
        }
        self.supervise(task, heart)
    }

    fn supervise(&self, task: &Task, mut heart: Heart) -> Ended {
        let (tell, events) = mpsc::channel();
        let fence = heart.fence;
        let stop = tell.clone();
        let _on_stop = self.stop.on_request(move || {
            // An attempt that has ended needs no stop.
            stop.send(Event::Stop).ok();
        });
        let life = tell.clone();
        let tell_life = move |news| {
            // Nobody listens any more when the attempt ended otherwise.
            life.send(Event::Life(news)).ok();
        };
        let prefix = format!("[{} {}] ", self.name, task.id);
        let mirror = self
            .screen
            .map(|screen| Mirror::new(Arc::clone(screen), prefix));
        let started = Worked::start(
            self.program,
            self.name,
            task,
            self.stdin,
            self.limits,
            mirror,
            tell_life,
        );
        let child = match started {
            Ok(child) => child,
            Err(StartError::Program(cause)) => return Ended::Unstartable(cause),
            // Trying again finds the same: somebody has to say what it is.
            Err(StartError::Secret(missing)) => {
                let failure = Failure::new("policy", missing.to_string());
                return Ended::Report(Report::Fail(failure));
            }
            Err(StartError::Machine(cause)) => return short_of(&cause),
            Err(StartError::Thread(cause)) => return Ended::Unattended(cause),
        };
        heart.progress = Some(child.progress_file());
        // Dropped before the child is collected, while its number cannot be anybody else's.
        let guarded = self.warden.map(|warden| warden.guard(child.leader()));
        let (pace, paced) = mpsc::channel();
        let nudged = pace.clone();
        let _on_nudge = self.nudge.on_nudge(move || {
            // A heart that gave up already cannot be hurried.
            nudged.send(Pace::Now).ok();
        });
        let beating = thread::Builder::new()
            .name("heart".to_owned())
            .spawn(move || heart.run(&paced, &tell));
        if let Err(cause) = beating {
            return Ended::Unattended(cause);
        }
        tracing::debug!(task = task.id, attempt = task.attempt, "started");
        let end = self.wait(&events, &pace, fence);
        if end == Verdict::Ended {
            child.kill();
            drop(guarded);
            return Ended::Report(report(&child.collect()));
        }
        tracing::info!(task = task.id, why = ?end, "killed");
        child.kill();
        await_death(&events);
        drop(guarded);
        drop(child);
        match end {
            Verdict::Cancelled => cancelled(),
            Verdict::Stale => Ended::Stale,
            Verdict::Ended | Verdict::Stopped | Verdict::Unrenewed => Ended::Back { begun: true },
        }
    }

    /// Waits for the first thing that ends the attempt.
    fn wait(
        &self,
        events: &Receiver<Event>,
        pace: &mpsc::Sender<Pace>,
        mut fence: Fence,
    ) -> Verdict {
        loop {
            let left = fence.kill_at().saturating_sub(self.clock.monotonic());
            let pacing = match events.recv_timeout(left) {
                Ok(Event::Life(Life::Ended)) => return Verdict::Ended,
                Ok(Event::Life(Life::Stopped)) => Pace::Hold,
                Ok(Event::Life(Life::Continued)) => Pace::Beat,
                Ok(Event::Renewed(renewed)) => {
                    fence = renewed;
                    continue;
                }
                Ok(Event::Cancelled) => return Verdict::Cancelled,
                Ok(Event::Stale) => return Verdict::Stale,
                Ok(Event::Stop) => return Verdict::Stopped,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Verdict::Unrenewed;
                }
            };
            // A heart that gave up already needs no pace.
            pace.send(pacing).ok();
        }
    }
}

/// Why a supervisor stopped waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ended,
    Cancelled,
    Stale,
    Stopped,
    Unrenewed,
}

fn cancelled() -> Ended {
    Ended::Report(Report::Fail(Failure::new(
        "cancelled",
        "cancelled on request",
    )))
}

fn short_of(cause: &std::io::Error) -> Ended {
    let message = format!("the worker's machine cannot start a command now: {cause}");
    Ended::Report(Report::Fail(Failure::new("transient.worker", message)))
}

fn await_death(events: &Receiver<Event>) {
    while let Ok(event) = events.recv_timeout(DEATH_WITHIN) {
        if event == Event::Life(Life::Ended) {
            return;
        }
    }
}
