//! Cron expressions as text: which numbers each field selects, and whether any date has them.
//!
//! The meaning is that of POSIX and Vixie's cron. What is found here holds in every time zone; the instants at
//! which an expression fires are the scheduler's business.

mod field;

use thiserror::Error;

pub use field::{Field, Selection};

const SHORTHANDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A cron expression that fires at least once, field by field.
///
/// Five fields (minute, hour, day of month, month, day of week), or six with seconds first, or one of
/// `@hourly @daily @midnight @weekly @monthly @yearly @annually`. A field is a list of `*`, `?` (the same),
/// `a`, `a-b` (around the end if `b` is before `a`), each with an optional step: `*/n`, `a-b/n`, and `a/n`
/// for `a` to the end of the field. Sunday is 0 and 7; months and weekdays have names. If both day fields
/// are restricted, either of them matches; a field that starts with `*` is not restricted.
#[derive(Clone, Debug)]
pub struct CronFields {
    /// 0 to 59; only 0 if the expression has five fields.
    pub second: Selection,
    /// 0 to 59.
    pub minute: Selection,
    /// 0 to 23.
    pub hour: Selection,
    /// 1 to 31.
    pub day: Selection,
    /// 1 to 12.
    pub month: Selection,
    /// 0 to 6, Sunday first.
    pub weekday: Selection,
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

impl CronFields {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first field that is wrong; or the day of month, if no month named has such a day.
    pub fn parse(expression: &str) -> Result<Self, CronError> {
        let [second, minute, hour, day, month, weekday] = fields(expression.trim())?;
        let fields = Self {
            second: Selection::parse(Field::Second, second)?,
            minute: Selection::parse(Field::Minute, minute)?,
            hour: Selection::parse(Field::Hour, hour)?,
            day: Selection::parse(Field::DayOfMonth, day)?,
            month: Selection::parse(Field::Month, month)?,
            weekday: Selection::parse(Field::DayOfWeek, weekday)?,
        };
        if fields.has_a_date() {
            Ok(fields)
        } else {
            Err(CronError {
                field: Some(Field::DayOfMonth),
                reason: Reason::NeverFires {
                    day: fields.day.first(),
                    month: field::month_name(fields.month.first()),
                },
            })
        }
    }

    /// Whether a date matches if only one of its day fields does: both are restricted.
    #[must_use]
    pub fn either_day(&self) -> bool {
        self.day.restricted() && self.weekday.restricted()
    }

    /// Every date, 29 February too, falls on every weekday in some year, so only days that no
    /// month has never come.
    fn has_a_date(&self) -> bool {
        self.either_day()
            || self
                .month
                .numbers()
                .any(|month| self.day.first() <= longest(month))
    }
}

/// How many days a month has at most.
fn longest(month: u8) -> u8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(expression: &str) -> bool {
        CronFields::parse(expression).is_ok()
    }

    #[test]
    fn only_days_that_no_month_has_never_come() {
        assert!(fires("0 0 29 2 *"));
        assert!(fires("0 0 29 2 */2"));
        assert!(fires("0 0 31 1-12 *"));
        assert!(fires("0 0 30 2 MON"), "either day field matches");
        assert!(!fires("0 0 30 2 *"));
        assert!(!fires("0 0 30 2 */2"), "an unrestricted one must match too");
        assert!(!fires("0 0 31 APR,JUN,SEP,NOV *"));
    }
}
