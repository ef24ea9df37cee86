//! One step of one run: its task, the decision it waits for, its outcome.

use phisync_state::Timestamp;
use phisync_workflows::StepIndex;

use super::block::Block;
use super::files::FilesWork;
use super::handoff::Trail;
use super::pass::{PassId, Slot};
use super::proof::Refusals;
use super::question::Question;
use super::{Failure, RawJson, StepStatus, TaskStatus, Waker};

/// The agent that holds a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub agent: String,
    /// The only token that is accepted.
    pub token: u64,
    /// When the attempt must have ended.
    pub run_deadline: Timestamp,
}

/// How an attempt ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its token; `None`: nobody had taken the task.
    pub token: Option<u64>,
    /// Who held it.
    pub agent: Option<String>,
    /// Why.
    pub error: Failure,
}

/// One task through all its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskState {
    /// Where it stands.
    pub status: TaskStatus,
    /// What the agent gets.
    pub input: RawJson,
    /// Instructions.
    pub prompt: Option<String>,
    /// What comes along with the input.
    pub attachments: Vec<RawJson>,
    /// Idempotency key; `None`: the task's id.
    pub key: Option<String>,
    /// When it was first ready.
    pub first_ready_at: Timestamp,
    /// When the queue clock ends, while ready.
    pub queue_deadline: Timestamp,
    /// When the clock over all attempts ends.
    pub total_deadline: Option<Timestamp>,
    /// Claims so far; the number of the current or last attempt.
    pub attempt: u32,
    /// Attempts that ended with an error.
    pub failures: u32,
    /// Attempts that ended with a lost lease.
    pub losses: u32,
    /// Whether some attempt ended without an answer, so that the world may have changed.
    pub effect_unknown: bool,
    /// Who holds it, while running.
    pub holder: Option<Holder>,
    /// Whether the holder is asked to stop.
    pub cancel_requested: bool,
    /// The agent of the last attempt.
    pub last_agent: Option<String>,
    /// How the last attempt that failed ended.
    pub last_error: Option<Ended>,
    /// The token and result that were accepted.
    pub accepted: Option<(u64, RawJson)>,
    /// When the back-off ends, while backing off.
    pub retry_at: Option<Timestamp>,
    /// What its holders asked people, in order; the last one is open while it is asking.
    pub questions: Vec<Question>,
    /// How often results of the last attempt that had any refused lacked their proof.
    pub refusals: Option<Refusals>,
    /// What a successor learns of the attempts so far.
    pub trail: Trail,
    /// What it waits for; absent when final.
    pub waker: Option<Waker>,
}

impl TaskState {
    /// The agent that `token` was given to, as long as something is known of it: while it holds the task, and
    /// once its word was taken.
    #[must_use]
    pub fn given_to(&self, token: u64) -> Option<&str> {
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.token == token) {
            return Some(&holder.agent);
        }
        if self
            .accepted
            .as_ref()
            .is_some_and(|(under, _)| *under == token)
        {
            return self.last_agent.as_deref();
        }
        let ended = self.last_error.as_ref();
        let ended = ended.filter(|ended| ended.token == Some(token))?;
        ended.agent.as_deref()
    }
}

/// One decision about an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The option.
    pub decision: String,
    /// The data that the form asks for.
    pub form: Option<RawJson>,
    /// Who.
    pub by: String,
    /// In their words.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Verdict {
    /// Whether it says yes.
    #[must_use]
    pub fn approves(&self) -> bool {
        self.decision == "approve"
    }
}

/// A decision that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// What is asked.
    pub prompt: Option<String>,
    /// What is shown.
    pub show: Option<RawJson>,
    /// Hash of both.
    pub shown_hash: String,
    /// Names that may not decide.
    pub excluded: Vec<String>,
    /// Since when.
    pub requested_at: Timestamp,
    /// Until when.
    pub deadline: Timestamp,
    /// Whether others may decide by now, too.
    pub escalated: bool,
    /// Decisions so far.
    pub verdicts: Vec<Verdict>,
}

/// Whose steps are undone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UndoOf {
    /// The run's.
    Run,
    /// A block's.
    Block(Slot),
}

/// One step of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepState {
    /// Which step of the machine.
    pub spec: StepIndex,
    /// The pass that it belongs to.
    pub pass: PassId,
    /// Where it stands.
    pub status: StepStatus,
    /// Its outcome before any undoing: the status it had then.
    pub outcome: Option<StepStatus>,
    /// Its task, once it is ready.
    pub task: Option<Box<TaskState>>,
    /// The task that undoes it.
    pub undo: Option<Box<TaskState>>,
    /// The decision it waits for.
    pub approval: Option<Box<Approval>>,
    /// The bodies it runs, once it has begun.
    pub block: Option<Box<Block>>,
    /// The change of files, once it is wanted.
    pub files: Option<Box<FilesWork>>,
    /// The pass through its `on_failure`, once it is entered.
    pub handler: Option<PassId>,
    /// The latest pass through what undoes it, if that is more than a task.
    pub undo_pass: Option<PassId>,
    /// Until when it waits: a timer, the delay of a loop, the back-off of a block.
    pub due: Option<Timestamp>,
    /// Whose undoing it belongs to, once it is to be undone.
    pub undone_by: Option<UndoOf>,
    /// Its output.
    pub output: Option<RawJson>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// When it became ready.
    pub started_at: Option<Timestamp>,
    /// When it got its outcome.
    pub ended_at: Option<Timestamp>,
    /// Its place among the steps that ended, from 1.
    pub ended_order: u32,
    /// What it waits for; absent when final.
    pub waker: Option<Waker>,
}

impl StepState {
    pub(super) fn pending(spec: StepIndex, pass: PassId) -> Self {
        Self {
            spec,
            pass,
            status: StepStatus::Pending,
            outcome: None,
            task: None,
            undo: None,
            approval: None,
            block: None,
            files: None,
            handler: None,
            undo_pass: None,
            due: None,
            undone_by: None,
            output: None,
            error: None,
            started_at: None,
            ended_at: None,
            ended_order: 0,
            waker: Some(Waker::Needs),
        }
    }

    /// The word that expressions see: `succeeded failed skipped cancelled`.
    #[must_use]
    pub fn outcome_word(&self) -> Option<&'static str> {
        match self.outcome? {
            StepStatus::Completed => Some("succeeded"),
            StepStatus::Failed => Some("failed"),
            StepStatus::Skipped => Some("skipped"),
            StepStatus::Cancelled => Some("cancelled"),
            StepStatus::Pending
            | StepStatus::Ready
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Compensating
            | StepStatus::Compensated
            | StepStatus::CompensationFailed => None,
        }
    }
}
