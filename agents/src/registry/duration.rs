//! Durations as people write them: `500ms`, `30s`, `15m`, `2h30m`, `7d`.

use std::time::Duration;

/// Units, largest first: each may occur once, in this order.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration; `None` when `text` is none or too long to count.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(letters);
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        millis = millis.checked_add(part)?;
        rest = after;
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_come_once_each_from_large_to_small() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("2h30m"), Some(9_000_000));
        assert_eq!(millis("1d1s1ms"), Some(86_401_001));
        for bad in [
            "",
            "5",
            "s",
            "30m2h",
            "1s1s",
            "-1s",
            "1.5s",
            "1 s",
            "1S",
            "99999999999999999999d",
        ] {
            assert_eq!(millis(bad), None, "{bad:?} passed");
        }
    }
}
