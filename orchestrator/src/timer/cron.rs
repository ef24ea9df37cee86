//! Cron expressions with the meaning that POSIX and Vixie's cron gave them, in UTC.
//!
//! The crate `cron` finds the instants. It reads a dialect of its own (seconds first, Sunday is 1, both
//! day fields must match), so the compiler's [`CronFields`] reads the text, for its checks and for here, and
//! `cron` gets sets of numbers only. Two restricted day fields become two schedules whose instants are merged.
//! The calendar ends with the year 2100.

#[cfg(test)]
mod tests;

use std::iter::successors;
use std::str::FromStr as _;

use chrono::{DateTime, Datelike as _, Utc};
use cron::Schedule;
use phisync_state::Timestamp;
use phisync_workflows::cron::{CronFields, Selection};

pub use phisync_workflows::cron::{CronError, Field, Reason};

/// The last year in which anything fires: `cron` knows no later one.
const LAST_YEAR: i32 = 2100;

/// A cron expression that fires at least once.
///
/// Five fields (minute, hour, day of month, month, day of week), or six with seconds first, or one of
/// `@hourly @daily @midnight @weekly @monthly @yearly @annually`. A field is a list of `*`, `?` (the same),
/// `a`, `a-b` (around the end if `b` is before `a`), each with an optional step: `*/n`, `a-b/n`, and `a/n`
/// for `a` to the end of the field. Sunday is 0 and 7; months and weekdays have names. If both day fields
/// are restricted, either of them matches; a field that starts with `*` is not restricted.
#[derive(Clone, Debug)]
pub struct Cron {
    /// An instant of any of them is an instant of the expression.
    schedules: Vec<Schedule>,
    fixed_hour: bool,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first field that is wrong; or the day of month, if no month named has such a day.
    pub fn parse(expression: &str) -> Result<Self, CronError> {
        let fields = CronFields::parse(expression)?;
        let schedule = |day: &Selection, weekday: &Selection| {
            // Sunday is 1 to `cron`.
            let text = format!(
                "{} {} {} {} {} {}",
                list(&fields.second, 0),
                list(&fields.minute, 0),
                list(&fields.hour, 0),
                list(day, 0),
                list(&fields.month, 0),
                list(weekday, 1)
            );
            Schedule::from_str(&text).expect("lists of numbers within their fields are a schedule")
        };
        let schedules = if fields.either_day() {
            vec![
                schedule(&fields.day, &Selection::all(Field::DayOfWeek)),
                schedule(&Selection::all(Field::DayOfMonth), &fields.weekday),
            ]
        } else {
            vec![schedule(&fields.day, &fields.weekday)]
        };
        Ok(Self {
            schedules,
            fixed_hour: fields.hour.restricted(),
        })
    }

    /// Whether the hour field names hours; `*` and what begins with it does not.
    #[must_use]
    pub fn has_fixed_hour(&self) -> bool {
        self.fixed_hour
    }

    /// The first instant strictly after `after` at which the expression fires, a whole second of UTC from
    /// 1970 on; `None` if there is none up to the end of the year 2100.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // To `cron`, a year before 1970 is one after all others.
        let seconds = after.as_micros().div_euclid(1_000_000).max(-1);
        let after = DateTime::<Utc>::from_timestamp(seconds, 0)?;
        if after.year() > LAST_YEAR {
            return None;
        }
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&after).next())
            .min()
            .map(|instant| Timestamp::from_micros(instant.timestamp_micros()))
    }

    /// The instants strictly after `after` at which the expression fires, in order.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        successors(self.next_after(after), |instant| self.next_after(*instant))
    }
}

/// The numbers with commas between them, each larger by `shift`.
fn list(selection: &Selection, shift: u8) -> String {
    let numbers: Vec<String> = selection
        .numbers()
        .map(|number| (number + shift).to_string())
        .collect();
    numbers.join(",")
}
