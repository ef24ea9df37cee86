//! How completed steps are undone: per step, and per scope.

use crate::schema::Schema;

use super::{Assign, BodyIndex, Retry, TaskSpec, Template, Timeouts};

/// How a completed step is undone.
#[derive(Clone, Debug)]
pub enum Compensate {
    /// Nothing was said.
    Absent,
    /// Stated: nothing is to be undone.
    None,
    /// By a task.
    Task(Box<Compensation>),
    /// By the one step of this body, which [`Owner::Undo`](super::Owner::Undo) owns.
    Body(BodyIndex),
}

/// The task that undoes a step. Its expressions see `self`, `error` and what the step saw.
#[derive(Clone, Debug)]
pub struct Compensation {
    /// What the agent is asked.
    pub task: TaskSpec,
    /// Evaluated when the undo becomes ready.
    pub input: Vec<(String, Template)>,
    /// What the result must look like.
    pub output: Schema,
    /// Who does it.
    pub assign: Assign,
    /// Its clocks.
    pub timeouts: Timeouts,
    /// Default: 10 attempts, exponential to 10 minutes.
    pub retry: Retry,
}

/// The rules of a scope whose steps are undone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saga {
    /// Whether the scope is a saga at all.
    pub mode: SagaMode,
    /// In which order steps are undone.
    pub order: UndoOrder,
    /// Which ends undo.
    pub triggers: SagaTriggers,
    /// What an undo that failed for good means.
    pub on_compensation_failure: OnUndoFailure,
}

impl Saga {
    /// The run's saga unless told otherwise.
    pub const AUTO: Self = Self {
        mode: SagaMode::Auto,
        order: UndoOrder::Reverse,
        triggers: SagaTriggers {
            failure: true,
            cancel: true,
            timeout: true,
        },
        on_compensation_failure: OnUndoFailure::Halt,
    };

    /// No saga scope: what completed belongs to the scope around it.
    pub const OFF: Self = Self {
        mode: SagaMode::Off,
        ..Self::AUTO
    };
}

/// Whether a scope is a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SagaMode {
    /// Its completed steps are undone when it ends by one of the triggers.
    Auto,
    /// It undoes nothing.
    Off,
}

/// In which order completed steps are undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoOrder {
    /// The reverse of completion, one after the other.
    Reverse,
    /// As reverse, but steps without order between them at once.
    Relaxed,
}

/// Which ends of a scope undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SagaTriggers {
    /// It failed.
    pub failure: bool,
    /// It was cancelled.
    pub cancel: bool,
    /// It ran out of time.
    pub timeout: bool,
}

/// What it means that an undo failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUndoFailure {
    /// An incident: a person resolves it.
    Halt,
    /// Recorded; the others are undone.
    Continue,
}
