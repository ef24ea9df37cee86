//! How attempts, steps, passes and runs end, as facts say it: why they failed, why they were
//! cancelled, what follows, and how far a closed run was undone.

use phisync_state::Timestamp;
use serde::{Deserialize, Serialize};

use super::field::present;
use crate::engine::RawJson;

/// Why an attempt, a step or a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A code of the language's list, as `timeout.run` or `app.no_seats`.
    pub code: String,
    /// For people.
    pub message: String,
    /// More, if the one who failed gave it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub data: Option<RawJson>,
}

impl Failure {
    /// A failure without data.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            data: None,
        }
    }

    /// Whether the world may have changed though nobody reported it: the attempt ended by
    /// silence, not by an answer.
    #[must_use]
    pub fn leaves_effect_unknown(&self) -> bool {
        matches!(
            self.code.as_str(),
            "timeout.run" | "timeout.total" | "agent.lost" | "cancelled"
        )
    }
}

/// What follows the end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Back into the queue at once.
    Requeue {
        /// When somebody must have taken it.
        queue_deadline: Timestamp,
    },
    /// Back into the queue later.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// The task has failed.
    Fail,
}

/// Why a step was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// What it needs cannot come any more.
    Upstream,
    /// The run has failed.
    RunFailed,
    /// The run was cancelled.
    RunCancelled,
    /// Another branch of a `join: first` was faster.
    Outrun,
    /// The body that it stands in, or the block around that, has failed.
    BodyFailed,
    /// The run was finished by a step.
    RunFinished,
    /// Its state was left.
    StateLeft,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassOutcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// Not at all: it was stopped.
    Cancelled,
}

/// How far a closed run was undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Nothing was to be undone.
    #[default]
    None,
    /// Everything that was to be undone is.
    Done,
    /// Some undoing was skipped by a person.
    Partial,
    /// A person gave the undoing up.
    Abandoned,
}
