//! The state of one run: a fold of its events, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use phisync_state::{Timestamp, Version};
use phisync_workflows::Machine;
use phisync_workflows::machine::{BodyIndex, Step, StepKind};
use serde_json::{Map, Value};

use super::pass::{Pass, PassId, Slot};
use super::status::{Phase, RunStatus, StepStatus, TaskStatus};
use super::step::{StepState, TaskState, UndoOf};
use super::walk::Walk;
use super::watchdog::Stall;
use super::{
    Delivery, Failure, Listening, Pause, RawJson, Rewound, RunId, Source, TaskId, Trigger, Undo,
    Waker,
};

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clock {
    /// The queue, back-off or run clock of a task, whichever its status makes the running one.
    Attempt { step: Slot, undo: bool },
    /// The clock over all attempts.
    Total { step: Slot, undo: bool },
    /// An approval.
    Approval { step: Slot },
    /// A timer, the delay of a loop or the back-off of a block.
    Timer { step: Slot },
    /// The state that is visited.
    State,
    /// The whole run.
    Run,
}

/// The undoing of the steps of one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undoing {
    /// Steps still to undo, the next one last.
    pub left: Vec<Slot>,
    /// Steps whose undo is in the queue, in work, or waits for another attempt.
    pub under_way: BTreeSet<Slot>,
    /// Undos that wait for a person.
    pub parked: u32,
    /// Why the block failed; the run says that by itself.
    pub error: Option<Failure>,
}

impl Undoing {
    /// Takes a step off the list of what is left; usually it is the next one.
    pub(super) fn take(&mut self, slot: Slot) {
        if self.left.last() == Some(&slot) {
            self.left.pop();
        } else {
            self.left.retain(|other| *other != slot);
        }
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.left.is_empty() && self.under_way.is_empty() && self.parked == 0
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
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
    /// Settings of the deployment, as they were when it began.
    pub config: Map<String, Value>,
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
    /// Its steps, in the order in which they came to be.
    pub steps: Vec<StepState>,
    /// Its passes through bodies, in the order in which they were opened; the first is the main
    /// one.
    pub passes: Vec<Pass>,
    /// Which pass went through a body in these rounds, for the how-many-th time.
    pub(super) places: BTreeMap<(BodyIndex, Arc<[u32]>, u32), PassId>,
    /// Steps with an outcome.
    pub ended_steps: u32,
    /// Why it fails or failed.
    pub error: Option<Failure>,
    /// The step that made it fail.
    pub failed_step: Option<String>,
    /// Who cancelled it, and their words.
    pub cancelled_by: Option<(String, Option<String>)>,
    /// What is being undone, and what was: the run's, and that of its blocks.
    pub undoing: BTreeMap<UndoOf, Undoing>,
    /// How far it was undone.
    pub undo: Undo,
    /// The undos that failed for good and wait for a person.
    pub incidents: BTreeMap<Slot, Failure>,
    /// What the watchdog found, until a person has decided.
    pub stalled: Option<Stall>,
    /// Where its token stands, in a workflow of states.
    pub walk: Option<Walk>,
    /// Its variables.
    pub vars: Map<String, Value>,
    /// Whether it had failed, and its `on_failure` made that good.
    pub recovered: bool,
    /// The outputs of a completed run, or of one that finishes.
    pub outputs: Option<RawJson>,
    /// What made it start.
    pub trigger: Option<Trigger>,
    /// Why it stands still, if it does.
    pub paused: Option<Pause>,
    /// The last time that it went back, if it did.
    pub rewound: Option<Rewound>,
    /// Whether it waits for others with the same concurrency key.
    pub held: bool,
    /// Since when its clocks stand still, if they do.
    pub(super) still_since: Option<Timestamp>,
    /// Signals that came, in order.
    pub(super) signals: Vec<Delivery>,
    /// The last number of each source that one of its waits has heard.
    pub(super) heard_up_to: BTreeMap<Source, u64>,
    /// Steps that wait for events or signals.
    pub(super) listening: BTreeMap<String, Listening>,
    /// What it waits for; absent when closed.
    pub waker: Option<Waker>,
    pub(super) deadlines: BTreeSet<(Timestamp, Clock)>,
}

impl RunState {
    /// How it stands, in the one word that logs and people use.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.status, self.phase) {
            (RunStatus::Running, _) if self.paused.is_some() => "paused",
            (RunStatus::Running, Phase::Forward) if self.held => "queued",
            (RunStatus::Running, Phase::Forward) => "running",
            (RunStatus::Running, phase) => phase.as_str(),
            (status, _) => status.as_str(),
        }
    }

    /// A run before its first event.
    #[must_use]
    pub fn new(machine: Arc<Machine>, id: RunId) -> Self {
        let mut run = Self {
            id,
            version: 0,
            status: RunStatus::Running,
            phase: Phase::Forward,
            inputs: Map::new(),
            config: Map::new(),
            labels: BTreeMap::new(),
            by: String::new(),
            started_at: Timestamp::default(),
            deadline: Timestamp::default(),
            closed_at: None,
            steps: Vec::new(),
            passes: Vec::new(),
            places: BTreeMap::new(),
            ended_steps: 0,
            error: None,
            failed_step: None,
            cancelled_by: None,
            undoing: BTreeMap::new(),
            undo: Undo::None,
            incidents: BTreeMap::new(),
            stalled: None,
            walk: None,
            vars: Map::new(),
            recovered: false,
            outputs: None,
            trigger: None,
            paused: None,
            rewound: None,
            held: false,
            still_since: None,
            signals: Vec::new(),
            heard_up_to: BTreeMap::new(),
            listening: BTreeMap::new(),
            waker: Some(Waker::Steps),
            deadlines: BTreeSet::new(),
            machine,
        };
        run.open_pass(None, BodyIndex::MAIN, None);
        run
    }

    /// The step at `slot`.
    #[must_use]
    pub fn step(&self, slot: Slot) -> &StepState {
        &self.steps[slot.get()]
    }

    pub(super) fn step_mut(&mut self, slot: Slot) -> &mut StepState {
        &mut self.steps[slot.get()]
    }

    /// What the machine says about the step at `slot`.
    #[must_use]
    pub fn spec(&self, slot: Slot) -> &Step {
        self.machine.step(self.step(slot).spec)
    }

    /// The steps that the one at `slot` comes after, in the order written.
    pub fn needs(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        let pass = self.step(slot).pass;
        let needs = self.spec(slot).needs.iter();
        needs.filter_map(move |need| self.slot_in(pass, *need))
    }

    /// All slots, in the order in which their steps came to be.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..u32::try_from(self.steps.len()).unwrap_or(u32::MAX)).map(Slot)
    }

    /// A step's task, or the task that undoes it, if it exists yet.
    #[must_use]
    pub fn task(&self, step: Slot, undo: bool) -> Option<&TaskState> {
        let step = self.step(step);
        if undo { &step.undo } else { &step.task }.as_deref()
    }

    pub(super) fn task_mut(&mut self, step: Slot, undo: bool) -> Option<&mut TaskState> {
        let step = self.step_mut(step);
        if undo {
            step.undo.as_deref_mut()
        } else {
            step.task.as_deref_mut()
        }
    }

    /// The names of the steps that are undone.
    #[must_use]
    pub fn undone(&self) -> BTreeSet<String> {
        let undone = |slot: &Slot| self.step(*slot).status == StepStatus::Compensated;
        self.slots()
            .filter(undone)
            .map(|slot| self.name(slot))
            .collect()
    }

    /// The next instant at which something is due by the clock alone.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.first_clock().map(|(at, _)| at)
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
                            step: Slot(i),
                            undo,
                        };
                        (id, task)
                    })
                })
        })
    }

    /// Whether the step at `slot` is decided by people.
    #[must_use]
    pub fn is_approval(&self, slot: Slot) -> bool {
        matches!(self.spec(slot).kind, StepKind::Approval(_))
    }
}
