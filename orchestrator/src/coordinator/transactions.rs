//! Transactions over files and documents, as far as they are decided: which names are taken, which
//! documents have which version, and the one record that makes a transaction happen.
//!
//! Disks are not touched here: `runtime/transactions.rs` surveys, stages and finishes, and comes
//! back with what is to be recorded. A decision is one batch: the transaction's record, the new
//! contents of its documents, and a guard on every lock under which it is made.

use std::collections::{BTreeMap, VecDeque};

use phisync_state::transaction::{
    Decision, DocumentChange, Intent, Plan, TransactionEvent, TransactionId, TransactionState,
};
use phisync_state::{Entry, Expected, Record, StreamName, Timestamp, Version};

use crate::engine::TouchedDocument;
use crate::protocol::TransactionSummary;

use super::batch::print;
use super::documents::WrittenDocument;
use super::{Coordinator, Now, Refusal, Writer, recovery};

/// More than a group commit ever holds.
const JUST_CLOSED_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Transactions {
    open: BTreeMap<TransactionId, TransactionState>,
    closed: BTreeMap<TransactionId, Closed>,
    /// The last ones that closed: their records may not be durable yet, and only those are read.
    just_closed: VecDeque<TransactionState>,
    /// The files that open transactions are about, by their folded path on disk.
    taken: BTreeMap<String, TransactionId>,
}

/// What is known of a closed transaction without reading the store.
struct Closed {
    status: &'static str,
    by: String,
    reason: Option<String>,
    reverts: Option<TransactionId>,
    changes: usize,
    kept: usize,
    at: Timestamp,
}

impl Closed {
    fn of(state: &TransactionState, at: Timestamp) -> Self {
        let decision = state.decision.as_ref();
        Self {
            status: state.phase.as_str(),
            by: state.intent.by.clone(),
            reason: state.intent.reason.clone(),
            reverts: state.intent.reverts.clone(),
            changes: decision.map_or(0, |d| d.files.len() + d.documents.len()),
            kept: state.kept.len(),
            at,
        }
    }
}

/// A decision that is not appended yet, with everything that it relies on.
pub(super) struct Verdict {
    id: TransactionId,
    version: Version,
    events: Vec<TransactionEvent>,
    documents: Vec<WrittenDocument>,
    guards: Vec<(StreamName, Version)>,
}

impl Verdict {
    /// The documents that it writes, as they will be.
    pub(super) fn documents(&self) -> impl Iterator<Item = TouchedDocument> {
        self.documents.iter().map(WrittenDocument::touched)
    }

    /// The transaction's record, its documents' new contents, and a guard on each of its locks.
    pub(super) fn batch(&self) -> Vec<Entry> {
        let guards = self.guards.iter().map(|(stream, version)| Entry {
            stream: stream.clone(),
            expected: Expected::Version(*version),
            events: Vec::new(),
        });
        let documents = self.documents.iter().map(WrittenDocument::entry);
        let record = entry(&self.id, self.version, &self.events);
        std::iter::once(record)
            .chain(documents)
            .chain(guards)
            .collect()
    }
}

impl Transactions {
    fn fold(&mut self, id: &TransactionId, event: &TransactionEvent, at: Timestamp) {
        match (self.open.get_mut(id), event) {
            (None, TransactionEvent::Began(intent)) => {
                let state = TransactionState::begin(id.clone(), intent.clone());
                self.open.insert(id.clone(), state);
            }
            (None, _) => return,
            (Some(state), event) => {
                state.apply(event);
                // After a restart nobody else knows which names it is about.
                if let TransactionEvent::Decided(decision) = event {
                    let names = decision.disk_names(&state.intent);
                    let names = names.map(|name| (name, id.clone()));
                    self.taken.extend(names);
                }
            }
        }
        if let Some(state) = self.open.get(id).filter(|state| !state.is_open()) {
            self.closed.insert(id.clone(), Closed::of(state, at));
            self.taken.retain(|_, by| by != id);
            if self.just_closed.len() == JUST_CLOSED_MAX {
                self.just_closed.pop_front();
            }
            self.just_closed.extend(self.open.remove(id));
        }
    }
}

impl Coordinator {
    pub(super) fn replay_transaction(
        &mut self,
        name: &str,
        record: &Record,
    ) -> Result<(), phisync_state::ReadError> {
        // Ids are ours: under another name there is nothing.
        if let Ok(id) = TransactionId::parse(name) {
            let event = recovery::decode(record)?;
            self.transactions.fold(&id, &event, record.at);
        }
        Ok(())
    }

    /// Takes the names of `plan` for a transaction, and records that it begins.
    ///
    /// # Errors
    /// Another transaction has one of the names; a lock or a document is not as expected.
    pub fn begin_transaction(
        &mut self,
        id: &TransactionId,
        plan: &Plan,
        intent: Intent,
        writer: &Writer,
        now: Now,
    ) -> Result<TransactionState, Refusal> {
        let names: Vec<String> = plan.disk_names().collect();
        for name in &names {
            if let Some(by) = self.transactions.taken.get(name) {
                return Err(Refusal::FilesTaken {
                    path: name.clone(),
                    by: by.clone(),
                });
            }
        }
        // Refused now, it leaves no trace; it is checked again when it is decided.
        self.check_writer(writer, plan.documents(), now)?;
        self.decide_documents(plan.documents(), Some(id), &intent.by)?;
        for under in plan.under() {
            self.lock_guard(under)?;
        }
        let event = TransactionEvent::Began(intent);
        let entry = entry(id, 0, std::slice::from_ref(&event));
        if !self.append_apart(vec![entry], now)? {
            return Err(Refusal::LostRace);
        }
        let taken = names.into_iter().map(|name| (name, id.clone()));
        self.transactions.taken.extend(taken);
        self.transactions.fold(id, &event, now.wall);
        self.open_transaction(id)
    }

    /// Makes a transaction happen, with all that it says about documents; one without files begins
    /// and ends in the same record.
    ///
    /// # Errors
    /// A document or a lock is not as expected (any more), it is somebody else's turn, or the task of the
    /// writer is not its own any more: the caller aborts what it staged.
    pub fn decide_transaction(
        &mut self,
        id: &TransactionId,
        decision: &Decision,
        documents: &[DocumentChange],
        intent: &Intent,
        writer: &Writer,
        now: Now,
    ) -> Result<TransactionState, Refusal> {
        let verdict = self.transact(now, |c| {
            // Another writer may have been faster: then everything that is relied on is read again.
            for change in documents {
                c.refresh_document(&change.name)?;
            }
            for under in &decision.under {
                c.refresh_lock(&under.lock, now)?;
            }
            c.decide_for_writer(id, decision, documents, intent, writer, now)
        })?;
        let state = self.decided(verdict, now)?;
        for change in documents {
            self.wrote_in_turn(&change.name, &writer.turns, now);
        }
        Ok(state)
    }

    /// What a decision would append, as everything is now. Its entries may go into one batch with
    /// others; if that batch is appended, [`Self::decided`] must follow.
    ///
    /// # Errors
    /// A document or a lock is not as expected.
    pub(super) fn verdict(
        &self,
        id: &TransactionId,
        decision: &Decision,
        documents: &[DocumentChange],
        intent: &Intent,
    ) -> Result<Verdict, Refusal> {
        let open = self.transactions.open.get(id);
        let version = open.map_or(0, |state| state.version);
        let mut events = Vec::new();
        if version == 0 {
            events.push(TransactionEvent::Began(intent.clone()));
        }
        let (steps, documents) = self.decide_documents(documents, Some(id), &intent.by)?;
        events.push(TransactionEvent::Decided(Decision {
            documents: steps,
            ..decision.clone()
        }));
        if decision.files.is_empty() {
            events.push(TransactionEvent::Finished { kept: Vec::new() });
            events.push(TransactionEvent::Swept {});
        }
        let guards = decision.under.iter().map(|under| self.lock_guard(under));
        Ok(Verdict {
            id: id.clone(),
            version,
            events,
            documents,
            guards: guards.collect::<Result<_, _>>()?,
        })
    }

    /// Folds a verdict that was appended.
    ///
    /// # Errors
    /// None of a transaction that began; see [`Self::transaction`].
    pub(super) fn decided(
        &mut self,
        verdict: Verdict,
        now: Now,
    ) -> Result<TransactionState, Refusal> {
        for event in &verdict.events {
            self.transactions.fold(&verdict.id, event, now.wall);
        }
        for document in verdict.documents {
            self.documents.wrote(document, now.wall);
        }
        self.transaction(&verdict.id)
    }

    /// Records how far an open transaction is.
    ///
    /// # Errors
    /// Only the store's.
    pub fn record_transaction(
        &mut self,
        id: &TransactionId,
        event: &TransactionEvent,
        now: Now,
    ) -> Result<TransactionState, Refusal> {
        let mut state = self.open_transaction(id)?;
        let entry = entry(id, state.version, std::slice::from_ref(event));
        if !self.append_apart(vec![entry], now)? {
            return Err(Refusal::LostRace);
        }
        self.transactions.fold(id, event, now.wall);
        state.apply(event);
        Ok(state)
    }

    /// The transactions of which something is left to do.
    #[must_use]
    pub fn open_transactions(&self) -> Vec<TransactionState> {
        self.transactions.open.values().cloned().collect()
    }

    fn open_transaction(&self, id: &TransactionId) -> Result<TransactionState, Refusal> {
        let open = self.transactions.open.get(id);
        open.cloned().ok_or_else(|| no_transaction(id.as_str()))
    }

    /// A transaction, open or closed.
    ///
    /// # Errors
    /// There is none of that name, or the store cannot be read.
    pub fn transaction(&self, id: &TransactionId) -> Result<TransactionState, Refusal> {
        let closed = self.transactions.just_closed.iter();
        let fresh = closed.rev().find(|state| state.id == *id);
        if let Some(state) = self.transactions.open.get(id).or(fresh) {
            return Ok(state.clone());
        }
        if !self.transactions.closed.contains_key(id) {
            return Err(no_transaction(id.as_str()));
        }
        let records = self.store.read(&id.stream(), 1)?;
        let events = records.iter().map(recovery::decode::<TransactionEvent>);
        let events: Vec<_> = events.collect::<Result<_, _>>()?;
        let state = TransactionState::replay(id.clone(), &events);
        state.ok_or_else(|| no_transaction(id.as_str()))
    }

    /// The transaction that a text names: all of its name, or a beginning that no other has.
    ///
    /// # Errors
    /// None, or several.
    pub fn find_transaction(&self, text: &str) -> Result<TransactionId, Refusal> {
        let known = || {
            let open = self.transactions.open.keys();
            open.chain(self.transactions.closed.keys())
        };
        if let Some(exact) = known().find(|id| id.as_str() == text) {
            return Ok(exact.clone());
        }
        let mut alike = known().filter(|id| !text.is_empty() && id.as_str().starts_with(text));
        match (alike.next(), alike.next()) {
            (Some(only), None) => Ok(only.clone()),
            (Some(first), Some(second)) => Err(Refusal::Ambiguous {
                prefix: text.to_owned(),
                candidates: vec![first.to_string(), second.to_string()],
            }),
            (None, _) => Err(no_transaction(text)),
        }
    }

    /// All transactions, by name.
    #[must_use]
    pub fn transactions(&self) -> Vec<TransactionSummary> {
        let open = self.transactions.open.values().map(|state| {
            let closed = Closed::of(state, Timestamp::default());
            summary(&state.id, &closed, None)
        });
        let closed = self.transactions.closed.iter();
        let closed = closed.map(|(id, closed)| summary(id, closed, Some(closed.at)));
        let mut all: Vec<_> = open.chain(closed).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// After a snapshot: forgets what it has left out, transactions that were closed before `since` and concurrency keys
    /// that nobody has.
    pub fn forget_outlived(&mut self, since: Timestamp) {
        self.forget_free_slots();
        self.transactions
            .closed
            .retain(|_, closed| closed.at >= since);
    }

    /// The transactions whose contents may still be needed: the open ones, and those that were
    /// closed after `since`.
    #[must_use]
    pub fn transactions_since(&self, since: Timestamp) -> Vec<TransactionId> {
        let open = self.transactions.open.keys().cloned();
        let closed = self.transactions.closed.iter();
        let young = closed.filter(|(_, closed)| closed.at >= since);
        open.chain(young.map(|(id, _)| id.clone())).collect()
    }
}

fn summary(id: &TransactionId, closed: &Closed, at: Option<Timestamp>) -> TransactionSummary {
    TransactionSummary {
        id: id.to_string(),
        status: closed.status.to_owned(),
        by: closed.by.clone(),
        reason: closed.reason.clone(),
        reverts: closed.reverts.as_ref().map(ToString::to_string),
        changes: closed.changes,
        conflicts: closed.kept,
        closed_at: at.map(|at| at.to_string()),
    }
}

fn no_transaction(id: &str) -> Refusal {
    Refusal::NotFound {
        what: "transaction",
        id: id.to_owned(),
    }
}

fn entry(id: &TransactionId, version: u64, events: &[TransactionEvent]) -> Entry {
    let events = events.iter();
    Entry {
        stream: id.stream(),
        expected: Expected::Version(version),
        events: events.map(print).collect(),
    }
}
