//! Rewind: all runs and documents as they stood at an earlier moment, as one record.
//!
//! Runs go back by a fact each, and are paused; what began later is closed as cancelled; documents get
//! new versions with their old contents; who holds a concurrency key is who held it then. Schedules that
//! fired, keys, events that were sent, registered versions, named locks and files on disk stay as they are.
//! It is one batch: all of it, or nothing. The thread that decides reads the records of every run
//! that goes back, and does nothing else meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use phisync_state::transaction::{
    DocumentChange, DocumentEvent, DocumentExpect, TransactionId, document_stream,
};
use phisync_state::{FileId, ReadError, Record, Seq, StreamName, Timestamp, Version};

use crate::engine::{self, Moment, Phase, Rewind, RunEvent, RunId, RunState, TaskStatus, Trigger};
use crate::protocol::{EffectLeft, RewindAnswer, RewoundDocument, RewoundRun};

use super::documents::WrittenDocument;
use super::notices::StoreEvent;
use super::slots::SlotEvent;
use super::{Coordinator, Now, OpenRun, Refusal, recovery};

/// A moment of a store's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Behind the record of this sequence, and what was appended together with it.
    Seq(Seq),
    /// At this instant.
    Time(Timestamp),
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seq(seq) => write!(f, "sequence {}", seq.0),
            Self::Time(at) => write!(f, "{at}"),
        }
    }
}

/// Who wants everything to go back, and where to.
#[derive(Clone, Debug)]
pub struct RewindOrder {
    /// To this moment.
    pub to: Point,
    /// Who.
    pub by: String,
    /// In their words.
    pub reason: String,
    /// Whether it is to happen; without, it is only told what would.
    pub confirmed: bool,
}

/// Why nothing goes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewindRefusal {
    /// It has not come yet.
    #[error("{to} has not come yet: the head is at sequence {}", head.0)]
    NotYet {
        /// What was asked for.
        to: Point,
        /// Where the store is.
        head: Seq,
    },
    /// There was nothing.
    #[error("{0} is before everything that is recorded")]
    BeforeAll(Point),
    /// Archived runs do not go back.
    #[error(
        "runs that closed after {to} are in archives already: a rewind reaches back to {earliest}"
    )]
    Archived {
        /// What was asked for.
        to: Timestamp,
        /// The last of them closed then.
        earliest: Timestamp,
    },
    /// Old records of something that never closes are gone.
    #[error("stream `{stream}` is not kept as far back as {to}")]
    Trimmed {
        /// Of what.
        stream: String,
        /// What was asked for.
        to: Timestamp,
    },
    /// Nobody said why.
    #[error("a rewind needs a reason: it is recorded with every run that goes back")]
    NoReason,
}

/// The last record that still counts, and what has happened since.
struct Cut {
    seq: Seq,
    at: Timestamp,
    /// The streams that have later records.
    moved: BTreeSet<StreamName>,
}

/// A run that goes back, not recorded yet.
struct Returning {
    id: RunId,
    before: Version,
    state: RunState,
    events: Vec<RunEvent>,
    row: RewoundRun,
}

impl Coordinator {
    /// Takes everything back to an earlier moment, or says what that would do.
    ///
    /// # Errors
    /// See [`RewindRefusal`]; the store's. Nothing has happened then.
    pub fn rewind(&mut self, order: &RewindOrder, now: Now) -> Result<RewindAnswer, Refusal> {
        if order.reason.trim().is_empty() {
            return Err(RewindRefusal::NoReason.into());
        }
        let mut written = Vec::new();
        let mut schedules = BTreeSet::new();
        let answer = self.transact(now, |c| {
            c.wait_until_durable()?;
            let cut = c.cut(order.to)?;
            c.check_reach(&cut)?;
            let returning = c.returning(&cut, order, now)?;
            let (documents, rows) = c.returning_documents(&cut, &order.by)?;
            let slots = c.returning_slots(&cut, now)?;
            let answer = RewindAnswer {
                done: order.confirmed,
                seq: cut.seq.0,
                at: cut.at.to_string(),
                runs: returning.iter().map(|run| run.row.clone()).collect(),
                documents: rows,
                transactions: c.decided_since(&cut)?,
            };
            if !order.confirmed {
                return Ok(answer);
            }
            let rewound = StoreEvent::StoreRewound {
                to: cut.seq,
                since: cut.at,
                by: order.by.clone(),
                reason: order.reason.clone(),
                runs: returning.len() as u64,
                documents: documents.len() as u64,
                at: now.wall,
            };
            c.note_of_store(&rewound);
            schedules = returning.iter().filter_map(schedule_of).collect();
            for run in returning {
                c.send_back(run, now);
            }
            for (stream, events) in &slots {
                c.note_slots(stream, events);
            }
            let entries = documents.iter().map(WrittenDocument::entry);
            c.batch.entries.extend(entries);
            written = documents;
            Ok(answer)
        })?;
        if answer.done {
            for document in written {
                self.documents.wrote(document, now.wall);
            }
            for key in &schedules {
                self.reload_schedule(key)?;
            }
        }
        Ok(answer)
    }

    /// Waits until everything that was appended here is durable: only that can be read.
    ///
    /// # Errors
    /// The store failed.
    pub fn wait_until_durable(&self) -> Result<(), Refusal> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let then = move |durable| {
            // Whoever waits is there until this is told.
            let _told = tell.send(durable);
        };
        self.store.when_durable(self.last, Box::new(then));
        match told.recv() {
            Ok(durable) => Ok(durable.map(drop)?),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Finds the last record of the moment, and with it all that was appended at the same instant: an
    /// operation goes back whole or not at all.
    fn cut(&self, to: Point) -> Result<Cut, Refusal> {
        let head = self.store.head().seq;
        if matches!(to, Point::Seq(seq) if seq > head) {
            return Err(RewindRefusal::NotYet { to, head }.into());
        }
        let mut last: Option<(Seq, Timestamp)> = None;
        let mut moved = BTreeSet::new();
        self.store.scan("", Seq(0), &mut |record| {
            let fits = match to {
                Point::Seq(seq) => record.seq <= seq,
                Point::Time(at) => record.at <= at,
            };
            let together = last.is_some_and(|(_, at)| record.at == at);
            if moved.is_empty() && (fits || together) {
                last = Some((record.seq, record.at));
            } else {
                moved.insert(record.stream);
            }
            true
        })?;
        let (seq, at) = last.ok_or(RewindRefusal::BeforeAll(to))?;
        Ok(Cut { seq, at, moved })
    }

    fn check_reach(&self, cut: &Cut) -> Result<(), RewindRefusal> {
        let earliest = self.last_archived_end();
        match earliest {
            Some(earliest) if earliest > cut.at => Err(RewindRefusal::Archived {
                to: cut.at,
                earliest,
            }),
            _ => Ok(()),
        }
    }

    /// Every run that is open, and every one that has moved since.
    fn returning(
        &mut self,
        cut: &Cut,
        order: &RewindOrder,
        now: Now,
    ) -> Result<Vec<Returning>, Refusal> {
        let moved = cut.moved.iter().filter_map(|stream| {
            let id = stream.as_str().strip_prefix("run/")?;
            RunId::parse(id)
        });
        let mut ids: BTreeSet<RunId> = moved.collect();
        ids.extend(self.open.keys().cloned());
        let order = Rewind {
            by: order.by.clone(),
            reason: order.reason.clone(),
            since: cut.at,
        };
        let mut returning = Vec::new();
        for id in ids {
            let moment = self.moment(now);
            returning.extend(self.returning_run(id, cut, &order, moment)?);
        }
        Ok(returning)
    }

    fn returning_run(
        &self,
        id: RunId,
        cut: &Cut,
        order: &Rewind,
        moment: Moment,
    ) -> Result<Option<Returning>, Refusal> {
        let records = self.store.read(&id.stream(), 1)?;
        // Without its machine a run is not driven either.
        let Some(run) = self.folded(&id, &records)? else {
            return Ok(None);
        };
        let kept = records.partition_point(|record| record.seq <= cut.seq);
        let facts = records.iter().map(recovery::decode::<RunEvent>);
        let facts: Vec<_> = facts.collect::<Result<_, ReadError>>()?;
        let whole = (&run.machine, &id, run.version);
        let (state, decision) = match kept {
            0 => engine::undo_start(whole, &facts, order, moment),
            kept => engine::rewind(whole, &facts, kept as u64, order, moment),
        };
        let effects = engine::effects(&run.machine, &facts[kept..]);
        let effects = effects.into_iter().map(|effect| EffectLeft {
            step: effect.step,
            kind: effect.kind.to_owned(),
            irreversible: effect.irreversible,
        });
        let held = run.live_tasks();
        let held = held.filter(|(_, task)| task.status == TaskStatus::Running);
        let row = RewoundRun {
            run: id.to_string(),
            workflow: run.machine.name().to_owned(),
            now: run.status.as_str().to_owned(),
            then: match state.phase {
                Phase::Closed => state.status.as_str(),
                _ => "paused",
            }
            .to_owned(),
            taken_back: (records.len() - kept) as u64,
            revoked: held.map(|(task, _)| task.print(&run)).collect(),
            effects: effects.collect(),
        };
        Ok(Some(Returning {
            before: run.version,
            id,
            state,
            events: decision.events,
            row,
        }))
    }

    /// Documents that have changed since, with their contents of then.
    fn returning_documents(
        &self,
        cut: &Cut,
        by: &str,
    ) -> Result<(Vec<WrittenDocument>, Vec<RewoundDocument>), Refusal> {
        let mut changes = Vec::new();
        let mut rows = Vec::new();
        let names = cut.moved.iter().filter_map(|stream| {
            let name = stream.as_str().strip_prefix("doc/")?;
            // Under another name nothing was ever written, and nothing is shown.
            FileId::new(name).ok()
        });
        for name in names {
            let records = self.store.read(&document_stream(&name), 1)?;
            let then = last_before(&records, cut)?;
            let content = match then.map(recovery::decode::<DocumentEvent>).transpose()? {
                Some(DocumentEvent::Written { content, .. }) => Some(Arc::from(content.get())),
                Some(DocumentEvent::Deleted { .. }) | None => None,
            };
            if self.documents.has(&name, content.as_ref()) {
                continue;
            }
            rows.push(RewoundDocument {
                name: name.to_string(),
                now: records.last().map_or(0, |last| last.version),
                then: then.map_or(0, |then| then.version),
                deleted: content.is_none(),
            });
            changes.push(DocumentChange {
                name,
                content,
                expect: DocumentExpect::Anything,
            });
        }
        let (_, written) = self.decide_documents(&changes, None, by)?;
        Ok((written, rows))
    }

    /// The concurrency keys that others have had since, with the facts that give them back.
    fn returning_slots(
        &self,
        cut: &Cut,
        now: Now,
    ) -> Result<BTreeMap<String, Vec<SlotEvent>>, Refusal> {
        let mut slots = BTreeMap::new();
        let streams = cut.moved.iter();
        for stream in streams.filter(|stream| stream.as_str().starts_with("slots/")) {
            let records = self.store.read(stream, 1)?;
            last_before(&records, cut)?;
            let kept = records.partition_point(|record| record.seq <= cut.seq);
            let events = self.slots_as_after(stream.as_str(), &records[..kept], now)?;
            slots.insert(stream.to_string(), events);
        }
        Ok(slots)
    }

    /// Transactions that have changed files since: those stay as they are.
    fn decided_since(&self, cut: &Cut) -> Result<Vec<String>, Refusal> {
        let mut decided = Vec::new();
        let streams = cut.moved.iter();
        let names = streams.filter_map(|stream| stream.as_str().strip_prefix("tx/"));
        // As with documents: there are no others.
        for id in names.filter_map(|name| TransactionId::parse(name).ok()) {
            let state = self.transaction(&id)?;
            if state
                .decision
                .is_some_and(|decision| !decision.files.is_empty())
            {
                decided.push(id.to_string());
            }
        }
        Ok(decided)
    }

    /// Puts a run in the place of what it has become, in the batch under way.
    fn send_back(&mut self, run: Returning, now: Now) {
        let Returning {
            id,
            before,
            state,
            events,
            ..
        } = run;
        if let Some(old) = self.open.remove(&id) {
            if let Some(due) = old.due {
                self.due.remove(&(due, id.clone()));
            }
            for (task, _) in old.state.live_tasks() {
                self.remember_lease(&task);
                self.ready.remove(&task);
                self.end_lease(&task);
            }
        }
        self.closed.remove(&id);
        self.stale_views.run_reopened(&id);
        self.enter(&state);
        self.open.insert(id.clone(), OpenRun { state, due: None });
        self.batch.add(id.stream(), before, &events);
        self.batch.touched.insert(id.clone());
        self.resume(&id, now);
    }
}

fn schedule_of(run: &Returning) -> Option<(String, String)> {
    match &run.state.trigger {
        Some(Trigger::Schedule { id, .. }) => {
            Some((run.state.machine.name().to_owned(), id.clone()))
        }
        _ => None,
    }
}

/// The last record that still counts.
///
/// # Errors
/// There was one, but it is not kept any more.
fn last_before<'r>(records: &'r [Record], cut: &Cut) -> Result<Option<&'r Record>, RewindRefusal> {
    let last = records.iter().rfind(|record| record.seq <= cut.seq);
    match records.first() {
        Some(first) if last.is_none() && first.version > 1 => Err(RewindRefusal::Trimmed {
            stream: first.stream.to_string(),
            to: cut.at,
        }),
        _ => Ok(last),
    }
}
