//! Who did what: for those who must be somebody else, or the same again.

use phisync_workflows::StepIndex;

use super::pass::Slot;
use super::run::RunState;

impl RunState {
    /// Everybody who did or decided one of `steps`, or something inside of them, as seen from
    /// `asker`. Sorted.
    pub(crate) fn who_did(&self, asker: Slot, steps: &[StepIndex]) -> Vec<String> {
        let pass = self.step(asker).pass;
        let seen = steps
            .iter()
            .filter_map(|step| self.seen_from(pass, None, *step));
        let slots = seen.flat_map(|slot| [vec![slot], self.slots_inside(slot)].concat());
        let mut names: Vec<String> = Vec::new();
        for step in slots.map(|slot| self.step(slot)) {
            names.extend(step.task.as_ref().and_then(|task| task.last_agent.clone()));
            let verdicts = step.approval.iter().flat_map(|a| &a.verdicts);
            names.extend(verdicts.map(|v| v.by.clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// The agent that did `step`, as seen from `asker`.
    pub(crate) fn agent_of(&self, asker: Slot, step: StepIndex) -> Option<String> {
        let slot = self.seen_from(self.step(asker).pass, None, step)?;
        self.step(slot).task.as_ref()?.last_agent.clone()
    }
}
