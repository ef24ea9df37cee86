//! Blocks: steps that run bodies of steps.

use std::time::Duration;

use crate::expr::Expr;

use super::{BodyIndex, ErrorPattern, Join, Saga, Template};

/// One body per item of a list. The step's `yield` is evaluated once per item.
#[derive(Clone, Debug)]
pub struct ForeachSpec {
    /// A list, or a map whose items are `{key, value}`.
    pub items: Expr,
    /// The name of the item in the body.
    pub as_name: String,
    /// The name of its place, from 0, in the body.
    pub index_as: String,
    /// How many bodies run at once, 1 to 256.
    pub concurrency: u32,
    /// How many items may fail before the step does.
    pub tolerate: Tolerance,
    /// The order of the results, not of the execution.
    pub order: ItemOrder,
    /// How many items of the list make one item of the body; `None`: each its own. With a number
    /// the item is a list of at most so many.
    pub batch: Option<u32>,
    /// More items (after batching) fail the step with `foreach.too_many`.
    pub max_items: u32,
    /// What is done for each item.
    pub body: BodyIndex,
}

/// How many items may fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// At most this many.
    Count(u32),
    /// At most this share of all items, 0 to 100.
    Percent(f64),
}

/// The order of the results of a `foreach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOrder {
    /// That of the list.
    Input,
    /// That in which the items ended.
    Any,
}

/// A bounded repetition.
#[derive(Clone, Debug)]
pub struct LoopSpec {
    /// Most iterations, 1 to 1000.
    pub max: u32,
    /// Whether there is another iteration.
    pub test: LoopTest,
    /// `iter.carry` of the first iteration.
    pub carry: Vec<(String, Template)>,
    /// `iter.carry` of the next one: the same names. Empty: unchanged.
    pub next: Vec<(String, Template)>,
    /// The wait before the second iteration.
    pub delay: Duration,
    /// The wait grows by this factor each time.
    pub backoff: Option<f64>,
    /// The longest wait.
    pub max_delay: Option<Duration>,
    /// What it means when `max` iterations were not enough.
    pub on_exhausted: OnExpiry,
    /// One iteration.
    pub body: BodyIndex,
}

/// Whether a loop goes on.
#[derive(Clone, Debug)]
pub enum LoopTest {
    /// Tested before each iteration: true goes on.
    While(Expr),
    /// Tested after each iteration: true ends.
    Until(Expr),
}

/// What the end of a bound means for the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpiry {
    /// It fails.
    Fail,
    /// It succeeds, and its output says so.
    Continue,
}

/// The first case that is true.
#[derive(Clone, Debug)]
pub struct SwitchSpec {
    /// Tested in this order, at least one.
    pub cases: Vec<Case>,
    /// When no case is true.
    pub default: SwitchDefault,
}

/// One case of a switch.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique in the switch.
    pub id: String,
    /// When it is chosen.
    pub when: Expr,
    /// What is done; may be empty.
    pub body: BodyIndex,
    /// `output` of the step; without it the output of the body's last step.
    pub yields: Option<Template>,
}

/// What a switch does when no case is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchDefault {
    /// Another body; the case is called `default`.
    Body(BodyIndex),
    /// The step fails.
    Fail,
    /// The step is skipped.
    Skip,
}

/// Named sequences at once.
#[derive(Clone, Debug)]
pub struct ParallelSpec {
    /// In file order, at least one.
    pub branches: Vec<(String, BodyIndex)>,
    /// How many branches must succeed.
    pub join: Join,
    /// Whether a branch that failed cancels the others.
    pub fail_fast: bool,
    /// How many run at once; `None`: all.
    pub concurrency: Option<u32>,
}

/// A scope with handlers.
#[derive(Clone, Debug)]
pub struct TrySpec {
    /// What is tried.
    pub body: BodyIndex,
    /// Tested in this order when the body failed.
    pub catch: Vec<Catch>,
    /// Run at the end whatever happened.
    pub finally: Option<BodyIndex>,
    /// The rules of its own saga scope; [`SagaMode::Off`](super::SagaMode::Off): none.
    pub saga: Saga,
}

/// A handler of a `try`.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The codes it handles; empty: all.
    pub errors: Vec<ErrorPattern>,
    /// And only if this holds of `error`.
    pub when: Option<Expr>,
    /// What is done; may be empty.
    pub body: BodyIndex,
    /// And then.
    pub then: Then,
}

/// What follows a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The step fails with the error that was handled.
    Fail,
    /// After `catch` the step succeeds; after `on_failure` its outcome stays `failed` and its
    /// dependants run.
    Continue,
    /// The step is tried again, as far as its `retry` allows. Only after `catch`.
    Retry,
}

/// A named body, to hang `retry`, `if` and a saga on.
#[derive(Clone, Debug)]
pub struct DoSpec {
    /// What is done.
    pub body: BodyIndex,
    /// The rules of its own saga scope; [`SagaMode::Off`](super::SagaMode::Off): none.
    pub saga: Saga,
}
