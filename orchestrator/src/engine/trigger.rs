//! What made a run start, if it was not somebody who asked for it.

use serde::{Deserialize, Serialize};

use phisync_state::Timestamp;

use super::RunId;

/// What made a run start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A schedule of the workflow.
    Schedule {
        /// Its id.
        id: String,
        /// The instant that it stands for; absent: somebody set it off by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instant: Option<Timestamp>,
    },
    /// An event that a trigger of the workflow waits for.
    Event {
        /// Its name.
        name: String,
        /// Its number among all of that name.
        number: u64,
    },
    /// Another run, whose journal it goes on from.
    Fork {
        /// Which.
        of: RunId,
        /// Up to this version of its stream.
        at: u64,
    },
    /// A step of another run.
    Call {
        /// Which run.
        of: RunId,
        /// Which step.
        step: String,
    },
    /// A closed run that a step of another one had called, and that is undone with that step.
    Unwind {
        /// Which run is undone.
        of: RunId,
        /// The run that undoes its step.
        parent: RunId,
        /// The step that waits for it.
        step: String,
    },
    /// Another run that is tried again.
    Retry {
        /// Which.
        of: RunId,
        /// From these steps on.
        from: Vec<String>,
    },
}

impl Trigger {
    /// The word that expressions read as `run.trigger`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Schedule { .. } => "schedule",
            Self::Event { .. } => "event",
            Self::Fork { .. } => "fork",
            Self::Call { .. } => "call",
            Self::Unwind { .. } => "unwind",
            Self::Retry { .. } => "retry",
        }
    }
}
