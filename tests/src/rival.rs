//! A store that another writer uses too: before a chosen append it writes something of its own to
//! one of the streams that the append relies on, so that the append loses the race.
//!
//! What the rival writes changes nothing that anybody can see: a fact about a step that no machine
//! has, the same definition again, the same verdict again. So whatever differs afterwards is the
//! loser's fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use phisync_state::{
    AppendError, Appended, Durability, Durable, Entry, Expected, Head, MemoryStore, ReadError,
    Record, Seq, Store, StreamName, Timestamp, Unknown, Version,
};

/// See the module.
pub struct RivalStore {
    inner: Arc<MemoryStore>,
    /// Number of the append that loses, from 1; 0: none does.
    strikes_at: u64,
    /// Which entry of that append the rival writes to.
    strikes_entry: usize,
    appends: AtomicU64,
    struck: AtomicU64,
}

impl RivalStore {
    /// The `nth` append (from 1) that has an entry at place `entry` loses; 0: none does.
    #[must_use]
    pub fn new(nth: u64, entry: usize) -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            strikes_at: nth,
            strikes_entry: entry,
            appends: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        }
    }

    /// How many appends were tried.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.appends.load(Ordering::SeqCst)
    }

    /// How often the rival was faster.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }

    /// The store that both write to.
    #[must_use]
    pub fn shared(&self) -> &Arc<MemoryStore> {
        &self.inner
    }

    fn strike(&self, at: Timestamp, stream: &StreamName) {
        let (kind, _) = stream
            .as_str()
            .split_once('/')
            .expect("our streams have a kind");
        let last = || {
            let records = self.inner.read(stream, 1).expect("memory can be read");
            records.last().map(|record| record.event.clone())
        };
        let event = match (kind, last()) {
            ("run", Some(_)) => r#"{"step_skipped":{"step":"not-a-step","at":0}}"#.to_owned(),
            ("agent" | "workflow", Some(last)) => last,
            ("agent", None) => NOTHING_NEW.to_owned(),
            // There is nothing harmless to begin such a stream with.
            _ => return,
        };
        let entry = Entry {
            stream: stream.clone(),
            expected: Expected::Any,
            events: vec![event],
        };
        self.inner
            .append(at, vec![entry])
            .expect("the rival may write");
        self.struck.fetch_add(1, Ordering::SeqCst);
    }
}

const NOTHING_NEW: &str =
    r#"{"verdict_changed":{"from":"unseen","to":"unseen","silent_ms":0,"limit_ms":60000,"at":0}}"#;

impl Store for RivalStore {
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError> {
        let nth = self.appends.fetch_add(1, Ordering::SeqCst) + 1;
        if nth == self.strikes_at
            && let Some(entry) = batch.get(self.strikes_entry)
        {
            self.strike(at, &entry.stream);
        }
        self.inner.append(at, batch)
    }

    fn when_durable(&self, seq: Seq, then: Durable) {
        self.inner.when_durable(seq, then);
    }

    fn read(&self, stream: &StreamName, from: Version) -> Result<Vec<Record>, ReadError> {
        self.inner.read(stream, from)
    }

    fn scan(
        &self,
        prefix: &str,
        after: Seq,
        visit: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), ReadError> {
        self.inner.scan(prefix, after, visit)
    }

    fn version(&self, stream: &StreamName) -> Version {
        self.inner.version(stream)
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn close(&self) -> Result<(), Unknown> {
        self.inner.close()
    }
}
