//! The way to the coordinator's thread, for everybody else.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use phisync_agents::protocol::Task;
use phisync_state::{Head, Store, ViewName};
use tokio::sync::{Notify, oneshot};

use super::answer::{answer_with, hand_over, stopping};
use super::desk::{Until, Watch, reached};
use super::{Job, Message};
use crate::coordinator::{Alarm, Coordinator, Now, PollId, Polled, Refusal};
use crate::engine::RunId;
use crate::protocol::Started;

/// Sends jobs to the coordinator's thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) jobs: SyncSender<Message>,
    pub(super) store: Arc<dyn Store>,
    pub(super) files: Arc<Notify>,
}

/// See [`Handle::view_renewer`].
pub(crate) struct ViewRenewer(SyncSender<Message>);

impl ViewRenewer {
    /// Has a view written anew, for the reason that `alarm` tells; `unknown` is told if there is nothing that it
    /// could show.
    pub(crate) fn renew(
        &self,
        name: ViewName,
        alarm: Alarm,
        unknown: impl FnOnce(ViewName) + Send + 'static,
    ) {
        let renew: Job = Box::new(move |desk, now| {
            if let Err(refusal) = desk.coordinator.raise(alarm, now) {
                tracing::warn!(%refusal, "an alarm is not on record");
            }
            if !desk.coordinator.renew_view(&name) {
                unknown(name);
            }
            None
        });
        if self.0.try_send(Message::Job(renew)).is_err() {
            tracing::debug!("a view is made again with its next change");
        }
    }
}

/// Takes a poll back when its caller goes away while it waits.
struct PollGuard {
    handle: Handle,
    poll: Arc<OnceLock<PollId>>,
    answered: bool,
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        let Some(poll) = self.poll.get().copied().filter(|_| !self.answered) else {
            return;
        };
        let forget: Job = Box::new(move |desk, _| {
            desk.coordinator.forget_poll(poll);
            desk.polls.remove(&poll);
            None
        });
        if self.handle.send(forget).is_err() {
            tracing::debug!("a poll could not be taken back: the server is busy or stopping");
        }
    }
}

impl Handle {
    pub(super) fn send(&self, job: Job) -> Result<(), Refusal> {
        self.jobs
            .try_send(Message::Job(job))
            .map_err(|error| match error {
                TrySendError::Full(_) => Refusal::Busy,
                TrySendError::Disconnected(_) => stopping(),
            })
    }

    /// The store, for reading durable records.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Runs `operation` on the coordinator's thread and answers when what it saw is durable.
    ///
    /// Dropping the future does not take the operation back.
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(T, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |desk, now| {
            let result = operation(&mut desk.coordinator, now);
            Some(answer_with(reply, result))
        }))?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Waits up to `wait` for tasks; none if there were none.
    ///
    /// Dropping the future takes the poll back; tasks that were handed out already are released.
    ///
    /// # Errors
    /// As [`Coordinator::poll`].
    pub async fn poll(
        &self,
        agent: String,
        capabilities: Option<Vec<String>>,
        max: u32,
        wait: Duration,
    ) -> Result<(Vec<Task>, Head), Refusal> {
        let asking = agent.clone();
        self.claim(agent, move |c, now| {
            c.poll(&asking, capabilities.as_deref(), max, wait, now)
        })
        .await
    }

    /// Runs `operation`, which ends with a poll of `agent`, and answers as [`Self::poll`].
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn claim(
        &self,
        agent: String,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<Polled, Refusal> + Send + 'static,
    ) -> Result<(Vec<Task>, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        let poll = Arc::new(OnceLock::new());
        let mut guard = PollGuard {
            handle: self.clone(),
            poll: Arc::clone(&poll),
            answered: false,
        };
        let handle = self.clone();
        self.send(Box::new(move |desk, now| {
            match operation(&mut desk.coordinator, now) {
                Ok(Polled::Waiting(id)) => {
                    // Set once: this job runs once.
                    let _first = poll.set(id);
                    desk.polls.insert(id, (agent, reply));
                    None
                }
                Ok(Polled::Tasks(tasks)) => Some(hand_over(handle, agent, reply, tasks)),
                Err(refusal) => Some(answer_with(reply, Err(refusal))),
            }
        }))?;
        let answer = answer.await;
        guard.answered = true;
        answer.unwrap_or_else(|_| Err(stopping()))
    }

    /// Waits until a run has got further. Dropping the future is harmless.
    ///
    /// # Errors
    /// No such run.
    pub async fn watch(&self, run: RunId, until: Until) -> Result<Head, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |desk, _| {
            match desk.coordinator.progress(&run) {
                None => {
                    let id = run.to_string();
                    let what = "run";
                    Some(answer_with(reply, Err(Refusal::NotFound { what, id })))
                }
                Some(progress) if reached(until, progress) => Some(answer_with(reply, Ok(()))),
                Some(_) => {
                    desk.watch(run, Watch::Progress(until, reply));
                    None
                }
            }
        }))?;
        let ((), head) = answer.await.unwrap_or_else(|_| Err(stopping()))?;
        Ok(head)
    }

    /// Runs `operation`, which says where some run stands, and answers with where it stands once it
    /// is closed, or after `wait`. One job for what would be three: a start that waits is the call
    /// that clients make most.
    ///
    /// Dropping the future does not take the operation back.
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn outcome(
        &self,
        wait: Duration,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<Started, Refusal> + Send + 'static,
    ) -> Result<(Started, Head), Refusal> {
        if wait.is_zero() {
            return self.call(operation).await;
        }
        let (reply, mut answer) = oneshot::channel();
        let awaited = Arc::new(OnceLock::new());
        let named = Arc::clone(&awaited);
        self.send(Box::new(move |desk, now| {
            let result = operation(&mut desk.coordinator, now);
            let open = result
                .as_ref()
                .ok()
                .and_then(|stands| RunId::parse(&stands.id));
            let open = open.filter(|run| {
                let progress = desk.coordinator.progress(run);
                progress.is_some_and(|(_, closed)| !closed)
            });
            let Some(run) = open else {
                return Some(answer_with(reply, result));
            };
            // Set once: this job runs once.
            let _first = named.set(run.clone());
            desk.watch(run, Watch::Outcome(reply));
            None
        }))?;
        loop {
            match tokio::time::timeout(wait, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(stopping())),
                // Before the job has run there is nothing to tell.
                Err(_) => {
                    if let Some(run) = awaited.get().cloned() {
                        return self.call(move |c, _| c.outcome(&run)).await;
                    }
                }
            }
        }
    }

    /// Waits until steps want files to be changed, or have since the last time.
    pub(in crate::runtime) async fn files_are_wanted(&self) {
        self.files.notified().await;
    }

    /// The way for whoever finds views that are not as written. It keeps nothing alive.
    pub(crate) fn view_renewer(&self) -> ViewRenewer {
        ViewRenewer(self.jobs.clone())
    }

    /// Ends the thread: what is queued is done first, waiting polls end empty.
    pub(crate) fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        // A full queue empties by itself; a thread that is gone has stopped.
        if self.jobs.send(Message::Stop(done)).is_ok() && stopped.blocking_recv().is_err() {
            tracing::debug!("the coordinator's thread was gone already");
        }
    }
}
