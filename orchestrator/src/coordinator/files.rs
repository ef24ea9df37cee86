//! Changes of files that steps want: who is to stage them, and the one batch in which the decision
//! of a transaction and that of a step are made.

use phisync_state::transaction::{Decision, Intent, TransactionId, TransactionState};

use crate::engine::{FilesEnd, FilesStage, Input, RawJson, RunEvent, RunId};

use super::{Coordinator, Now, Refusal};

/// One attempt of one `files` step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilesErrand {
    /// The run.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl FilesErrand {
    fn input(&self, end: FilesEnd) -> Input {
        Input::FilesEnded {
            step: self.step.clone(),
            attempt: self.attempt,
            end,
        }
    }
}

impl Coordinator {
    /// Notes what facts of `id` ask for.
    pub(super) fn follow_files(&mut self, id: &RunId, events: &[RunEvent]) {
        let wanted = events.iter().filter_map(|event| match event {
            RunEvent::FilesWanted { step, attempt, .. } => Some(FilesErrand {
                run: id.clone(),
                step: step.clone(),
                attempt: *attempt,
            }),
            _ => None,
        });
        self.files_wanted.extend(wanted);
    }

    /// Notes what a run that was read wants, or waits for.
    pub(super) fn resume_files(&mut self, id: &RunId) {
        let Some(run) = self.open.get(id) else { return };
        let run = &run.state;
        let wanted = run.slots().filter_map(|slot| {
            let work = run.files_under_way(slot)?;
            let waits = !matches!(work.stage, FilesStage::BackingOff);
            waits.then(|| FilesErrand {
                run: id.clone(),
                step: run.name(slot),
                attempt: work.attempt,
            })
        });
        self.files_wanted.extend(wanted);
    }

    /// Whether somebody has to look at [`Self::take_files_wanted`].
    #[must_use]
    pub fn has_files_wanted(&self) -> bool {
        !self.files_wanted.is_empty()
    }

    /// What is wanted since the last call. Some may be under way already, or matter no more:
    /// [`Self::files_stage`] says so.
    pub fn take_files_wanted(&mut self) -> Vec<FilesErrand> {
        std::mem::take(&mut self.files_wanted)
    }

    /// Where an attempt stands; `None` if it does not matter any more.
    #[must_use]
    pub fn files_stage(&self, errand: &FilesErrand) -> Option<FilesStage> {
        let run = &self.open.get(&errand.run)?.state;
        let work = run.files_under_way(run.slot_named(&errand.step)?)?;
        (work.attempt == errand.attempt).then(|| work.stage.clone())
    }

    /// Makes a transaction happen for a step: both records in one batch.
    ///
    /// # Errors
    /// The step does not want it any more: the caller aborts what it staged.
    pub fn decide_files(
        &mut self,
        errand: &FilesErrand,
        id: &TransactionId,
        decision: &Decision,
        intent: &Intent,
        output: &RawJson,
        now: Now,
    ) -> Result<TransactionState, Refusal> {
        let verdict = self.transact(now, |c| {
            let verdict = c.verdict(id, decision, &[], intent)?;
            let end = FilesEnd::Decided {
                transaction: id.to_string(),
                output: output.clone(),
            };
            c.decide(&errand.run, errand.input(end), now)?;
            c.batch.entries.extend(verdict.batch());
            Ok(verdict)
        })?;
        self.decided(verdict, now)
    }

    /// Tells a step how the attempt ended: all is on disk, or nothing happened.
    ///
    /// # Errors
    /// The step does not wait for that any more.
    pub fn end_files(
        &mut self,
        errand: &FilesErrand,
        end: &FilesEnd,
        now: Now,
    ) -> Result<(), Refusal> {
        self.transact(now, |c| {
            c.decide(&errand.run, errand.input(end.clone()), now)
        })
    }
}
