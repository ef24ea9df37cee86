//! The other main body: a finite state machine.

use std::time::Duration;

use crate::expr::Expr;

use super::{BodyIndex, ErrorPattern, EventSource, FailSpec, StepIndex, Template};

/// A state's place in the file, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateIndex(pub u32);

impl StateIndex {
    /// The place as an index into [`StatesBody::states`].
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// `states:` of a workflow.
#[derive(Clone, Debug)]
pub struct StatesBody {
    /// Where a run begins.
    pub initial: StateIndex,
    /// Most transitions of one run.
    pub max_transitions: u32,
    /// All states, in file order, at least one.
    pub states: Vec<State>,
}

/// One state.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name; the same as that of its activity.
    pub id: String,
    /// Run before the activity.
    pub entry: Option<BodyIndex>,
    /// What is done here. Without one the state succeeds at once.
    pub activity: Option<StepIndex>,
    /// Run when the state is left.
    pub exit: Option<BodyIndex>,
    /// How long a visit may take, and where it goes then.
    pub timeout: Option<(Duration, StateIndex)>,
    /// Most visits of one run; one more is the error `state.visits`.
    pub max_visits: Option<u32>,
    /// Tested in this order. Empty only in a final state.
    pub transitions: Vec<Transition>,
    /// How the run ends here; `None`: it goes on.
    pub end: Option<StateEnd>,
}

/// How a run ends in a final state.
#[derive(Clone, Debug)]
pub enum StateEnd {
    /// Completed, with these outputs; empty: those of the workflow.
    Completed(Vec<(String, Template)>),
    /// Failed with this error.
    Failed(FailSpec),
}

/// One way out of a state.
#[derive(Clone, Debug)]
pub struct Transition {
    /// What it answers.
    pub trigger: TransitionTrigger,
    /// Codes that narrow the outcome `failed`; empty: all.
    pub errors: Vec<ErrorPattern>,
    /// Correlation of an event or a signal, as in [`WaitForSpec`](super::WaitForSpec).
    pub matching: Vec<(String, Template)>,
    /// And only if this holds.
    pub when: Option<Expr>,
    /// Variables that it writes.
    pub set: Vec<(String, Template)>,
    /// Where it leads.
    pub to: StateIndex,
}

/// What a transition answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitionTrigger {
    /// The activity's end.
    Outcome(ActivityOutcome),
    /// An event or a signal while the activity runs; the activity is cancelled.
    Event(EventSource),
}

/// How an activity ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivityOutcome {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// An approval was decided by this option.
    Option(String),
}
