//! By what right somebody changes documents and files: in whose turn, and under which task.
//!
//! Both are checked in the batch that makes the change happen, so nothing comes between. A change under a task is a fact of the
//! task's run too: it needs the holder's token like any report, and whoever takes the task over learns of it.

use phisync_state::transaction::{Act, Decision, DocumentChange, Intent, Step, TransactionId};

use crate::engine::{Input, TaskId, TouchedFile};

use super::transactions::Verdict;
use super::{Coordinator, Now, Refusal};

/// The task under which somebody writes.
#[derive(Clone, Debug)]
pub struct TaskClaim {
    /// The agent, by the name of its token.
    pub agent: String,
    /// The task.
    pub task: String,
    /// The token of its claim.
    pub token: u64,
}

/// Who writes, and by what right.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// Who, as it is journalled.
    pub by: String,
    /// The turns at documents that it says it has.
    pub turns: Vec<u64>,
    /// The task under which it writes, if it is one.
    pub task: Option<TaskClaim>,
}

impl Writer {
    /// One who writes by no other right than its name.
    #[must_use]
    pub fn plain(by: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            ..Self::default()
        }
    }
}

impl Coordinator {
    /// Whether `writer` may write these documents now.
    ///
    /// # Errors
    /// It is somebody else's turn; its task is not its own any more.
    pub(super) fn check_writer(
        &mut self,
        writer: &Writer,
        documents: &[DocumentChange],
        now: Now,
    ) -> Result<(), Refusal> {
        if let Some(claim) = &writer.task {
            let (run, step, undo) = TaskId::split(&claim.task)?;
            self.greet(&claim.agent, now)?;
            self.refresh(&run, now)?;
            self.check_caller(&run, step, undo, claim.token, &claim.agent)?;
            match self.open.get(&run) {
                Some(open) => open.state.holds(step, undo, claim.token)?,
                None => self.load(&run)?.holds(step, undo, claim.token)?,
            }
        }
        let names = documents.iter().map(|change| &change.name);
        self.check_turns(names, &writer.turns, &writer.by, now)
    }

    /// Decides a transaction of `writer`, and the fact about its task; both go into one batch.
    pub(super) fn decide_for_writer(
        &mut self,
        id: &TransactionId,
        decision: &Decision,
        documents: &[DocumentChange],
        intent: &Intent,
        writer: &Writer,
        now: Now,
    ) -> Result<Verdict, Refusal> {
        self.check_writer(writer, documents, now)?;
        let verdict = self.verdict(id, decision, documents, intent)?;
        if let Some(claim) = &writer.task {
            let (run, step, undo) = TaskId::split(&claim.task)?;
            let touched = |step: &&Step| !matches!(step.act, Act::Same { .. });
            let files = decision.files.iter().filter(touched);
            let files = files.map(|step| TouchedFile {
                root: step.place.root.to_string(),
                path: step.place.path.to_string(),
            });
            let input = Input::Write {
                step: step.to_owned(),
                undo,
                token: claim.token,
                transaction: id.to_string(),
                documents: verdict.documents().collect(),
                files: files.collect(),
            };
            self.decide(&run, input, now)?;
        }
        self.batch.entries.extend(verdict.batch());
        Ok(verdict)
    }
}
