//! Named locks: who holds one, who waits, and the token that makes a late holder harmless.
//!
//! Pure: a lock is a fold of its stream `lock/NAME`, and whoever keeps the clocks says when a lease
//! is over. At most one holder at a time; who waits is served in the order of asking; every grant
//! has a larger token than all before. Waiting is not journalled: whoever waits is a connection, and
//! asks again after a restart.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{FileId, StreamName, Version};

/// The most that wait for one lock.
pub const LOCK_WAITERS_MAX: usize = 10_000;

/// A fact of the stream `lock/NAME`. Format version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockEvent {
    /// Somebody has it from now on.
    Granted {
        /// Larger than every earlier one of this lock.
        token: u64,
        /// Who asked.
        by: String,
        /// The holder's own word for itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<String>,
        /// How long it may be silent, in milliseconds.
        ttl_ms: u64,
    },
    /// Nobody has it.
    Released {
        /// Which grant ended.
        token: u64,
        /// `released`, or why it was taken away.
        why: String,
    },
}

/// The stream of a lock.
#[must_use]
pub fn lock_stream(name: &FileId) -> StreamName {
    StreamName::new(format!("lock/{name}"))
}

/// One who asks for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// A number that is the caller's alone, for taking it back.
    pub waiter: u64,
    /// Who asks.
    pub by: String,
    /// Its own word for itself. Who holds the lock and asks again under the same word is given the
    /// answer of the first time.
    pub holder: Option<String>,
    /// How long it may be silent, in milliseconds.
    pub ttl_ms: u64,
}

/// Who has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The token of the grant.
    pub token: u64,
    /// Who asked.
    pub by: String,
    /// Its own word for itself.
    pub holder: Option<String>,
    /// How long it may be silent, in milliseconds.
    pub ttl_ms: u64,
}

/// What asking comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is free: this is to be appended.
    Granted(LockEvent),
    /// The caller holds it already, under this token.
    Held(u64),
    /// Somebody else has it or is before.
    Wait,
}

/// Why a holder's word is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {token} does not hold it: {}", whose(.current.as_ref()))]
pub struct StaleLock {
    /// What came.
    pub token: u64,
    /// Who has it now.
    pub current: Option<LockHolder>,
}

fn whose(holder: Option<&LockHolder>) -> String {
    match holder {
        None => "nobody does".to_owned(),
        Some(holder) => format!("`{}` does, with token {}", holder.by, holder.token),
    }
}

/// The fold of a lock's stream, and the queue before it.
#[derive(Clone, Debug, Default)]
pub struct NamedLock {
    version: Version,
    token: u64,
    holder: Option<LockHolder>,
    queue: VecDeque<LockRequest>,
}

impl NamedLock {
    /// The fold of a whole stream.
    pub fn replay<'e>(events: impl IntoIterator<Item = &'e LockEvent>) -> Self {
        let mut lock = Self::default();
        events.into_iter().for_each(|event| lock.apply(event));
        lock
    }

    /// Folds an event that stands at this place of its stream; those before the last grant may be gone.
    pub fn replay_at(&mut self, version: Version, event: &LockEvent) {
        self.apply(event);
        self.version = version;
    }

    /// How many events it has.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Who has it.
    #[must_use]
    pub fn holder(&self) -> Option<&LockHolder> {
        self.holder.as_ref()
    }

    /// The largest token ever given.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Who waits, first come first.
    pub fn waiting(&self) -> impl Iterator<Item = &LockRequest> {
        self.queue.iter()
    }

    /// What a request comes to; changes nothing. `epoch` is the store's, the upper part of tokens.
    #[must_use]
    pub fn ask(&self, request: &LockRequest, epoch: u64) -> Asked {
        match &self.holder {
            Some(holder)
                if request.holder.is_some()
                    && (&holder.holder, &holder.by) == (&request.holder, &request.by) =>
            {
                Asked::Held(holder.token)
            }
            None if self.queue.is_empty() => Asked::Granted(self.grant(request, epoch)),
            _ => Asked::Wait,
        }
    }

    /// Puts a request behind all others; false if too many wait.
    pub fn queue(&mut self, request: LockRequest) -> bool {
        let room = self.queue.len() < LOCK_WAITERS_MAX;
        if room {
            self.queue.push_back(request);
        }
        room
    }

    /// Takes a request back; whether it was waiting.
    pub fn leave(&mut self, waiter: u64) -> bool {
        let before = self.queue.len();
        self.queue.retain(|request| request.waiter != waiter);
        self.queue.len() < before
    }

    /// The grant to whoever is first, if the lock is free.
    #[must_use]
    pub fn next(&self, epoch: u64) -> Option<(LockRequest, LockEvent)> {
        if self.holder.is_some() {
            return None;
        }
        let first = self.queue.front()?;
        Some((first.clone(), self.grant(first, epoch)))
    }

    /// What ends the grant with this token.
    ///
    /// # Errors
    /// When it ended before.
    pub fn release(&self, token: u64, why: &str) -> Result<LockEvent, StaleLock> {
        self.check(token)?;
        let why = why.to_owned();
        Ok(LockEvent::Released { token, why })
    }

    /// Whether this token holds the lock.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self, token: u64) -> Result<&LockHolder, StaleLock> {
        let holder = self.holder.as_ref().filter(|holder| holder.token == token);
        holder.ok_or_else(|| StaleLock {
            token,
            current: self.holder.clone(),
        })
    }

    /// Folds one fact. Who got the lock waits no more: the caller takes the request off the queue
    /// by [`Self::leave`], because a journal does not know who waits.
    pub fn apply(&mut self, event: &LockEvent) {
        self.version += 1;
        match event {
            LockEvent::Granted {
                token,
                by,
                holder,
                ttl_ms,
            } => {
                self.token = self.token.max(*token);
                self.holder = Some(LockHolder {
                    token: *token,
                    by: by.clone(),
                    holder: holder.clone(),
                    ttl_ms: *ttl_ms,
                });
            }
            LockEvent::Released { token, .. } => {
                if self.check(*token).is_ok() {
                    self.holder = None;
                }
            }
        }
    }

    fn grant(&self, request: &LockRequest, epoch: u64) -> LockEvent {
        LockEvent::Granted {
            // As a task's: the store's epoch and the version of the stream after it.
            token: (epoch << 40) | (self.version + 1),
            by: request.by.clone(),
            holder: request.holder.clone(),
            ttl_ms: request.ttl_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Asked, LockEvent, LockRequest, NamedLock};

    fn request(waiter: u64) -> LockRequest {
        LockRequest {
            waiter,
            by: format!("agent-{waiter}"),
            holder: None,
            ttl_ms: 1000,
        }
    }

    #[test]
    fn who_asks_again_under_its_own_word_gets_the_same_grant() {
        let mut lock = NamedLock::default();
        let mine = LockRequest {
            holder: Some("worker 1".to_owned()),
            ..request(1)
        };
        let Asked::Granted(granted) = lock.ask(&mine, 0) else {
            panic!("it is free");
        };
        lock.apply(&granted);
        assert_eq!(lock.ask(&mine, 0), Asked::Held(1));
        let other = LockRequest {
            by: "somebody".to_owned(),
            ..mine
        };
        assert_eq!(lock.ask(&other, 0), Asked::Wait, "a word is not a name");
        assert_eq!(lock.ask(&request(1), 0), Asked::Wait);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Ask,
        /// The n-th of those that wait.
        Leave(usize),
        /// The current holder releases, or its lease ends.
        End,
        /// An earlier holder releases.
        Late(u64),
        /// The journal is replayed; whoever waited is gone.
        Restart,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => Just(Act::Ask),
            1 => (0_usize..4).prop_map(Act::Leave),
            3 => Just(Act::End),
            1 => (0_u64..20).prop_map(Act::Late),
            1 => Just(Act::Restart),
        ];
        proptest::collection::vec(act, 0..60)
    }

    proptest! {
        #[test]
        fn one_holder_at_a_time_in_the_order_of_asking_with_growing_tokens(acts in acts()) {
            let (mut lock, mut journal) = (NamedLock::default(), Vec::new());
            let (mut asked, mut epoch, mut last_token) = (0_u64, 0_u64, 0_u64);
            // The reference: who should be served next.
            let mut line: Vec<u64> = Vec::new();
            let mut holding: Option<(u64, u64)> = None;
            for act in acts {
                match act {
                    Act::Ask => {
                        asked += 1;
                        match lock.ask(&request(asked), epoch) {
                            Asked::Granted(event) => {
                                prop_assert!(holding.is_none() && line.is_empty());
                                lock.apply(&event);
                                holding = Some((asked, lock.token()));
                                journal.push(event);
                            }
                            Asked::Wait => {
                                prop_assert!(holding.is_some() || !line.is_empty());
                                prop_assert!(lock.queue(request(asked)));
                                line.push(asked);
                            }
                            Asked::Held(_) => prop_assert!(false, "nobody gave a word"),
                        }
                    }
                    Act::Leave(nth) => {
                        if let Some(&waiter) = line.get(nth) {
                            prop_assert!(lock.leave(waiter));
                            line.remove(nth);
                        }
                    }
                    Act::End => {
                        let Some((_, token)) = holding.take() else { continue };
                        let event = lock.release(token, "released");
                        let event = event.expect("it is the holder's token");
                        lock.apply(&event);
                        journal.push(event);
                        prop_assert!(lock.release(token, "again").is_err());
                    }
                    Act::Late(token) => {
                        let now = holding.map(|(_, token)| token);
                        if now != Some(token) {
                            prop_assert!(lock.release(token, "late").is_err());
                        }
                    }
                    Act::Restart => {
                        lock = NamedLock::replay(&journal);
                        line.clear();
                        epoch += 1;
                    }
                }
                if let Some((served, event)) = lock.next(epoch) {
                    prop_assert!(holding.is_none());
                    prop_assert_eq!(Some(&served.waiter), line.first());
                    lock.apply(&event);
                    prop_assert!(lock.leave(served.waiter));
                    line.remove(0);
                    journal.push(event);
                    holding = Some((served.waiter, lock.token()));
                }
                prop_assert_eq!(lock.holder().map(|h| h.token), holding.map(|(_, token)| token));
                prop_assert!(lock.token() >= last_token);
                if let Some(LockEvent::Granted { token, .. }) = journal.last() {
                    prop_assert!(*token >= last_token);
                }
                last_token = lock.token();
            }
            let tokens: Vec<u64> = journal.iter().filter_map(|event| match event {
                LockEvent::Granted { token, .. } => Some(*token),
                LockEvent::Released { .. } => None,
            }).collect();
            prop_assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
