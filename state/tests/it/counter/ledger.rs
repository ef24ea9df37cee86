//! What the users of a store know: what they asked for, and what they were told.

use std::path::Path;
use std::sync::mpsc;

use phisync_state::env::SimDisk;
use phisync_state::{
    AppendError, Entry, Expected, FileStore, Head, Record, Seq, Store, StreamName, Timestamp,
    Unknown, dump,
};

use crate::support::{DATA, durable, everything};

/// One event, as it was asked for and as it must be found.
pub(crate) type Event = (String, String);

/// See the module. Written by a workload, read by the judge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// All events that were appended, in order.
    pub(crate) asked: Vec<Event>,
    /// How many events there were after each append: no crash may stop in between.
    pub(crate) ends: Vec<u64>,
    /// The last head that somebody was told.
    pub(crate) told: Option<Head>,
    /// How many events a reader has seen.
    pub(crate) seen: u64,
    /// Events that were refused: they must never be found.
    pub(crate) refused: Vec<Event>,
}

impl Ledger {
    /// Takes over what an older version left: all of it was told.
    pub(crate) fn inherit(&mut self, disk: &SimDisk) {
        let mut visit = |record: Record| {
            self.asked.push((record.stream.to_string(), record.event));
        };
        let head = dump(disk, Path::new(DATA), &mut visit);
        let head = head.expect("the fixture is sound");
        self.ends.push(head.seq.0);
        self.told = Some(head);
    }

    /// Appends events, each to its stream, as one batch; the sequence of the last if they took their
    /// place.
    pub(crate) fn append(&mut self, store: &FileStore, events: &[Event]) -> Option<Seq> {
        let entries = events.iter().map(|(stream, event)| Entry {
            stream: StreamName::new(stream),
            expected: Expected::Any,
            events: vec![event.clone()],
        });
        let at = Timestamp::from_micros(1_795_348_800_000_000);
        match store.append(at, entries.collect()) {
            Ok(appended) => {
                assert_eq!(
                    appended.first.0,
                    self.asked.len() as u64 + 1,
                    "a place twice"
                );
                self.asked.extend_from_slice(events);
                self.ends.push(appended.last.0);
                Some(appended.last)
            }
            Err(AppendError::Closed(_) | AppendError::Full { .. }) => None,
            Err(other) => panic!("the append is valid: {other}"),
        }
    }

    /// Waits until what was appended up to `seq` is durable.
    pub(crate) fn wait(&mut self, store: &FileStore, seq: Seq) -> Result<(), Unknown> {
        let head = durable(store, seq)?;
        assert!(head.seq >= seq, "told too little: {head}");
        self.told = Some(head);
        Ok(())
    }

    /// Appends events and waits for them.
    pub(crate) fn put(&mut self, store: &FileStore, events: &[Event]) -> bool {
        let seq = self.append(store, events);
        seq.is_some_and(|seq| self.wait(store, seq).is_ok())
    }

    /// Appends what relies on a version that the stream does not have.
    pub(crate) fn lose_a_race(&mut self, store: &FileStore, (stream, text): Event) {
        let entry = Entry {
            stream: StreamName::new(&stream),
            expected: Expected::Version(1_000_000),
            events: vec![text.clone()],
        };
        let at = Timestamp::from_micros(0);
        let refused = store.append(at, vec![entry]);
        assert!(refused.is_err(), "nothing has a million events");
        self.refused.push((stream, text));
    }

    /// Reads everything, as somebody who acts on what he sees.
    pub(crate) fn look(&mut self, store: &FileStore) {
        // A disk that fails meanwhile shows nothing.
        let mut count = 0;
        let scanned = store.scan("", Seq(0), &mut |_| {
            count += 1;
            true
        });
        if scanned.is_ok() {
            self.seen = self.seen.max(count);
        }
    }

    /// After a recovery: what is not there is lost for good, what is there was told.
    pub(crate) fn settle(&mut self, store: &FileStore) {
        let found = everything(store).len();
        self.asked.truncate(found);
        self.ends.retain(|end| *end <= found as u64);
        self.seen = self.seen.max(found as u64);
        self.told = Some(store.head());
    }

    /// The number of events that must be found at least.
    pub(crate) fn owed(&self) -> u64 {
        let told = self.told.as_ref().map_or(0, |head| head.seq.0);
        told.max(self.seen)
    }
}

/// Waits for the end of a store that may have failed, so that nothing of it is still under way.
pub(crate) fn ended(store: &FileStore) {
    let (sender, closed) = mpsc::channel();
    sender.send(store.close()).expect("both ends are here");
    drop(closed.recv());
}
