//! One field of a cron expression: from its text to the numbers that it selects.
//!
//! Numbers are those of POSIX: Sunday is 0, and may be written 7. What day a date has, and which month
//! has how many days, is not known here.

use std::collections::BTreeSet;
use std::fmt;

use super::{CronError, Reason};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A field of a cron expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Second,
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or a name.
    Month,
    /// 0 to 7, or a name.
    DayOfWeek,
}

/// The numbers that a field selects; at least one.
#[derive(Clone, Debug)]
pub struct Selection {
    numbers: BTreeSet<u8>,
    restricted: bool,
}

impl Selection {
    /// Every number of the field.
    #[must_use]
    pub fn all(field: Field) -> Self {
        Self {
            numbers: (field.first()..=field.last()).collect(),
            restricted: false,
        }
    }

    /// Reads the text of a field: elements, with commas between them.
    pub(super) fn parse(field: Field, text: &str) -> Result<Self, CronError> {
        let mut numbers = BTreeSet::new();
        for element in text.split(',') {
            let selected = field.element(element).map_err(|reason| CronError {
                field: Some(field),
                reason,
            })?;
            numbers.extend(selected);
        }
        Ok(Self {
            numbers,
            restricted: !text.starts_with(['*', '?']),
        })
    }

    /// Whether the text starts with something other than `*`, which decides how two day fields combine.
    #[must_use]
    pub fn restricted(&self) -> bool {
        self.restricted
    }

    /// The smallest of the numbers.
    #[must_use]
    pub fn first(&self) -> u8 {
        *self
            .numbers
            .first()
            .expect("an element selects at least one number")
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u8> {
        self.numbers.iter().copied()
    }
}

impl Field {
    fn first(self) -> u8 {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::DayOfWeek => 0,
            Self::DayOfMonth | Self::Month => 1,
        }
    }

    fn last(self) -> u8 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 6,
        }
    }

    fn size(self) -> u8 {
        self.last() - self.first() + 1
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
        }
    }

    /// `number`, which may lie beyond the end, counted on from the start of the field.
    fn wrapped(self, number: u8) -> u8 {
        self.first() + (number - self.first()) % self.size()
    }

    /// The numbers that one element of the list selects.
    fn element(self, text: &str) -> Result<impl Iterator<Item = u8>, Reason> {
        let (span, step) = match text.split_once('/') {
            Some((span, step)) => (span, Some(self.step(step)?)),
            None => (text, None),
        };
        let (start, count) = if matches!(span, "*" | "?") {
            (self.first(), self.size())
        } else if let Some((from, to)) = span.split_once('-') {
            let (from, to) = (self.value(from)?, self.value(to)?);
            let beyond = if to < from { self.size() } else { 0 };
            (from, to + beyond - from + 1)
        } else {
            let from = self.wrapped(self.value(span)?);
            let count = step.map_or(1, |_| self.last() - from + 1);
            (from, count)
        };
        Ok((start..start + count)
            .step_by(usize::from(step.unwrap_or(1)))
            .map(move |number| self.wrapped(number)))
    }

    /// A number or a name; 7 stays 7, so that a range can end on it.
    fn value(self, text: &str) -> Result<u8, Reason> {
        if text.is_empty() {
            return Err(Reason::Missing);
        }
        if let Some(index) = self.names().iter().position(|name| is_name(name, text)) {
            let index = u8::try_from(index).expect("a field has few names");
            return Ok(self.first() + index);
        }
        if let Some(mark) = self.extension(text) {
            return Err(Reason::Extension { mark });
        }
        if !is_number(text) {
            let text = text.to_owned();
            return Err(if self.names().is_empty() {
                Reason::NotANumber { text }
            } else {
                Reason::UnknownName { text }
            });
        }
        let (first, last) = match self {
            Self::DayOfWeek => (0, 7),
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth | Self::Month => {
                (self.first(), self.last())
            }
        };
        text.parse()
            .ok()
            .filter(|number| (first..=last).contains(number))
            .ok_or_else(|| Reason::OutOfRange {
                text: text.to_owned(),
                first,
                last,
            })
    }

    fn step(self, text: &str) -> Result<u8, Reason> {
        text.parse()
            .ok()
            .filter(|step| is_number(text) && (1..=self.size()).contains(step))
            .ok_or_else(|| Reason::Step {
                text: text.to_owned(),
                last: self.size(),
            })
    }

    /// The extension that `text` uses: `5#2`, or `L`, `LW`, `15W`, `5L`, `FRIL`.
    fn extension(self, text: &str) -> Option<char> {
        if !matches!(self, Self::DayOfMonth | Self::DayOfWeek) {
            return None;
        }
        if text.contains('#') {
            return Some('#');
        }
        let mark = text.chars().last()?.to_ascii_uppercase();
        let stem = text.trim_end_matches(['L', 'l', 'W', 'w']);
        let is_day = is_number(stem) || WEEKDAYS.iter().any(|name| is_name(name, stem));
        (matches!(mark, 'L' | 'W') && is_day).then_some(mark)
    }
}

/// Whether `text` is `name`, or its first three letters, in capitals or not.
fn is_name(name: &str, text: &str) -> bool {
    text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3])
}

/// Digits only, or nothing: the standard library would take a sign too.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The English name of a month, 1 to 12.
pub(super) fn month_name(month: u8) -> &'static str {
    MONTHS[usize::from(month - 1)]
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}
