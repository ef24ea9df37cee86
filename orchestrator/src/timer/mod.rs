//! When something is due. Pure: what `now` is comes in as a value.
//!
//! [`Cron`] is the calendar of schedules, in UTC; [`Calendar`] reads it against the clocks of a time
//! zone, their changes included. Nothing fires here: whoever asks decides what to do at
//! the instants that it names. Start reading at [`cron`].
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

pub mod calendar;
pub mod cron;
pub mod zone;

pub use self::calendar::{Calendar, Dst};
pub use self::cron::{Cron, CronError};
pub use self::zone::{UnknownZone, Zone};
