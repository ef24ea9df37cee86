//! Waiting in line: for a named lock, or for the turn at a document.
//!
//! A connection that goes away takes its request out of the line; what was handed to nobody is given
//! back at once. Only a caller that vanishes while the answer is on its way leaves it to the end of its time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use phisync_state::Head;
use tokio::sync::oneshot;

use crate::coordinator::{Coordinator, InLine, LockGrant, Now, Refusal, ServedWaiter, TurnWish};
use crate::protocol::DocumentTurn;

use super::answer::{answer_with, stopping};
use super::desk::Desk;
use super::{Answer, Handle, Job, Reply};

/// One who waits.
pub(super) struct Waiter<P> {
    by: String,
    reply: Reply<P>,
}

/// What is waited for.
pub(super) trait Prize: Send + Sized + 'static {
    /// Those who wait for such a thing.
    fn waiters(desk: &mut Desk) -> &mut BTreeMap<u64, Waiter<Self>>;

    /// Those who wait no more.
    fn served(coordinator: &mut Coordinator) -> Vec<ServedWaiter<Self>>;

    /// Takes a request out of the line.
    fn forget(coordinator: &mut Coordinator, waiter: u64, now: Now);

    /// Gives back what was handed to nobody.
    fn give_back(&self, coordinator: &mut Coordinator, by: &str, now: Now) -> Result<(), Refusal>;
}

impl Prize for LockGrant {
    fn waiters(desk: &mut Desk) -> &mut BTreeMap<u64, Waiter<Self>> {
        &mut desk.lock_waiters
    }

    fn served(coordinator: &mut Coordinator) -> Vec<ServedWaiter<Self>> {
        coordinator.take_served_waiters()
    }

    fn forget(coordinator: &mut Coordinator, waiter: u64, _: Now) {
        coordinator.forget_lock_waiter(waiter);
    }

    fn give_back(&self, coordinator: &mut Coordinator, by: &str, now: Now) -> Result<(), Refusal> {
        coordinator.release_lock(self.name.as_str(), self.token, by, now)
    }
}

impl Prize for DocumentTurn {
    fn waiters(desk: &mut Desk) -> &mut BTreeMap<u64, Waiter<Self>> {
        &mut desk.turn_waiters
    }

    fn served(coordinator: &mut Coordinator) -> Vec<ServedWaiter<Self>> {
        coordinator.take_served_turns()
    }

    fn forget(coordinator: &mut Coordinator, waiter: u64, now: Now) {
        coordinator.forget_turn_waiter(waiter, now);
    }

    fn give_back(&self, coordinator: &mut Coordinator, by: &str, now: Now) -> Result<(), Refusal> {
        coordinator.give_up_turn(&self.name, self.turn, by, now)
    }
}

/// Takes a request back when its caller goes away while it waits.
struct WaitGuard<P: Prize> {
    handle: Handle,
    waiter: Arc<OnceLock<u64>>,
    answered: bool,
    prize: std::marker::PhantomData<fn() -> P>,
}

impl<P: Prize> Drop for WaitGuard<P> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.get().copied().filter(|_| !self.answered) else {
            return;
        };
        let forget: Job = Box::new(move |desk, now| {
            P::forget(&mut desk.coordinator, waiter, now);
            P::waiters(desk).remove(&waiter);
            None
        });
        if self.handle.send(forget).is_err() {
            tracing::debug!("a place in a line could not be taken back: the server is stopping");
        }
    }
}

impl Handle {
    /// Asks for a lock and waits in line for up to `wait`.
    ///
    /// Dropping the future takes the request back; a lock that was granted already is released.
    ///
    /// # Errors
    /// As [`Coordinator::acquire_lock`]; somebody else still has it after `wait`.
    pub async fn acquire_lock(
        &self,
        name: String,
        by: String,
        holder: Option<String>,
        ttl: Duration,
        wait: Duration,
    ) -> Result<(LockGrant, Head), Refusal> {
        let asker = by.clone();
        self.stand_in_line(by, move |c, now| {
            c.acquire_lock(&name, &asker, holder, ttl, wait, now)
        })
        .await
    }

    /// Asks for the turn at a document and waits in line for it.
    ///
    /// Dropping the future takes the request back; a turn that was given already is given up.
    ///
    /// # Errors
    /// As [`Coordinator::ask_turn`]; it did not come in time.
    pub async fn take_turn(
        &self,
        name: String,
        wish: TurnWish,
    ) -> Result<(DocumentTurn, Head), Refusal> {
        let by = wish.by.clone();
        self.stand_in_line(by, move |c, now| c.ask_turn(&name, &wish, now))
            .await
    }

    /// Asks, in the name of `by`, for something that may have to be waited for.
    ///
    /// Dropping the future takes the request back; what was given already is given back.
    ///
    /// # Errors
    /// Those of `ask`; it did not come in time.
    async fn stand_in_line<P: Prize>(
        &self,
        by: String,
        ask: impl FnOnce(&mut Coordinator, Now) -> Result<InLine<P>, Refusal> + Send + 'static,
    ) -> Result<(P, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        let waiter = Arc::new(OnceLock::new());
        let mut guard = WaitGuard::<P> {
            handle: self.clone(),
            waiter: Arc::clone(&waiter),
            answered: false,
            prize: std::marker::PhantomData,
        };
        let handle = self.clone();
        self.send(Box::new(move |desk, now| {
            match ask(&mut desk.coordinator, now) {
                Ok(InLine::Granted(prize)) => Some(hand_over(handle, by, reply, Ok(prize))),
                Ok(InLine::Waiting(number)) => {
                    // Set once: this job runs once.
                    let _first = waiter.set(number);
                    P::waiters(desk).insert(number, Waiter { by, reply });
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

/// The answers to everybody who waits for such a thing no more.
pub(super) fn answers<P: Prize>(desk: &mut Desk, handle: &Handle) -> Vec<Answer> {
    let served = P::served(&mut desk.coordinator);
    let answers = served
        .into_iter()
        .filter_map(|ServedWaiter { waiter, answer }| {
            let Waiter { by, reply } = P::waiters(desk).remove(&waiter)?;
            Some(hand_over(handle.clone(), by, reply, answer))
        });
    answers.collect()
}

/// Tells who asked; if nobody is there any more, the next in line gets it.
fn hand_over<P: Prize>(
    handle: Handle,
    by: String,
    reply: Reply<P>,
    answer: Result<P, Refusal>,
) -> Answer {
    Box::new(move |durable| {
        let answer = match (durable, answer) {
            (Ok(head), Ok(prize)) => Ok((prize, head)),
            (Ok(_), Err(refusal)) => Err(refusal),
            (Err(unknown), _) => Err(Refusal::Unknown(unknown)),
        };
        let Err(Ok((orphan, _))) = reply.send(answer) else {
            return;
        };
        let give_back: Job = Box::new(move |desk, now| {
            if let Err(refusal) = orphan.give_back(&mut desk.coordinator, &by, now) {
                tracing::debug!(%refusal, "not given back");
            }
            None
        });
        if handle.send(give_back).is_err() {
            tracing::debug!("what a caller that left was given stays until its time is over");
        }
    })
}
