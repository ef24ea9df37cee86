//! Points and lengths of time as text: RFC 3339, and durations as people write them.
//!
//! Everything is in microseconds; finer digits are cut off.

use std::fmt::Write as _;

/// The years 1 to 9999, in microseconds since 1970.
pub(crate) const INSTANTS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Microseconds since 1970 of an RFC 3339 text (`2026-01-02T03:04:05.678+01:00`), years 1 to 9999.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let (year, month, day) = (
        digits(&date[0..4])?,
        digits(&date[5..7])?,
        digits(&date[8..10])?,
    );
    let (clock, zone) = rest.split_at_checked(9)?;
    let (hour, minute, second) = (
        digits(&clock[1..3])?,
        digits(&clock[4..6])?,
        digits(&clock[7..9])?,
    );
    let marks = [
        date[4],
        date[7],
        clock[0].to_ascii_uppercase(),
        clock[3],
        clock[6],
    ];
    let in_range = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if marks != *b"--T::" || !in_range {
        return None;
    }
    let (micros, zone) = fraction(zone)?;
    let offset = offset_seconds(zone)?;
    let seconds =
        days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
            - offset;
    Some(seconds * MICROS_PER_SECOND + micros).filter(|instant| INSTANTS.contains(instant))
}

/// The text of a point in time, in UTC, with as many digits of the fraction as it needs.
pub(crate) fn format_timestamp(micros: i64) -> String {
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let clock = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let fraction = fraction_text(micros.rem_euclid(MICROS_PER_SECOND));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Microseconds of `500ms`, `1.5s`, `2h30m`, `7d`, or ISO 8601 `PT30M`; a sign may stand first.
/// No weeks, months or years: they have no fixed length, or nobody agrees on it.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let micros = match body.strip_prefix('P') {
        Some(iso) => parse_iso_duration(iso)?,
        None => parse_units(body, &["d", "h", "m", "s", "ms", "us"])?,
    };
    Some(if negative { -micros } else { micros })
}

/// Seconds, as CEL prints a duration: `90s`, `0.5s`, `-1.25s`.
pub(crate) fn format_duration(micros: i64) -> String {
    let magnitude = micros.unsigned_abs();
    let second = MICROS_PER_SECOND.unsigned_abs();
    let mut text = String::new();
    if micros < 0 {
        text.push('-');
    }
    let rest = i64::try_from(magnitude % second).unwrap_or(0);
    write!(text, "{}{}s", magnitude / second, fraction_text(rest))
        .expect("writing to a string succeeds");
    text
}

fn parse_iso_duration(body: &str) -> Option<i64> {
    let (days, clock) = match body.split_once('T') {
        Some((_, "")) => return None,
        Some((days, clock)) => (days, clock),
        None => (body, ""),
    };
    if days.is_empty() && clock.is_empty() {
        return None;
    }
    let part = |text: &str, units: &[&str]| {
        if text.is_empty() {
            Some(0)
        } else {
            parse_units(&text.to_ascii_lowercase(), units)
        }
    };
    part(days, &["d"])?.checked_add(part(clock, &["h", "m", "s"])?)
}

/// One number and unit after the other, each unit at most once and in the order given.
fn parse_units(text: &str, mut units: &[&str]) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    loop {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let place = units.iter().position(|known| *known == unit)?;
        units = &units[place + 1..];
        total = total.checked_add(scaled(number, unit_micros(unit)?)?)?;
        if tail.is_empty() {
            return Some(total);
        }
        rest = tail;
    }
}

fn unit_micros(unit: &str) -> Option<i64> {
    Some(match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => MICROS_PER_SECOND,
        "m" => 60 * MICROS_PER_SECOND,
        "h" => 3600 * MICROS_PER_SECOND,
        "d" => SECONDS_PER_DAY * MICROS_PER_SECOND,
        _ => return None,
    })
}

/// A decimal number of units, without going through a double.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) => (whole, decimals),
        None => (number, ""),
    };
    if whole.is_empty() || (number.contains('.') && decimals.is_empty()) {
        return None;
    }
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in decimals.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        micros = micros.checked_add(i64::from(digit - b'0').checked_mul(place)? / 10)?;
        place /= 10;
    }
    Some(micros)
}

/// Splits `.678+01:00` into microseconds and the zone.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(body) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let micros = (0..6).fold(0, |sum, at| {
        let digit = if at < count { body[at] - b'0' } else { 0 };
        sum * 10 + i64::from(digit)
    });
    Some((micros, &body[count..]))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn fraction_text(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    let digits = format!(".{micros:06}");
    digits.trim_end_matches('0').to_owned()
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in eras of 400 years that
/// start on 1 March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants_have_their_known_text() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("2026-01-02T03:04:05.678Z", 1_767_323_045_678_000),
        ] {
            assert_eq!(parse_timestamp(text), Some(micros), "{text}");
            assert_eq!(format_timestamp(micros), text);
        }
    }

    #[test]
    fn an_offset_is_taken_off() {
        assert_eq!(
            parse_timestamp("2026-06-01T02:00:00+02:00"),
            parse_timestamp("2026-06-01T00:00:00Z")
        );
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01 00:00:00Z",
            "",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, micros) in [
            ("500ms", 500_000),
            ("30s", 30_000_000),
            ("1.5s", 1_500_000),
            ("2h30m", 9_000_000_000),
            ("7d", 604_800_000_000),
            ("PT30M", 1_800_000_000),
            ("P1DT2H", 93_600_000_000),
            ("-90s", -90_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(micros), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "1m1h",
            "1y",
            "P",
            "PT",
            "P1M",
            "1.s",
            ".5s",
            "99999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_instant_survives_its_text(micros in INSTANTS) {
            prop_assert_eq!(parse_timestamp(&format_timestamp(micros)), Some(micros));
        }

        #[test]
        fn a_duration_survives_its_text(micros in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(micros)), Some(micros));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}") {
            let _ = (parse_timestamp(&text), parse_duration(&text));
        }
    }
}
