//! The state of one run: a fold of its events, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use phisync_state::{Timestamp, Version};
use phisync_workflows::machine::StepKind;
use phisync_workflows::{Machine, StepIndex};
use serde_json::{Map, Value};

use super::{Failure, RawJson, RunId, TaskId, Undo, Waker};

/// Where a run stands, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Open.
    Running,
    /// Closed well.
    Completed,
    /// Closed badly.
    Failed,
    /// Closed because somebody wanted it.
    Cancelled,
}

impl RunStatus {
    /// As users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an open run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Running its steps.
    Forward,
    /// Has failed; waits for what is still running.
    Failing,
    /// Was cancelled; waits for what is still running.
    Cancelling,
    /// Undoing its steps.
    Compensating,
    /// Nothing any more.
    Closed,
}

impl Phase {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Failing => "failing",
            Self::Cancelling => "cancelling",
            Self::Compensating => "compensating",
            Self::Closed => "closed",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// Its needs are open.
    Pending,
    /// Its task is in the queue.
    Ready,
    /// An agent works on it.
    Running,
    /// Waits for a person, or for a back-off to end.
    Waiting,
    /// Succeeded.
    Completed,
    /// Failed for good.
    Failed,
    /// Its condition was false.
    Skipped,
    /// Will not run, or not on.
    Cancelled,
    /// Is being undone.
    Compensating,
    /// Was undone.
    Compensated,
    /// Could not be undone.
    CompensationFailed,
}

impl StepStatus {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation_failed",
        }
    }

    /// Whether nothing can happen to it any more, undoing apart.
    #[must_use]
    pub fn has_outcome(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Ready | Self::Running | Self::Waiting
        )
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// In the queue.
    Ready,
    /// Held by an agent.
    Running,
    /// Waits for its next attempt.
    Backoff,
    /// Succeeded.
    Completed,
    /// Failed for good.
    Failed,
    /// Taken back.
    Cancelled,
}

impl TaskStatus {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

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
#[derive(Clone, Debug)]
pub struct TaskState {
    /// Where it stands.
    pub status: TaskStatus,
    /// What the agent gets.
    pub input: RawJson,
    /// Instructions.
    pub prompt: Option<String>,
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
    /// What it waits for; absent when final.
    pub waker: Option<Waker>,
}

/// One decision about an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Yes or no.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// In their words.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A decision that is wanted.
#[derive(Clone, Debug)]
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
    /// Decisions so far.
    pub verdicts: Vec<Verdict>,
}

/// One step of one run.
#[derive(Clone, Debug)]
pub struct StepState {
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
    fn pending() -> Self {
        Self {
            status: StepStatus::Pending,
            outcome: None,
            task: None,
            undo: None,
            approval: None,
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

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clock {
    /// The queue, back-off or run clock of a task, whichever its status makes the running one.
    Attempt { step: StepIndex, undo: bool },
    /// The clock over all attempts.
    Total { step: StepIndex, undo: bool },
    /// An approval.
    Approval { step: StepIndex },
    /// The whole run.
    Run,
}

/// One run.
#[derive(Clone, Debug)]
pub struct RunState {
    /// What it runs.
    pub machine: Arc<Machine>,
    /// Its name.
    pub id: RunId,
    /// Events applied: the version of its stream.
    pub version: Version,
    /// Where it stands.
    pub status: RunStatus,
    /// What it is doing.
    pub phase: Phase,
    /// Checked inputs.
    pub inputs: Map<String, Value>,
    /// For searching.
    pub labels: BTreeMap<String, String>,
    /// Who started it.
    pub by: String,
    /// When.
    pub started_at: Timestamp,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// Its steps, as in the machine.
    pub steps: Vec<StepState>,
    /// Steps without an outcome.
    pub open_steps: u32,
    /// Steps with one.
    pub ended_steps: u32,
    /// Why it fails or failed.
    pub error: Option<Failure>,
    /// The step that made it fail.
    pub failed_step: Option<String>,
    /// Who cancelled it, and their words.
    pub cancelled_by: Option<(String, Option<String>)>,
    /// Steps still to undo, the next one last.
    pub to_undo: Vec<StepIndex>,
    /// How far it was undone.
    pub undo: Undo,
    /// The undo that failed for good and waits for a person.
    pub incident: Option<(StepIndex, Failure)>,
    /// The outputs of a completed run.
    pub outputs: Option<RawJson>,
    /// What it waits for; absent when closed.
    pub waker: Option<Waker>,
    pub(super) deadlines: BTreeSet<(Timestamp, Clock)>,
}

impl RunState {
    /// A run before its first event.
    #[must_use]
    pub fn new(machine: Arc<Machine>, id: RunId) -> Self {
        let steps = machine.steps().iter().map(|_| StepState::pending());
        let steps: Vec<_> = steps.collect();
        Self {
            id,
            version: 0,
            status: RunStatus::Running,
            phase: Phase::Forward,
            inputs: Map::new(),
            labels: BTreeMap::new(),
            by: String::new(),
            started_at: Timestamp::default(),
            deadline: Timestamp::default(),
            closed_at: None,
            open_steps: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            ended_steps: 0,
            steps,
            error: None,
            failed_step: None,
            cancelled_by: None,
            to_undo: Vec::new(),
            undo: Undo::None,
            incident: None,
            outputs: None,
            waker: Some(Waker::Steps),
            deadlines: BTreeSet::new(),
            machine,
        }
    }

    /// The step at `index`.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &StepState {
        &self.steps[index.get()]
    }

    pub(super) fn step_mut(&mut self, index: StepIndex) -> &mut StepState {
        &mut self.steps[index.get()]
    }

    /// A step's task, or the task that undoes it, if it exists yet.
    #[must_use]
    pub fn task(&self, step: StepIndex, undo: bool) -> Option<&TaskState> {
        let step = self.step(step);
        if undo { &step.undo } else { &step.task }.as_deref()
    }

    /// The next instant at which something is due by the clock alone.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// All tasks that are in the queue or held, undo tasks included.
    pub fn live_tasks(&self) -> impl Iterator<Item = (TaskId, &TaskState)> {
        self.steps.iter().zip(0u32..).flat_map(move |(step, i)| {
            [(&step.task, false), (&step.undo, true)]
                .into_iter()
                .filter_map(move |(task, undo)| {
                    let task = task.as_deref()?;
                    matches!(task.status, TaskStatus::Ready | TaskStatus::Running).then(|| {
                        let id = TaskId {
                            run: self.id.clone(),
                            step: StepIndex(i),
                            undo,
                        };
                        (id, task)
                    })
                })
        })
    }

    /// Whether the step at `index` is decided by people.
    #[must_use]
    pub fn is_approval(&self, index: StepIndex) -> bool {
        matches!(self.machine.step(index).kind, StepKind::Approval(_))
    }
}
