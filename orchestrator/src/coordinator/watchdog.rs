//! The watchdog over all runs: after each decision it looks at what that touched, after a replay once
//! at everything. What it finds is journalled, and a person decides.

use crate::engine::{self, Decision, Moment, RunEvent, RunId, RunState};

use super::{Coordinator, Now};

impl Coordinator {
    /// Looks at what the facts of one decision have touched.
    pub(super) fn watch(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        self.watch_with(id, now, |run, moment| engine::watch(run, events, moment));
    }

    /// Looks at the runs that were read from the store since the last time.
    pub(super) fn watch_unwatched(&mut self, now: Now) {
        for id in std::mem::take(&mut self.unwatched) {
            self.watch_with(&id, now, engine::watch_all);
        }
    }

    fn watch_with(
        &mut self,
        id: &RunId,
        now: Now,
        look: impl FnOnce(&mut RunState, Moment) -> Decision,
    ) {
        let Some(run) = self.open.get_mut(id) else {
            return;
        };
        let before = run.state.version;
        // No clock is set here, so dice are of no use.
        let moment = Moment {
            now: now.wall,
            dice: 0,
        };
        let decision = look(&mut run.state, moment);
        if let Some(stall) = run
            .state
            .stalled
            .as_ref()
            .filter(|_| before < run.state.version)
        {
            tracing::error!(run = %id, step = ?stall.step, found = stall.found, "a run has stalled");
        }
        self.record(id, before, &decision.events, now);
    }
}
