//! Schedules: which instants start a run, which are skipped, and why. Pure, as the engine is.
//!
//! [`Plan`] is what a workflow's `schedule:` entry says: its instants. [`ScheduleState`] is a fold of the
//! stream `schedule/WORKFLOW/ID`: how far the instants are decided, which were taken, what waits. [`decide`]
//! says what an input means; its facts and the runs that they start are appended in one batch, so that a
//! crash neither doubles nor loses a start. Which runs are open, names of new runs and both clocks come in
//! from outside (`coordinator/schedules.rs`).
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

mod decide;
mod event;
mod plan;
mod state;
#[cfg(test)]
mod tests;

pub use decide::{Decision, ScheduleInput, ScheduleRejection, Surroundings, decide, next_due};
pub use event::{ScheduleEvent, SkipReason};
pub use plan::{BadSchedule, Plan};
pub use state::{Past, ScheduleState, Taken, apply};
