//! A store in memory: the contract without a disk, for tests.
//!
//! Appends are durable at once, as far as memory is; [`MemoryStore::hold`] keeps them back, so that
//! a test can see who waits. Nothing survives the value.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::order::{self, Order};
use super::waiters::Waiters;
use crate::journal::frame::Chain;
use crate::journal::record;
use crate::{
    AppendError, Appended, Durability, Durable, Entry, Head, ReadError, Record, Seq, Store,
    StreamName, Timestamp, Unknown, Version,
};

/// A store that forgets everything when dropped.
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

struct Inner {
    order: Order,
    chain: Chain,
    head: Head,
    records: Vec<Record>,
    /// For each stream the places of its records in `records`.
    streams: Vec<Vec<usize>>,
    waiters: Waiters,
    due: VecDeque<(Durable, Result<Head, Unknown>)>,
    delivering: bool,
    held: bool,
    stopped: Option<Unknown>,
    closed: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                order: Order::new(),
                chain: Chain::GENESIS,
                head: Chain::GENESIS.head(Seq(0)),
                records: Vec::new(),
                streams: Vec::new(),
                waiters: Waiters::default(),
                due: VecDeque::new(),
                delivering: false,
                held: false,
                stopped: None,
                closed: false,
            }),
        }
    }

    /// From now on nothing becomes durable until [`Self::release`] or [`Store::close`].
    pub fn hold(&self) {
        self.inner().held = true;
    }

    /// Makes everything that was held back durable, and what follows at once again.
    pub fn release(&self) {
        let mut inner = self.inner();
        inner.held = false;
        inner.settle();
        drop(inner);
        self.deliver();
    }

    /// Fails as a disk would: what was held back is lost, everybody waiting learns that the
    /// outcome is unknown, and nothing is taken any more.
    pub fn fail(&self, reason: &str) {
        let mut inner = self.inner();
        inner.stop(Unknown {
            reason: Arc::from(reason),
        });
        drop(inner);
        self.deliver();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while the store is locked")
    }

    /// Calls what is due, in order, without the lock. Only one thread at a time does.
    fn deliver(&self) {
        let mut inner = self.inner();
        if inner.delivering {
            return;
        }
        while let Some((then, outcome)) = inner.due.pop_front() {
            inner.delivering = true;
            drop(inner);
            then(outcome);
            inner = self.inner();
        }
        inner.delivering = false;
    }
}

impl Inner {
    /// Makes everything pending durable.
    fn settle(&mut self) {
        while let Some(batch) = self.order.take_pending() {
            self.chain = self.chain.after(&batch.bytes);
            for placed in &batch.placed {
                let line = &batch.bytes[placed.start as usize..placed.end as usize];
                let line = record::decode(line).expect("what was encoded decodes");
                let stream = placed.stream as usize;
                if self.streams.len() <= stream {
                    self.streams.resize_with(stream + 1, Vec::new);
                }
                self.streams[stream].push(self.records.len());
                self.records.push(line.to_record());
            }
            self.head = self.chain.head(batch.last());
            self.order.recycle(batch);
        }
        let head = self.head.clone();
        let due = self.waiters.due(head.seq);
        self.due.extend(due.map(|then| (then, Ok(head.clone()))));
    }

    fn stop(&mut self, unknown: Unknown) {
        let waiting = self.waiters.all();
        self.due
            .extend(waiting.map(|then| (then, Err(unknown.clone()))));
        self.stopped.get_or_insert(unknown);
    }
}

impl Store for MemoryStore {
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError> {
        order::check(&batch)?;
        let mut inner = self.inner();
        if let Some(stopped) = &inner.stopped {
            return Err(stopped.clone().into());
        }
        let appended = inner.order.append(at, &batch)?;
        if !inner.held {
            inner.settle();
        }
        drop(inner);
        self.deliver();
        Ok(appended)
    }

    fn when_durable(&self, seq: Seq, then: Durable) {
        let mut inner = self.inner();
        let head = inner.head.clone();
        if seq <= head.seq {
            inner.due.push_back((then, Ok(head)));
        } else if let Some(stopped) = inner.stopped.clone() {
            inner.due.push_back((then, Err(stopped)));
        } else {
            inner.waiters.add(seq, then);
        }
        drop(inner);
        self.deliver();
    }

    fn read(&self, stream: &StreamName, from: Version) -> Result<Vec<Record>, ReadError> {
        let inner = self.inner();
        let places = inner
            .order
            .stream(stream)
            .and_then(|id| inner.streams.get(id as usize))
            .map_or(&[][..], Vec::as_slice);
        let records = places.iter().map(|&place| &inner.records[place]);
        Ok(records
            .filter(|record| record.version >= from)
            .cloned()
            .collect())
    }

    fn scan(
        &self,
        prefix: &str,
        after: Seq,
        visit: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), ReadError> {
        let start = usize::try_from(after.0).unwrap_or(usize::MAX);
        let found: Vec<Record> = {
            let inner = self.inner();
            let records = inner.records.iter().skip(start);
            records
                .filter(|record| record.stream.as_str().starts_with(prefix))
                .cloned()
                .collect()
        };
        for record in found {
            if !visit(record) {
                break;
            }
        }
        Ok(())
    }

    fn version(&self, stream: &StreamName) -> Version {
        self.inner().order.version(stream)
    }

    fn head(&self) -> Head {
        self.inner().head.clone()
    }

    fn durability(&self) -> Durability {
        Durability::None
    }

    fn close(&self) -> Result<(), Unknown> {
        let mut inner = self.inner();
        let outcome = match inner.stopped.clone() {
            Some(_) if inner.closed => Ok(()),
            Some(unknown) => Err(unknown),
            None => {
                inner.settle();
                inner.stop(Unknown::closed());
                inner.closed = true;
                Ok(())
            }
        };
        drop(inner);
        self.deliver();
        outcome
    }
}
