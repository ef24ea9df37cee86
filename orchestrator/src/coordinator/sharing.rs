//! Several orchestrators on one store: what each has in memory may be old.
//!
//! Every decision names the versions that it relied on, so an old view loses its race, reads again and
//! decides again. What remains for here: a refusal writes nothing and so would never notice; therefore a
//! run is read again before anything is decided about it, if its stream has moved. Leases live in the
//! memory of the orchestrator that granted them: one that meets a task of another's waits for the end of
//! the attempt instead. Nothing here costs anything where a store has one writer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_state::{ReadError, Record, StreamName, Version};

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

    /// After a lost race: takes back what the lost batch made believed of agents and limits (the streams in `ahead`, with
    /// their versions before it), and learns what others have written to any of them. Only what is new is read, and of the
    /// runs those whose tasks were given away by it.
    pub(super) fn learn_news(
        &mut self,
        ahead: &BTreeMap<StreamName, Version>,
        now: Now,
    ) -> Result<(), Refusal> {
        let mut runs = BTreeSet::new();
        self.learn_of_limits(ahead, &mut runs)?;
        self.learn_of_agents(ahead, &mut runs)?;
        if self.sharing == Sharing::Alone {
            return Ok(());
        }
        for run in runs {
            if !self.closed.is_taken(&run) {
                self.reread(&run, now)?;
            }
        }
        Ok(())
    }

    /// The records of a stream that are to be folded: those behind `known`, or all of them if what is believed has gone
    /// ahead of the store and must be forgotten.
    pub(super) fn news(
        &self,
        stream: &StreamName,
        known: Version,
        ahead: Option<&Version>,
    ) -> Result<Vec<Record>, ReadError> {
        match ahead {
            Some(_) => self.store.read(stream, 1),
            None if self.store.version(stream) == known => Ok(Vec::new()),
            None => self.store.read(stream, known + 1),
        }
    }

    /// Reads the runs again that hold tasks of types that are at their limits, so that it is known how many are held.
    pub(super) fn refresh_limits(&mut self, now: Now) -> Result<(), Refusal> {
        if self.sharing == Sharing::Shared {
            for run in self.limits.runs_at_a_limit() {
                self.refresh(&run, now)?;
            }
        }
        Ok(())
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
