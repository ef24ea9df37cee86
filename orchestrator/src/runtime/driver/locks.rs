//! Waiting in line for a named lock.
//!
//! A connection that goes away takes its request off the line; a lock that was handed to nobody is
//! released at once. Only a caller that vanishes while the answer is on its way leaves the lock to
//! the end of its lease.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use phisync_state::Head;
use tokio::sync::oneshot;

use crate::coordinator::{LockAnswer, LockGrant, Refusal, ServedWaiter};

use super::answer::{answer_with, stopping};
use super::desk::Desk;
use super::{Answer, Handle, Job, Reply};

/// One who waits for a lock.
pub(super) struct LockWaiter {
    by: String,
    reply: Reply<LockGrant>,
}

/// Takes a request back when its caller goes away while it waits.
struct WaitGuard {
    handle: Handle,
    waiter: Arc<OnceLock<u64>>,
    answered: bool,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.get().copied().filter(|_| !self.answered) else {
            return;
        };
        let forget: Job = Box::new(move |desk, _| {
            desk.coordinator.forget_lock_waiter(waiter);
            desk.lock_waiters.remove(&waiter);
            None
        });
        if self.handle.send(forget).is_err() {
            tracing::debug!("a wait for a lock could not be taken back: the server is stopping");
        }
    }
}

impl Handle {
    /// Asks for a lock and waits in line for up to `wait`.
    ///
    /// Dropping the future takes the request back; a lock that was granted already is released.
    ///
    /// # Errors
    /// As [`crate::coordinator::Coordinator::acquire_lock`]; somebody else still has it after
    /// `wait`.
    pub async fn acquire_lock(
        &self,
        name: String,
        by: String,
        holder: Option<String>,
        ttl: Duration,
        wait: Duration,
    ) -> Result<(LockGrant, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        let waiter = Arc::new(OnceLock::new());
        let mut guard = WaitGuard {
            handle: self.clone(),
            waiter: Arc::clone(&waiter),
            answered: false,
        };
        let handle = self.clone();
        self.send(Box::new(move |desk, now| {
            let coordinator = &mut desk.coordinator;
            match coordinator.acquire_lock(&name, &by, holder, ttl, wait, now) {
                Ok(LockAnswer::Granted(grant)) => Some(hand_lock(handle, by, reply, Ok(grant))),
                Ok(LockAnswer::Waiting(number)) => {
                    // Set once: this job runs once.
                    let _first = waiter.set(number);
                    desk.lock_waiters.insert(number, LockWaiter { by, reply });
                    None
                }
                Err(refusal) => Some(answer_with(reply, Err(refusal))),
            }
        }))?;
        let answer = answer.await;
        guard.answered = true;
        answer.unwrap_or_else(|_| Err(stopping()))
    }
}

/// The answers to everybody who waits no more.
pub(super) fn answers(desk: &mut Desk, handle: &Handle) -> Vec<Answer> {
    let served = desk.coordinator.take_served_waiters();
    let answers = served
        .into_iter()
        .filter_map(|ServedWaiter { waiter, answer }| {
            let LockWaiter { by, reply } = desk.lock_waiters.remove(&waiter)?;
            Some(hand_lock(handle.clone(), by, reply, answer))
        });
    answers.collect()
}

/// Tells who asked; if nobody is there any more, the lock goes to the next in line.
fn hand_lock(
    handle: Handle,
    by: String,
    reply: Reply<LockGrant>,
    answer: Result<LockGrant, Refusal>,
) -> Answer {
    Box::new(move |durable| {
        let answer = match (durable, answer) {
            (Ok(head), Ok(grant)) => Ok((grant, head)),
            (Ok(_), Err(refusal)) => Err(refusal),
            (Err(unknown), _) => Err(Refusal::Unknown(unknown)),
        };
        let Err(Ok((orphan, _))) = reply.send(answer) else {
            return;
        };
        let release: Job = Box::new(move |desk, now| {
            let coordinator = &mut desk.coordinator;
            let name = orphan.name.as_str();
            if let Err(refusal) = coordinator.release_lock(name, orphan.token, &by, now) {
                tracing::debug!(lock = name, %refusal, "not released");
            }
            None
        });
        if handle.send(release).is_err() {
            tracing::debug!("a lock of a caller that left waits for its lease to end");
        }
    })
}
