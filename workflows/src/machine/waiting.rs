//! Steps that wait for a time or an event, and those that others wait for.

use std::time::Duration;

use crate::expr::Expr;

use super::{OnExpiry, Template};

/// A timer.
#[derive(Clone, Debug)]
pub enum WaitSpec {
    /// For a duration, as text (`15m`).
    For(Template),
    /// Until a timestamp, as text of RFC 3339. One in the past ends at once.
    Until(Template),
}

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSource {
    /// Anybody: an event of this name.
    Event(String),
    /// Somebody who addressed this very run.
    Signal(String),
}

impl EventSource {
    /// The event's or signal's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Event(name) | Self::Signal(name) => name,
        }
    }
}

/// A step that waits for events.
#[derive(Clone, Debug)]
pub struct WaitForSpec {
    /// What it waits for.
    pub source: EventSource,
    /// Fields of `event.data` (dots lead deeper) and the values that they must equal. Evaluated
    /// once when the wait begins.
    pub matching: Vec<(String, Template)>,
    /// A further condition over `event`.
    pub when: Option<Expr>,
    /// Whether events since the run's start count.
    pub from_start: bool,
    /// How many it takes, at least 1. With more than one the output is a list.
    pub count: u32,
    /// How long it may take.
    pub timeout: Duration,
    /// What expiry means: error `event.timeout`, or success without data.
    pub on_timeout: OnExpiry,
}

/// Publishes an event, or a signal when it is addressed.
#[derive(Clone, Debug)]
pub struct EmitSpec {
    /// The name.
    pub event: String,
    /// What it carries; `None`: null.
    pub data: Option<Template>,
    /// Deduplicates; `None`: the step's key.
    pub key: Option<Template>,
    /// The id of the run that gets it as a signal.
    pub to: Option<Template>,
}

/// Writes variables of the run, all at once.
#[derive(Clone, Debug)]
pub struct SetSpec {
    /// Declared names and their values, in file order.
    pub values: Vec<(String, Template)>,
}
