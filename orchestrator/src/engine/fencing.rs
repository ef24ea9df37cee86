//! The doors of a run: which step is meant, and whether the caller still holds it.
//!
//! A task accepts exactly one token, the current holder's; revoking clears it. An answer to a
//! stale token never changes anything.

use super::input::Rejection;
use super::pass::Slot;
use super::run::RunState;
use super::status::Phase;
use super::step::{Ended, TaskState};
use super::{RawJson, TaskId};

impl RunState {
    /// Whether the holder of `token` is asked to stop.
    ///
    /// # Errors
    /// As for any report: no such step or task, or a stale token.
    pub fn heartbeat(&self, step: &str, undo: bool, token: u64) -> Result<bool, Rejection> {
        let index = self.find(step)?;
        self.check_token(index, undo, token)?;
        Ok(self.existing(index, undo)?.cancel_requested)
    }

    /// Whether `token` opens the task.
    ///
    /// # Errors
    /// No such step or task, or a stale token.
    pub fn holds(&self, step: &str, undo: bool, token: u64) -> Result<(), Rejection> {
        self.check_token(self.find(step)?, undo, token)
    }

    pub(super) fn find(&self, id: &str) -> Result<Slot, Rejection> {
        let found = self.slot_named(id);
        found.ok_or_else(|| Rejection::NoSuchStep {
            run: self.id.clone(),
            step: id.to_owned(),
        })
    }

    pub(super) fn existing(&self, index: Slot, undo: bool) -> Result<&TaskState, Rejection> {
        let task = self.task(index, undo);
        task.ok_or_else(|| self.not_in_state(index, undo, "a task now"))
    }

    pub(super) fn check_token(&self, index: Slot, undo: bool, token: u64) -> Result<(), Rejection> {
        let task = self.existing(index, undo)?;
        let current = match &task.holder {
            Some(holder) if holder.token == token => return Ok(()),
            Some(holder) => format!("`{}` holds it with token {}", holder.agent, holder.token),
            None => format!("the task is {}", task.status.as_str()),
        };
        Err(Rejection::StaleToken {
            task: self.print_task(index, undo),
            token,
            current,
        })
    }

    /// The result that was accepted under `token`.
    pub(super) fn accepted_under(
        &self,
        index: Slot,
        undo: bool,
        token: u64,
    ) -> Result<Option<&(u64, RawJson)>, Rejection> {
        let accepted = self.existing(index, undo)?.accepted.as_ref();
        Ok(accepted.filter(|(under, _)| *under == token))
    }

    /// The error that the holder of `token` reported; what ended its attempt without it is none.
    pub(super) fn reported_under(
        &self,
        index: Slot,
        undo: bool,
        token: u64,
    ) -> Result<Option<&Ended>, Rejection> {
        let ended = self.existing(index, undo)?.last_error.as_ref();
        let silent = |ended: &&Ended| {
            let code = ended.error.code.as_str();
            matches!(code, "agent.lost" | "timeout.run" | "timeout.total")
        };
        Ok(ended.filter(|ended| ended.token == Some(token) && !silent(ended)))
    }

    pub(super) fn already(
        &self,
        index: Slot,
        undo: bool,
        token: u64,
        outcome: &'static str,
    ) -> Rejection {
        Rejection::AlreadyEnded {
            task: self.print_task(index, undo),
            token,
            outcome,
        }
    }

    pub(super) fn not_in_state(&self, index: Slot, undo: bool, wanted: &'static str) -> Rejection {
        let found = match self.task(index, undo) {
            Some(task) => task.status.as_str(),
            None if self.phase == Phase::Closed => "gone, the run is closed",
            None => self.step(index).status.as_str(),
        };
        Rejection::NotInState {
            task: self.print_task(index, undo),
            wanted,
            found: found.to_owned(),
        }
    }

    pub(super) fn print_task(&self, step: Slot, undo: bool) -> String {
        let run = self.id.clone();
        TaskId { run, step, undo }.print(self)
    }
}
