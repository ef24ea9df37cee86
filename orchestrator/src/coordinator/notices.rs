//! What happened to the store itself: facts of the stream `store`, which belong to no run.

use phisync_state::{Seq, StreamName, Timestamp};
use serde::{Deserialize, Serialize};

use super::Coordinator;

/// The stream's name.
const STREAM: &str = "store";

/// A fact of the stream `store`. Format version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreEvent {
    /// Everything went back to an earlier moment; each run says so itself.
    StoreRewound {
        /// The last record that still counts of runs and documents.
        to: Seq,
        /// When that was appended.
        since: Timestamp,
        /// Who.
        by: String,
        /// In their words.
        reason: String,
        /// How many runs went back.
        runs: u64,
        /// And documents.
        documents: u64,
        /// When.
        at: Timestamp,
    },
}

impl Coordinator {
    /// Adds a fact to the batch under way.
    pub(super) fn note_of_store(&mut self, event: &StoreEvent) {
        let stream = StreamName::new(STREAM);
        let before = self.store.version(&stream);
        self.batch.add(stream, before, std::slice::from_ref(event));
    }
}
