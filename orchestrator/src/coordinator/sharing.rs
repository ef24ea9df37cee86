//! Several orchestrators on one store: what each has in memory may be old.
//!
//! Every decision names the versions that it relied on, so an old view loses its race, reads again and
//! decides again. What remains for here: a refusal writes nothing and so would never notice; therefore a
//! run is read again before anything is decided about it, if its stream has moved. Leases live in the
//! memory of the orchestrator that granted them: one that meets a task of another's waits for the end of
//! the attempt instead. Nothing here costs anything where a store has one writer.

use std::time::Duration;

use crate::engine::RunId;

use super::{Coordinator, Now, Refusal};

/// What is believed about the other orchestrators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sharing {
    /// There are none.
    #[default]
    Alone,
    /// There are some.
    Shared,
    /// There are some, and what they did is being read.
    Reading,
}

impl Coordinator {
    /// Other orchestrators write to the store too. Claims then say so in the agent's stream.
    pub fn share_store(&mut self) {
        self.sharing = Sharing::Shared;
    }

    /// Reads a run again if another orchestrator has moved it, or started it.
    pub(super) fn refresh(&mut self, id: &RunId, now: Now) -> Result<(), Refusal> {
        if self.sharing != Sharing::Shared {
            return Ok(());
        }
        let pending = self.batch.touched.contains(id);
        let version = self.store.version(&id.stream());
        let moved = match self.open.get(id) {
            Some(run) => !pending && run.state.version != version,
            None => version > 0 && !self.closed.contains(id),
        };
        if moved { self.reread(id, now) } else { Ok(()) }
    }

    /// Reads a run that another orchestrator may have moved.
    pub(super) fn reread(&mut self, id: &RunId, now: Now) -> Result<(), Refusal> {
        let before = self.sharing;
        if before == Sharing::Shared {
            self.sharing = Sharing::Reading;
        }
        let read = self.reload(id, now);
        self.sharing = before;
        read
    }

    /// Reads the runs again whose tasks an agent holds, so that it is known how many it holds.
    pub(super) fn refresh_agent(&mut self, agent: &str, now: Now) -> Result<(), Refusal> {
        if self.sharing == Sharing::Shared {
            for task in self.leases.held_by(agent) {
                self.refresh(&task.run, now)?;
            }
        }
        Ok(())
    }

    /// The lease of a task that is found held: its own length, or the rest of the attempt if somebody
    /// else may have granted it, whose heartbeats are not heard here.
    pub(super) fn lease_found(&self, own: Duration, rest: Duration) -> Duration {
        match self.sharing {
            Sharing::Alone | Sharing::Shared => own,
            Sharing::Reading => own.max(rest),
        }
    }
}
