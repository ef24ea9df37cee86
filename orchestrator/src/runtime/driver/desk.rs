//! What jobs work on: the coordinator, and those who wait for it to get further.

use std::collections::BTreeMap;

use phisync_agents::protocol::Task;

use super::Reply;
use super::line::Waiter;
use crate::coordinator::{Coordinator, LockGrant, PollId};
use crate::engine::RunId;
use crate::protocol::{DocumentTurn, Started};

/// What a watcher waits for.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// The run has more events than this, or is closed.
    After(u64),
    /// The run is closed.
    Closed,
}

/// One who waits for a run to get further.
pub(super) enum Watch {
    /// Wants to know that it has.
    Progress(Until, Reply<()>),
    /// Wants its outcome.
    Outcome(Reply<Started>),
}

impl Watch {
    pub(super) fn is_served_by(&self, progress: (u64, bool)) -> bool {
        match self {
            Self::Progress(until, _) => reached(*until, progress),
            Self::Outcome(_) => reached(Until::Closed, progress),
        }
    }

    /// Whether whoever waited is gone.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Progress(_, reply) => reply.is_closed(),
            Self::Outcome(reply) => reply.is_closed(),
        }
    }
}

/// What jobs work on: the coordinator, and who waits for it to get further.
pub(super) struct Desk {
    pub(super) coordinator: Coordinator,
    pub(super) polls: BTreeMap<PollId, (String, Reply<Vec<Task>>)>,
    pub(super) watches: BTreeMap<RunId, Vec<Watch>>,
    pub(super) lock_waiters: BTreeMap<u64, Waiter<LockGrant>>,
    pub(super) turn_waiters: BTreeMap<u64, Waiter<DocumentTurn>>,
}

impl Desk {
    pub(super) fn watch(&mut self, run: RunId, watch: Watch) {
        let watches = self.watches.entry(run).or_default();
        watches.retain(|other| !other.is_abandoned());
        watches.push(watch);
    }
}

/// Whether a run with this many events, closed or not, is where somebody waits for it to be.
pub(super) fn reached(until: Until, (version, closed): (u64, bool)) -> bool {
    closed
        || match until {
            Until::After(seen) => version > seen,
            Until::Closed => false,
        }
}
