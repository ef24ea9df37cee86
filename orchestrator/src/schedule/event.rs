//! The facts of one schedule, as they stand in the stream `schedule/WORKFLOW/ID`. Format version 1: fields
//! are only ever added, with a default.

use phisync_state::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::RunId;

use super::state::{Past, SchedulePause};

/// Why an instant started nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Nobody was there at the time, and `catchup` does not want it now.
    Missed,
    /// A run of the schedule was still open.
    Overlap {
        /// Which.
        run: RunId,
    },
    /// A later instant took its place in the queue (`overlap: replace`).
    Replaced,
    /// Too many instants wait already.
    QueueFull,
    /// The schedule was paused.
    Paused,
    /// It was taken before, as by a backfill.
    AlreadyTaken,
    /// Its inputs do not fit the workflow, or cannot be evaluated.
    BadInputs {
        /// What is wrong.
        message: String,
    },
}

impl SkipReason {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Missed => "missed".to_owned(),
            Self::Overlap { run } => format!("run `{run}` was still open"),
            Self::Replaced => "replaced by a later instant".to_owned(),
            Self::QueueFull => "too many instants wait".to_owned(),
            Self::Paused => "paused".to_owned(),
            Self::AlreadyTaken => "taken before".to_owned(),
            Self::BadInputs { message } => format!("its inputs do not fit: {message}"),
        }
    }
}

/// One fact of one schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleEvent {
    /// A version of the workflow has this schedule.
    ScheduleSet {
        /// SHA-256 of that version: it says what the schedule is.
        definition: String,
        /// Where `every` counts from.
        anchor: Timestamp,
        /// Instants up to here are decided.
        after: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// The newest version of the workflow does not have it any more.
    ScheduleWithdrawn {
        /// When.
        at: Timestamp,
    },
    /// Nothing is started from now on.
    SchedulePaused {
        /// Who.
        by: String,
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The pause is over.
    ScheduleResumed {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A run was started; it stands in the same batch.
    ScheduleFired {
        /// The instant that it stands for; absent: somebody set the schedule off by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instant: Option<Timestamp>,
        /// The run.
        run: RunId,
        /// Who set it off by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// An instant waits for a run to close. It is taken: nothing else starts for it.
    ScheduleQueued {
        /// Which.
        instant: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// One instant starts nothing.
    ScheduleSkipped {
        /// Which.
        instant: Timestamp,
        /// Why.
        reason: SkipReason,
        /// When.
        at: Timestamp,
    },
    /// Every instant of a stretch of time starts nothing.
    SchedulePassed {
        /// The stretch begins after this,
        after: Timestamp,
        /// and ends with this.
        until: Timestamp,
        /// How many instants it has; at most 1000 are counted.
        count: u32,
        /// Why.
        reason: SkipReason,
        /// When.
        at: Timestamp,
    },
    /// Everything that the facts before this one come to: they are needed no more.
    ScheduleSummed {
        /// The version of the workflow that has it; absent: withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        definition: Option<String>,
        /// Where `every` counts from.
        anchor: Timestamp,
        /// Instants up to here are decided.
        cursor: Timestamp,
        /// First and last of each stretch of instants that were taken.
        taken: Vec<(Timestamp, Timestamp)>,
        /// Instants that wait for a run to close.
        queue: Vec<Timestamp>,
        /// Why it is paused, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused: Option<SchedulePause>,
        /// Runs of it that are open.
        runs: Vec<RunId>,
        /// The last things that it did.
        past: Vec<Past>,
        /// When.
        at: Timestamp,
    },
    /// Somebody wants instants of the past to be made up for: they wait in the queue.
    BackfillRequested {
        /// Which, in order.
        instants: Vec<Timestamp>,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}
