//! The detector with one number: half of the declared silence makes an agent suspect, all of it dead.

use std::time::Duration;

use super::Limits;

/// The limits when `silence` is the longest one allowed.
#[must_use]
pub fn limits(silence: Duration) -> Limits {
    Limits {
        suspect: silence / 2,
        dead: silence,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::limits;
    use std::time::Duration;

    #[test]
    fn half_the_limit_makes_suspect_and_all_of_it_dead() {
        let limits = limits(Duration::from_secs(60));
        let at = |millis| limits.verdict(Duration::from_millis(millis));
        assert_eq!(at(29_999), Verdict::Alive);
        assert_eq!(at(30_000), Verdict::Suspect);
        assert_eq!(at(59_999), Verdict::Suspect);
        assert_eq!(at(60_000), Verdict::Dead);
    }
}
