//! A bad day, decided by a seed: appends lose races that nobody ran, others write in between, and some
//! are done though the answer says that nobody knows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use phisync_state::env::{Entropy as _, SeededEntropy};
use phisync_state::{AppendError, Appended, Entry, MemoryStore, Store as _, Timestamp, Unknown};

use crate::contested::{ContestedStore, HARMLESS, Trouble, meddle};

/// A store on a bad day.
pub type UnsteadyStore = ContestedStore<BadDay>;

/// See the module.
pub struct BadDay {
    dice: Mutex<SeededEntropy>,
    steady: AtomicBool,
    /// Conflicts, foreign writes and unknown outcomes so far.
    struck: Mutex<[u32; 3]>,
}

impl UnsteadyStore {
    /// Everything that happens follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::troubled(BadDay {
            dice: Mutex::new(SeededEntropy::new(seed)),
            steady: AtomicBool::new(false),
            struck: Mutex::new([0; 3]),
        })
    }

    /// From now on it does what it is asked for.
    pub fn calm(&self) {
        self.trouble.steady.store(true, Ordering::SeqCst);
    }

    /// How often each kind of trouble came: conflicts, foreign writes, unknown outcomes.
    ///
    /// # Panics
    /// Never: nothing panics while it is locked.
    #[must_use]
    pub fn struck(&self) -> [u32; 3] {
        *self
            .trouble
            .struck
            .lock()
            .expect("nothing panics meanwhile")
    }
}

impl BadDay {
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

    /// Somebody else writes to a run that the append is about.
    fn write_between(&self, store: &MemoryStore, at: Timestamp, batch: &[Entry]) {
        let run = batch.iter().find(|entry| {
            entry.stream.as_str().starts_with("run/") && store.version(&entry.stream) > 0
        });
        if let Some(run) = run {
            meddle(store, at, &run.stream, HARMLESS.to_owned());
            self.count(1);
        }
    }
}

impl Trouble for BadDay {
    fn append(
        &self,
        store: &MemoryStore,
        at: Timestamp,
        batch: Vec<Entry>,
    ) -> Result<Appended, AppendError> {
        match self.throw() {
            0 => {
                self.count(0);
                let entry = batch.first().expect("a batch holds something");
                let stream = entry.stream.clone();
                let actual = store.version(&stream);
                Err(AppendError::Conflict {
                    stream,
                    expected: actual,
                    actual,
                })
            }
            1 | 2 => {
                self.write_between(store, at, &batch);
                store.append(at, batch)
            }
            3 => {
                store.append(at, batch)?;
                self.count(2);
                let reason = Arc::from("the answer was lost");
                Err(AppendError::Closed(Unknown { reason }))
            }
            _ => store.append(at, batch),
        }
    }
}
