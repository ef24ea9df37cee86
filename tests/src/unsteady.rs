//! A store that several orchestrators share, on a bad day, decided by a seed: appends lose races that
//! nobody ran, others write in between, and some are done though the answer says that nobody knows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use phisync_state::env::{Entropy as _, SeededEntropy};
use phisync_state::{
    AppendError, Appended, Durability, Durable, Entry, Expected, Head, MemoryStore, ReadError,
    Record, Seq, Store, StreamName, Timestamp, Unknown, Version,
};

/// See the module.
pub struct UnsteadyStore {
    inner: Arc<MemoryStore>,
    dice: Mutex<SeededEntropy>,
    steady: AtomicBool,
    /// Conflicts, foreign writes and unknown outcomes so far.
    struck: Mutex<[u32; 3]>,
}

impl UnsteadyStore {
    /// Everything that happens follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            dice: Mutex::new(SeededEntropy::new(seed)),
            steady: AtomicBool::new(false),
            struck: Mutex::new([0; 3]),
        }
    }

    /// From now on it does what it is asked for.
    pub fn calm(&self) {
        self.steady.store(true, Ordering::SeqCst);
    }

    /// How often each kind of trouble came: conflicts, foreign writes, unknown outcomes.
    ///
    /// # Panics
    /// Never: nothing panics while it is locked.
    #[must_use]
    pub fn struck(&self) -> [u32; 3] {
        *self.struck.lock().expect("nothing panics meanwhile")
    }

    fn throw(&self) -> u64 {
        if self.steady.load(Ordering::SeqCst) {
            return u64::MAX;
        }
        let mut dice = self.dice.lock().expect("nothing panics meanwhile");
        dice.next_u64() % 24
    }

    fn count(&self, kind: usize) {
        self.struck.lock().expect("nothing panics meanwhile")[kind] += 1;
    }

    /// Somebody else writes to a run that the append is about, without changing anything.
    fn meddle(&self, at: Timestamp, batch: &[Entry]) {
        let run = batch.iter().find(|entry| {
            entry.stream.as_str().starts_with("run/") && self.inner.version(&entry.stream) > 0
        });
        if let Some(run) = run {
            let entry = Entry {
                stream: run.stream.clone(),
                expected: Expected::Any,
                events: vec![r#"{"step_skipped":{"step":"not-a-step","at":0}}"#.to_owned()],
            };
            let written = self.inner.append(at, vec![entry]);
            written.expect("the rival may write");
            self.count(1);
        }
    }
}

impl Store for UnsteadyStore {
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError> {
        match self.throw() {
            0 => {
                self.count(0);
                let entry = batch.first().expect("a batch holds something");
                let stream = entry.stream.clone();
                let actual = self.inner.version(&stream);
                Err(AppendError::Conflict {
                    stream,
                    expected: actual,
                    actual,
                })
            }
            1 | 2 => {
                self.meddle(at, &batch);
                self.inner.append(at, batch)
            }
            3 => {
                self.inner.append(at, batch)?;
                self.count(2);
                let reason = Arc::from("the answer was lost");
                Err(AppendError::Closed(Unknown { reason }))
            }
            _ => self.inner.append(at, batch),
        }
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
