//! Cron expressions with the meaning that POSIX and Vixie's cron gave them, in UTC.
//!
//! The crate `cron` finds the instants. It reads a dialect of its own (seconds first, Sunday is 1, both
//! day fields must match), so `field.rs` reads the text and hands it sets of numbers only. Two restricted
//! day fields become two schedules whose instants are merged. The calendar ends with the year 2100.

mod field;
#[cfg(test)]
mod tests;

use std::iter::successors;
use std::str::FromStr as _;

use chrono::{DateTime, Datelike as _, Utc};
use cron::Schedule;
use phisync_state::Timestamp;
use thiserror::Error;

pub use field::Field;
use field::Selection;

/// The last year in which anything fires: `cron` knows no later one.
const LAST_YEAR: i32 = 2100;

const SHORTHANDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

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
}

/// Why a text is not a cron expression that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{reason}", .field.map_or_else(String::new, |field| format!("{field}: ")))]
pub struct CronError {
    /// The field that is wrong; `None` for the expression as a whole.
    pub field: Option<Field>,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What can be wrong with a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// Neither five fields nor six.
    #[error("{found} fields where five or six belong")]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// Starts with `@`, and nobody knows it.
    #[error("`{text}` is not a known shorthand")]
    UnknownShorthand {
        /// What was written.
        text: String,
    },
    /// Nothing stands where a value belongs.
    #[error("a value is missing")]
    Missing,
    /// Not a number, in a field without names.
    #[error("`{text}` is not a number")]
    NotANumber {
        /// What was written.
        text: String,
    },
    /// Not a number, and not a month or a weekday either.
    #[error("`{text}` is neither a number nor a name")]
    UnknownName {
        /// What was written.
        text: String,
    },
    /// A number that the field does not have.
    #[error("`{text}` is not between {first} and {last}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// The smallest number of the field.
        first: u8,
        /// The largest number of the field.
        last: u8,
    },
    /// Not a step, or one that leads out of the field at once.
    #[error("`{text}` is not a step between 1 and {last}")]
    Step {
        /// What was written.
        text: String,
        /// The largest step: how many values the field has.
        last: u8,
    },
    /// One of the extensions `L`, `W` and `#` of other schedulers.
    #[error("`{mark}` is not supported")]
    Extension {
        /// The letter or sign.
        mark: char,
    },
    /// All fields are well-formed, but no date has these days and months.
    #[error("there is no {day} {month}, so it never fires")]
    NeverFires {
        /// The first of the days.
        day: u8,
        /// The name of the first of the months.
        month: &'static str,
    },
}

impl CronError {
    /// What to do about it, if that is more than to correct the value.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.reason {
            Reason::FieldCount { .. } => Some(
                "the fields are minute, hour, day of month, month, day of week; a sixth, in front, is the second",
            ),
            Reason::UnknownShorthand { .. } => Some(
                "known are `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`",
            ),
            Reason::Extension { .. } => Some(
                "days are numbers, names, ranges `a-b`, lists `a,b` and steps `/n`; `L`, `W` and `#` are not known here",
            ),
            Reason::Step { .. } => Some(
                "a step counts within its field and starts again with the next hour, day or month",
            ),
            Reason::Missing
            | Reason::NotANumber { .. }
            | Reason::UnknownName { .. }
            | Reason::OutOfRange { .. }
            | Reason::NeverFires { .. } => None,
        }
    }
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first field that is wrong; or the day of month, if no month named has such a day.
    pub fn parse(expression: &str) -> Result<Self, CronError> {
        let [second, minute, hour, day, month, weekday] = fields(expression.trim())?;
        let second = Selection::parse(Field::Second, second)?;
        let minute = Selection::parse(Field::Minute, minute)?;
        let hour = Selection::parse(Field::Hour, hour)?;
        let day = Selection::parse(Field::DayOfMonth, day)?;
        let month = Selection::parse(Field::Month, month)?;
        let weekday = Selection::parse(Field::DayOfWeek, weekday)?;

        let schedule = |day: &Selection, weekday: &Selection| {
            // Sunday is 1 to `cron`.
            let text = format!(
                "{} {} {} {} {} {}",
                second.list(0),
                minute.list(0),
                hour.list(0),
                day.list(0),
                month.list(0),
                weekday.list(1)
            );
            Schedule::from_str(&text).expect("lists of numbers within their fields are a schedule")
        };
        let schedules = if day.restricted() && weekday.restricted() {
            vec![
                schedule(&day, &Selection::all(Field::DayOfWeek)),
                schedule(&Selection::all(Field::DayOfMonth), &weekday),
            ]
        } else {
            vec![schedule(&day, &weekday)]
        };
        let cron = Self { schedules };
        // The calendar holds every pair of a date and a weekday, so what does not fire in it never does.
        if cron.next_after(Timestamp::from_micros(i64::MIN)).is_none() {
            return Err(CronError {
                field: Some(Field::DayOfMonth),
                reason: Reason::NeverFires {
                    day: day.first(),
                    month: field::month_name(month.first()),
                },
            });
        }
        Ok(cron)
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

/// The texts of the six fields, seconds first.
fn fields(expression: &str) -> Result<[&str; 6], CronError> {
    let wrong = |reason| CronError {
        field: None,
        reason,
    };
    let longhand = if expression.starts_with('@') {
        SHORTHANDS
            .into_iter()
            .find_map(|(name, longhand)| (name == expression).then_some(longhand))
            .ok_or_else(|| {
                wrong(Reason::UnknownShorthand {
                    text: expression.to_owned(),
                })
            })?
    } else {
        expression
    };
    let texts: Vec<&str> = longhand.split_whitespace().collect();
    match *texts.as_slice() {
        [minute, hour, day, month, weekday] => Ok(["0", minute, hour, day, month, weekday]),
        [second, minute, hour, day, month, weekday] => {
            Ok([second, minute, hour, day, month, weekday])
        }
        _ => Err(wrong(Reason::FieldCount { found: texts.len() })),
    }
}
