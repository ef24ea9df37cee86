//! Time zones: what the clocks on the wall show at an instant, and when they change.
//!
//! The rules are compiled in, so that a schedule means the same on every machine. Offsets are whole
//! seconds. Nothing here knows about schedules.

use std::fmt;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use phisync_state::Timestamp;
use thiserror::Error;

const MICROS: i64 = 1_000_000;

/// No two changes of a zone's clocks are closer than this, so that a search by such steps finds each.
const SEARCH_STEP: i64 = 12 * 3600;

/// A time zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

/// Not the name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{name}` is not a time zone{}", .nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?")))]
pub struct UnknownZone {
    /// What was written.
    pub name: String,
    /// The zone that is called nearly so.
    pub nearest: Option<&'static str>,
}

/// What an instant of local time means: none in a gap, two where clocks are put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// The clocks jump over it.
    Never,
    /// It comes once.
    Once,
    /// It comes twice: this is the earlier of its two instants.
    Twice(Seconds),
}

/// Seconds since 1970, of UTC or of the clocks on the wall.
pub(super) type Seconds = i64;

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone called `name`, as `Europe/Berlin`; upper and lower case are the same.
    ///
    /// # Errors
    /// [`UnknownZone`].
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        let known = TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(name));
        known.map(|zone| Self(*zone)).ok_or_else(|| UnknownZone {
            name: name.to_owned(),
            nearest: nearest(name),
        })
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// How far its clocks are before UTC at an instant, in seconds.
    pub(super) fn offset(self, at: Seconds) -> Seconds {
        let at = DateTime::from_timestamp(at, 0).map(|at| at.naive_utc());
        let at = at.unwrap_or(NaiveDateTime::MAX);
        let offset = self.0.offset_from_utc_datetime(&at).fix();
        Seconds::from(offset.local_minus_utc())
    }

    /// The first instant after `from`, up to `to`, at which its clocks change.
    pub(super) fn next_change(self, from: Seconds, to: Seconds) -> Option<Seconds> {
        let mut low = from;
        let offset = self.offset(from);
        while low < to {
            let high = low.saturating_add(SEARCH_STEP).min(to);
            if self.offset(high) != offset {
                return Some(self.narrow(low, high, offset));
            }
            low = high;
        }
        None
    }

    /// The instant between `low`, where clocks show `offset`, and `high`, where they do not.
    fn narrow(self, mut low: Seconds, mut high: Seconds, offset: Seconds) -> Seconds {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset(middle) == offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// How often the clocks show `local`.
    pub(super) fn occurrence(self, local: Seconds) -> Occurrence {
        let Some(local) = DateTime::from_timestamp(local, 0) else {
            return Occurrence::Never;
        };
        match self.0.from_local_datetime(&local.naive_utc()) {
            LocalResult::None => Occurrence::Never,
            LocalResult::Single(_) => Occurrence::Once,
            LocalResult::Ambiguous(earlier, _) => Occurrence::Twice(earlier.timestamp()),
        }
    }

    /// What its clocks show, as `2026-03-29T03:00:00+02:00`.
    #[must_use]
    pub fn show(self, at: Timestamp) -> String {
        let shown = DateTime::from_timestamp_micros(at.as_micros());
        shown.map_or_else(
            || at.to_string(),
            |at| {
                let at = at.with_timezone(&self.0).fixed_offset();
                at.format("%Y-%m-%dT%H:%M:%S%:z").to_string()
            },
        )
    }

    /// The weekday that its calendars show, as `Mon`.
    #[must_use]
    pub fn weekday(self, at: Timestamp) -> String {
        let shown = DateTime::from_timestamp_micros(at.as_micros());
        shown.map_or_else(String::new, |at| {
            at.with_timezone(&self.0).format("%a").to_string()
        })
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

/// Whole seconds of an instant, rounded down.
pub(super) fn seconds(at: Timestamp) -> Seconds {
    at.as_micros().div_euclid(MICROS)
}

/// An instant of whole seconds.
pub(super) fn instant(seconds: Seconds) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(MICROS))
}

/// The zone whose last word, or whole name, is nearest: people write `Berlin`.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(' ', "_");
    let distance = |zone: &'static str| {
        let lower = zone.to_ascii_lowercase();
        let city = lower.rsplit('/').next().unwrap_or(&lower);
        letters_apart(city, &name).min(letters_apart(&lower, &name))
    };
    let zones = TZ_VARIANTS.iter().map(|zone| zone.name());
    let found = zones.min_by_key(|zone| distance(zone))?;
    (distance(found) <= 2).then_some(found)
}

/// The number of letters to add, drop or change to make one word the other.
fn letters_apart(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::Zone;

    #[test]
    fn a_zone_is_found_by_its_name_and_a_slip_is_told() {
        assert_eq!(
            Zone::parse("europe/berlin").map(Zone::name),
            Ok("Europe/Berlin")
        );
        let wrong = Zone::parse("Berlin").expect_err("not a whole name");
        assert_eq!(wrong.nearest, Some("Europe/Berlin"));
        let wrong = Zone::parse("Europe/Berlim").expect_err("a slip");
        assert_eq!(
            wrong.to_string(),
            "`Europe/Berlim` is not a time zone; did you mean `Europe/Berlin`?"
        );
        assert_eq!(
            Zone::parse("Middle/Earth").expect_err("no such").nearest,
            None
        );
    }
}
