//! Durations as people write them: `500ms 30s 15m 2h30m 7d`, or ISO 8601 without months and years.

use std::time::Duration;

/// Ten years: nothing in a workflow waits longer, and no clock overflows by it.
const DAYS_MAX: u64 = 3650;

/// Reads a duration; `Err` is a fragment for the label.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let millis = match text.strip_prefix('P') {
        Some(rest) => iso(rest)?,
        None => short(text)?,
    };
    if millis > DAYS_MAX * 86_400_000 {
        return Err("longer than ten years");
    }
    Ok(Duration::from_millis(millis))
}

fn short(text: &str) -> Result<u64, &'static str> {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut total = 0_u64;
    let mut allowed = 0;
    if rest.is_empty() {
        return Err("empty");
    }
    while !rest.is_empty() {
        let (count, after) = digits(rest)?;
        let width = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(width);
        if unit.is_empty() {
            return Err("the unit is missing");
        }
        let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err("units are `ms`, `s`, `m`, `h` and `d`");
        };
        if place < allowed {
            return Err("larger units come first, each once");
        }
        allowed = place + 1;
        total = add(total, count, UNITS[place].1)?;
        rest = next;
    }
    Ok(total)
}

fn iso(text: &str) -> Result<u64, &'static str> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err("nothing after `T`"),
        None => (text, ""),
    };
    if date.is_empty() && time.is_empty() {
        return Err("nothing after `P`");
    }
    let date = iso_part(date, &[('W', 7 * 86_400_000), ('D', 86_400_000)])?;
    let time = iso_part(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1000)])?;
    date.checked_add(time).ok_or("longer than ten years")
}

fn iso_part(text: &str, units: &[(char, u64)]) -> Result<u64, &'static str> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut allowed = 0;
    while !rest.is_empty() {
        let (count, after) = digits(rest)?;
        let Some(unit) = after.chars().next() else {
            return Err("the unit is missing");
        };
        let Some(place) = units.iter().position(|(name, _)| *name == unit) else {
            return Err("months and years have no fixed length; use days");
        };
        if place < allowed {
            return Err("larger units come first, each once");
        }
        allowed = place + 1;
        total = add(total, count, units[place].1)?;
        rest = &after[unit.len_utf8()..];
    }
    Ok(total)
}

fn digits(text: &str) -> Result<(u64, &str), &'static str> {
    let width = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if width == 0 {
        return Err("a whole number and a unit are wanted");
    }
    let count = text[..width].parse().map_err(|_| "longer than ten years")?;
    Ok((count, &text[width..]))
}

fn add(total: u64, count: u64, unit: u64) -> Result<u64, &'static str> {
    count
        .checked_mul(unit)
        .and_then(|millis| total.checked_add(millis))
        .ok_or("longer than ten years")
}

/// The shortest form that [`parse`] reads back.
pub(crate) fn show(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        let count = millis / size;
        millis %= size;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written_and_print_back() {
        for (text, millis, printed) in [
            ("500ms", 500, "500ms"),
            ("30s", 30_000, "30s"),
            ("90m", 5_400_000, "1h30m"),
            ("2h30m", 9_000_000, "2h30m"),
            ("7d", 604_800_000, "7d"),
            ("PT30M", 1_800_000, "30m"),
            ("P1DT2H", 93_600_000, "1d2h"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), printed);
        }
    }

    #[test]
    fn what_has_no_fixed_length_or_no_end_is_refused() {
        for text in [
            "",
            "5",
            "5 m",
            "1.5h",
            "-1s",
            "30m2h",
            "1s1s",
            "P",
            "PT",
            "P1M",
            "P1Y",
            "4000d",
            "99999999999999999999s",
            "1x",
            "s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
