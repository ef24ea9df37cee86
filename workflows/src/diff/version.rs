//! Numbers of versions: which one follows a change.

use std::fmt;

/// How much changed between two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing that counts.
    Same,
    /// Texts, clocks, retries, labels.
    Patch,
    /// Something was added.
    Minor,
    /// Somebody who relied on the old version may break.
    Major,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "no",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// The three numbers of a semantic version; `None` for a shortened hash.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let core = version.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse::<u64>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// The least number after `version` for a change of this level.
pub(super) fn next(version: &str, level: Level) -> Option<String> {
    let [major, minor, patch] = numbers(version)?;
    let [major, minor, patch] = match level {
        Level::Same => return None,
        Level::Patch => [major, minor, patch + 1],
        Level::Minor => [major, minor + 1, 0],
        Level::Major => [major + 1, 0, 0],
    };
    Some(format!("{major}.{minor}.{patch}"))
}

/// Whether a version is below another, or has no number at all.
pub(super) fn is_below(version: &str, least: &str) -> bool {
    numbers(version) < numbers(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_the_level_of_the_change() {
        assert_eq!(next("1.2.3", Level::Patch).as_deref(), Some("1.2.4"));
        assert_eq!(next("1.2.3-rc.1", Level::Minor).as_deref(), Some("1.3.0"));
        assert_eq!(next("1.2.3", Level::Major).as_deref(), Some("2.0.0"));
        assert_eq!(next("1.2.3", Level::Same), None);
        assert_eq!(next("441e6654bffc", Level::Major), None);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(is_below("1.9.0", "1.10.0"));
        assert!(!is_below("2.0.0", "1.10.0"));
        assert!(is_below("441e6654bffc", "1.0.0"));
    }
}
