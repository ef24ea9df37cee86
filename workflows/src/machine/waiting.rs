//! Steps that wait for a time or an event, and those that others wait for.

use std::time::Duration;

use crate::expr::{Expr, time};

use super::{OnExpiry, Template};

/// A timer.
#[derive(Clone, Debug)]
pub enum WaitSpec {
    /// For a duration, as text (`15m`).
    For(Template),
    /// Until a timestamp, as text of RFC 3339. One in the past ends at once.
    Until(Template),
}

impl WaitSpec {
    /// The duration or timestamp as text.
    #[must_use]
    pub fn template(&self) -> &Template {
        match self {
            Self::For(template) | Self::Until(template) => template,
        }
    }

    /// When a wait that begins at `now` is over, both in microseconds since 1970. `text` is what
    /// the template gave; `None` if it is no duration or no timestamp.
    #[must_use]
    pub fn end(&self, text: &str, now: i64) -> Option<i64> {
        match self {
            Self::For(_) => Some(now.saturating_add(time::parse_duration(text)?)),
            Self::Until(_) => time::parse_timestamp(text),
        }
    }
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
