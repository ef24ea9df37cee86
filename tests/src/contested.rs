//! A store in memory that somebody else uses too. What that one does at an append is a [`Trouble`];
//! everything else goes through as it is.
//!
//! Nothing that a trouble writes changes what anybody can see: a fact about a step that no machine
//! has, the same definition again, the same verdict again. So whatever differs afterwards is the fault of
//! whoever lost the race.

use std::sync::Arc;

use phisync_state::{
    AppendError, Appended, Durability, Durable, Entry, Expected, Head, MemoryStore, ReadError,
    Record, Seq, Store, StreamName, Timestamp, Unknown, Version,
};

/// What comes in the way of an append, or does not.
pub trait Trouble: Send + Sync {
    /// Does to `store` what an append of `batch` comes to.
    ///
    /// # Errors
    /// The store's, or made-up ones.
    fn append(
        &self,
        store: &MemoryStore,
        at: Timestamp,
        batch: Vec<Entry>,
    ) -> Result<Appended, AppendError>;
}

/// See the module.
pub struct ContestedStore<T> {
    inner: Arc<MemoryStore>,
    pub(crate) trouble: T,
}

impl<T: Trouble> ContestedStore<T> {
    /// An empty store with this trouble.
    pub(crate) fn troubled(trouble: T) -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            trouble,
        }
    }

    /// The store that both write to.
    #[must_use]
    pub fn shared(&self) -> &Arc<MemoryStore> {
        &self.inner
    }
}

/// A fact about a step that no machine has.
pub(crate) const HARMLESS: &str = r#"{"step_skipped":{"step":"not-a-step","at":0}}"#;

/// Somebody else appends `event`, whatever the version.
///
/// # Panics
/// When the store refuses, which a memory does not.
pub(crate) fn meddle(store: &MemoryStore, at: Timestamp, stream: &StreamName, event: String) {
    let entry = Entry {
        stream: stream.clone(),
        expected: Expected::Any,
        events: vec![event],
    };
    let written = store.append(at, vec![entry]);
    written.expect("the rival may write");
}

impl<T: Trouble> Store for ContestedStore<T> {
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError> {
        self.trouble.append(&self.inner, at, batch)
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
