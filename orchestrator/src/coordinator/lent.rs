//! Records of archived runs that somebody else has read, for the coordinator's thread not to have to.
//!
//! Whoever asks about a run that has left memory reads its archive on a thread where nobody else waits, and
//! lends the records for the length of one operation. What nobody lent is still read here.

use std::sync::Arc;

use phisync_state::{ReadError, Record};

use crate::engine::RunId;

use super::{Coordinator, Now};

/// What is lent for one operation: each run with all its records.
#[derive(Clone, Debug, Default)]
pub struct Lent(Vec<(RunId, Arc<Vec<Record>>)>);

impl Lent {
    /// Adds a run.
    pub fn add(&mut self, run: RunId, records: Vec<Record>) {
        self.0.push((run, Arc::new(records)));
    }

    /// The operation with this at hand.
    pub fn to<T>(
        self,
        operation: impl FnOnce(&mut Coordinator, Now) -> T,
    ) -> impl FnOnce(&mut Coordinator, Now) -> T {
        move |coordinator, now| {
            coordinator.lent = self;
            let done = operation(coordinator, now);
            coordinator.lent = Self::default();
            done
        }
    }
}

impl Coordinator {
    /// All records of a run.
    pub(super) fn records_of(&self, id: &RunId) -> Result<Arc<Vec<Record>>, ReadError> {
        match self.lent.0.iter().find(|(run, _)| run == id) {
            Some((_, records)) => Ok(Arc::clone(records)),
            None => self.store.read(&id.stream(), 1).map(Arc::new),
        }
    }
}
