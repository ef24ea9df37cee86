//! When something is due. Pure: what `now` is comes in as a value.
//!
//! [`Cron`] is the calendar of schedules. It is in UTC; time zones, and what their clock changes mean
//! for a schedule, are not known here. Nothing fires here either: whoever asks decides what to do at
//! the instants that it names. Start reading at [`cron`].
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

pub mod cron;

pub use self::cron::{Cron, CronError};
