//! The two keys of a start, which are not the run's name.
//!
//! A *key* says which business the run is about: at most one open run of a workflow has it, and what a
//! second start means is the caller's choice. An *idempotency key* says which call it is: the same call
//! again, within a day, has the first one's answer and starts nothing. Each key has a stream of its own,
//! `key/WORKFLOW/HASH` and `call/HASH`, written in the batch of the start, so that of two orchestrators
//! one loses and decides again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use phisync_state::{StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::RunId;
use crate::protocol::{OnClosed, OnOpen};

use super::{Coordinator, Now, Refusal, recovery};

/// So long the answer to a call with an idempotency key is kept.
pub(super) const CALLS_KEPT: Duration = Duration::from_hours(24);

/// The key of a start, and what it means where it is taken.
#[derive(Clone, Debug)]
pub struct BusinessKey {
    /// The key.
    pub key: String,
    /// If its run is open.
    pub on_open: OnOpen,
    /// If its run is closed.
    pub on_closed: OnClosed,
}

/// A call that may be made again.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose call it is, and its idempotency key.
    pub key: (String, String),
    /// SHA-256 of what was asked for.
    pub body: String,
}

/// A fact of the stream `key/WORKFLOW/HASH`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyEvent {
    /// A run has it from now on.
    KeyTaken {
        /// The key.
        key: String,
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
}

/// A fact of the stream `call/HASH`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallEvent {
    /// The call started a run.
    CallAnswered {
        /// SHA-256 of what was asked for.
        body: String,
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
}

/// Keys as their streams say. Indexed by the names of the streams.
#[derive(Default)]
pub(super) struct Keys {
    taken: BTreeMap<String, (Version, RunId)>,
    calls: BTreeMap<String, Answered>,
    /// The calls, oldest first, to be forgotten in that order.
    ages: VecDeque<(Timestamp, String)>,
}

struct Answered {
    version: Version,
    body: String,
    run: RunId,
    at: Timestamp,
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let bytes = hasher.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a request, to know it again.
#[must_use]
pub fn body_hash(body: &str) -> String {
    hash(&[body])
}

fn key_stream(workflow: &str, key: &str) -> String {
    format!("key/{workflow}/{}", hash(&[key]))
}

fn call_stream(call: &Call) -> String {
    format!("call/{}", hash(&[&call.key.0, &call.key.1]))
}

impl Keys {
    pub(super) fn replay_key(&mut self, stream: &str, version: Version, event: KeyEvent) {
        let KeyEvent::KeyTaken { run, .. } = event;
        self.taken.insert(stream.to_owned(), (version, run));
    }

    pub(super) fn replay_call(&mut self, stream: &str, version: Version, event: CallEvent) {
        let CallEvent::CallAnswered { body, run, at } = event;
        self.ages.push_back((at, stream.to_owned()));
        let answered = Answered {
            version,
            body,
            run,
            at,
        };
        self.calls.insert(stream.to_owned(), answered);
    }

    /// Forgets the answers that are too old. Their streams stay, and with them their versions.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.ages.front()
            && now.since(*at) >= CALLS_KEPT
        {
            if let Some((at, stream)) = self.ages.pop_front()
                && self.calls.get(&stream).is_some_and(|call| call.at == at)
            {
                self.calls.remove(&stream);
            }
        }
    }
}

impl Coordinator {
    /// The run that the same call has started before.
    ///
    /// # Errors
    /// The same key with another body.
    pub(super) fn answered(&mut self, call: &Call, now: Now) -> Result<Option<RunId>, Refusal> {
        self.keys.forget_old(now.wall);
        match self.keys.calls.get(&call_stream(call)) {
            None => Ok(None),
            Some(answered) if answered.body == call.body => Ok(Some(answered.run.clone())),
            Some(answered) => Err(Refusal::OtherBody {
                key: call.key.1.clone(),
                run: answered.run.to_string(),
            }),
        }
    }

    /// The run that a start with `key` attaches to; `None`: it may start one.
    ///
    /// # Errors
    /// A key that is taken, where the caller wants that refused.
    pub(super) fn attached(
        &self,
        workflow: &str,
        key: &BusinessKey,
    ) -> Result<Option<RunId>, Refusal> {
        let taken = self.keys.taken.get(&key_stream(workflow, &key.key));
        let Some((_, run)) = taken else {
            return Ok(None);
        };
        let open = self.open.contains_key(run);
        match (open, key.on_open, key.on_closed) {
            (true, OnOpen::Attach, _) => Ok(Some(run.clone())),
            (false, _, OnClosed::Start) => Ok(None),
            (true, OnOpen::Reject, _) | (false, _, OnClosed::Reject) => Err(Refusal::KeyTaken {
                key: key.key.clone(),
                run: run.to_string(),
                state: if open { "open" } else { "closed" },
            }),
        }
    }

    /// Gives the keys of a start to its run, in the batch under way.
    pub(super) fn take_keys(
        &mut self,
        workflow: &str,
        key: Option<&BusinessKey>,
        call: Option<&Call>,
        run: &RunId,
        now: Now,
    ) {
        let at = now.wall;
        if let Some(key) = key {
            let stream = key_stream(workflow, &key.key);
            let before = self
                .keys
                .taken
                .get(&stream)
                .map_or(0, |(version, _)| *version);
            let event = KeyEvent::KeyTaken {
                key: key.key.clone(),
                run: run.clone(),
                at,
            };
            self.batch.add(
                StreamName::new(&stream),
                before,
                std::slice::from_ref(&event),
            );
            self.batch.keys.insert(stream.clone());
            self.keys.replay_key(&stream, before + 1, event);
        }
        if let Some(call) = call {
            let stream = call_stream(call);
            // One that was forgotten has its version in the store.
            let before = self.keys.calls.get(&stream).map(|call| call.version);
            let before = before.unwrap_or_else(|| self.store.version(&StreamName::new(&stream)));
            let event = CallEvent::CallAnswered {
                body: call.body.clone(),
                run: run.clone(),
                at,
            };
            self.batch.add(
                StreamName::new(&stream),
                before,
                std::slice::from_ref(&event),
            );
            self.batch.keys.insert(stream.clone());
            self.keys.replay_call(&stream, before + 1, event);
        }
    }

    /// Forgets what was believed about a key and reads it again, with the run that has it.
    pub(super) fn reload_key(&mut self, stream: &str, now: Now) -> Result<(), Refusal> {
        self.keys.taken.remove(stream);
        self.keys.calls.remove(stream);
        let records = self.store.read(&StreamName::new(stream), 1)?;
        let Some(last) = records.last() else {
            return Ok(());
        };
        let run = if stream.starts_with("key/") {
            let event: KeyEvent = recovery::decode(last)?;
            let KeyEvent::KeyTaken { run, .. } = event.clone();
            self.keys.replay_key(stream, last.version, event);
            run
        } else {
            let event: CallEvent = recovery::decode(last)?;
            let CallEvent::CallAnswered { run, .. } = event.clone();
            self.keys.replay_call(stream, last.version, event);
            run
        };
        if self.is_taken(&run) {
            return Ok(());
        }
        // Another orchestrator started it.
        self.reread(&run, now)
    }
}
