//! Bodies: the lists of steps that belong together, and who runs them.
//!
//! Needs, ranks and the graph never cross a body. A block step owns the bodies it runs; the run
//! owns its main body and its handlers. Names are flat all the same: ids are unique in the whole
//! workflow.

use super::{StateIndex, StepIndex};

/// A body's place in [`Machine::bodies`](super::Machine::bodies), from 0: the main body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyIndex(pub u32);

impl BodyIndex {
    /// The main body of a run. Empty in a workflow with `states`.
    pub const MAIN: Self = Self(0);

    /// The place as an index into [`Machine::bodies`](super::Machine::bodies).
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// Steps that start, end and are cancelled together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Who runs it.
    pub owner: Owner,
    /// How its steps are ordered.
    pub shape: Shape,
    /// Its own steps, in file order, without those of the bodies inside them. May be empty.
    pub steps: Vec<StepIndex>,
}

/// Who runs a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The run: its main body.
    Run,
    /// The run, when its main body failed.
    OnFailure,
    /// The run, at its end whatever happened.
    Finally,
    /// A block step: what it is there for.
    Block(StepIndex),
    /// A step, when it failed or ended: `on_failure`, `catch`, `finally`. Never repeats within
    /// the step.
    Handler(StepIndex),
    /// A step that completed, when it is undone.
    Undo(StepIndex),
    /// A state: its entry, its activity or its exit.
    State(StateIndex),
}

/// How the steps of a body are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One after the other: each needs the one before it.
    Sequence,
    /// By `needs`.
    Graph,
}
