//! A rival that is faster once: before a chosen append it writes something of its own to one of the
//! streams that the append relies on, so that the append loses the race.

use std::sync::atomic::{AtomicU64, Ordering};

use phisync_state::{AppendError, Appended, Entry, MemoryStore, Store as _, StreamName, Timestamp};

use crate::contested::{ContestedStore, HARMLESS, Trouble, meddle};

/// A store with a rival.
pub type RivalStore = ContestedStore<Rival>;

/// See the module.
pub struct Rival {
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
        Self::troubled(Rival {
            strikes_at: nth,
            strikes_entry: entry,
            appends: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        })
    }

    /// How many appends were tried.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.trouble.appends.load(Ordering::SeqCst)
    }

    /// How often the rival was faster.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.trouble.struck.load(Ordering::SeqCst)
    }
}

impl Rival {
    fn strike(&self, store: &MemoryStore, at: Timestamp, stream: &StreamName) {
        let (kind, _) = stream
            .as_str()
            .split_once('/')
            .expect("our streams have a kind");
        let last = || {
            let records = store.read(stream, 1).expect("memory can be read");
            records.last().map(|record| record.event.clone())
        };
        let event = match (kind, last()) {
            ("run", Some(_)) => HARMLESS.to_owned(),
            ("agent" | "workflow", Some(last)) => last,
            ("agent", None) => NOTHING_NEW.to_owned(),
            // There is nothing harmless to begin such a stream with.
            _ => return,
        };
        meddle(store, at, stream, event);
        self.struck.fetch_add(1, Ordering::SeqCst);
    }
}

const NOTHING_NEW: &str =
    r#"{"verdict_changed":{"from":"unseen","to":"unseen","silent_ms":0,"limit_ms":60000,"at":0}}"#;

impl Trouble for Rival {
    fn append(
        &self,
        store: &MemoryStore,
        at: Timestamp,
        batch: Vec<Entry>,
    ) -> Result<Appended, AppendError> {
        let nth = self.appends.fetch_add(1, Ordering::SeqCst) + 1;
        if nth == self.strikes_at
            && let Some(entry) = batch.get(self.strikes_entry)
        {
            self.strike(store, at, &entry.stream);
        }
        store.append(at, batch)
    }
}
