//! The heartbeat of one task: renews the lease while its child lives and does something.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use phisync_state::env::Clock;

use super::attempt::Event;
use super::child::ProgressFile;
use super::fence::Fence;
use crate::client::{CallError, Client};
use crate::protocol::{HeartbeatRequest, Task};

/// What the supervisor tells a heart; it ends when the supervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// The child does nothing: let its lease run out.
    Hold,
    /// The child goes on.
    Beat,
    /// Somebody has reason to ask at once.
    Now,
}

/// What beats: everything a heartbeat needs.
pub(super) struct Heart {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) task: Task,
    pub(super) fence: Fence,
    /// Where the child says how far it is.
    pub(super) progress: Option<ProgressFile>,
}

impl Heart {
    /// Beats until the claim is over, the lease could not be renewed in time, or `pace` closes.
    ///
    /// Nothing is asked of the server once the lease is over by our own clock, so that a worker
    /// that slept kills its child first.
    pub(super) fn run(mut self, pace: &Receiver<Pace>, tell: &Sender<Event>) {
        let mut held = false;
        let mut due = self.fence.beat_at();
        loop {
            let wait = due.saturating_sub(self.clock.monotonic());
            let news = if held {
                pace.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                pace.recv_timeout(wait)
            };
            match news {
                Ok(Pace::Hold) => held = true,
                Ok(Pace::Beat) => {
                    held = false;
                    due = self.clock.monotonic();
                }
                Ok(Pace::Now) => due = self.clock.monotonic(),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => match self.beat() {
                    Beat::Renewed => {
                        due = self.fence.beat_at();
                        // An attempt that has ended listens no more, and its pace ends with it.
                        tell.send(Event::Renewed(self.fence)).ok();
                    }
                    Beat::Unanswered => {
                        due = self
                            .clock
                            .monotonic()
                            .saturating_add(self.fence.retry_after());
                    }
                    Beat::Over(event) => {
                        tell.send(event).ok();
                        return;
                    }
                    Beat::TooLate => return,
                },
            }
        }
    }

    /// Asks once for a renewal.
    pub(super) fn beat(&mut self) -> Beat {
        let sent = self.clock.monotonic();
        let left = self.fence.kill_at().saturating_sub(sent);
        if left.is_zero() {
            return Beat::TooLate;
        }
        let request = HeartbeatRequest {
            token: self.task.token,
            progress: self.progress.as_ref().and_then(ProgressFile::read),
        };
        let within = left.min(self.fence.answer_within());
        match self.client.heartbeat(&self.task.id, &request, within) {
            Ok(answer) if answer.cancel_requested => Beat::Over(Event::Cancelled),
            Ok(answer) => {
                let lease = Duration::from_millis(answer.lease_ms);
                self.fence = Fence::new(sent, lease);
                Beat::Renewed
            }
            // A task that is not there any more is as lost as one that another has.
            Err(CallError::Stale(_) | CallError::Rejected(_)) => Beat::Over(Event::Stale),
            Err(cause) => {
                tracing::warn!(task = self.task.id, %cause, "a heartbeat got no renewal");
                Beat::Unanswered
            }
        }
    }
}

/// What came of one heartbeat.
pub(super) enum Beat {
    Renewed,
    Unanswered,
    /// The claim is over, as the event says.
    Over(Event),
    /// The lease is over by our own clock; nothing was asked.
    TooLate,
}
