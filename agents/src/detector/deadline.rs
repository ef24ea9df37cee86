//! The detector with one number: a limit on silence. Half of it makes an agent suspect, all of it dead.

use std::time::Duration;

use super::Verdict;

/// What `silence` means when `limit` is the longest one allowed.
#[must_use]
pub fn verdict(silence: Duration, limit: Duration) -> Verdict {
    if silence >= limit {
        Verdict::Dead
    } else if silence >= limit / 2 {
        Verdict::Suspect
    } else {
        Verdict::Alive
    }
}

/// The shortest silence, longer than `silence`, at which the verdict turns; `None` for the dead.
#[must_use]
pub fn next_turn(silence: Duration, limit: Duration) -> Option<Duration> {
    match verdict(silence, limit) {
        Verdict::Alive => Some(limit / 2),
        Verdict::Suspect => Some(limit),
        Verdict::Dead => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, next_turn, verdict};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn half_the_limit_makes_suspect_and_all_of_it_dead() {
        let limit = Duration::from_secs(60);
        let at = |millis| verdict(Duration::from_millis(millis), limit);
        assert_eq!(at(29_999), Verdict::Alive);
        assert_eq!(at(30_000), Verdict::Suspect);
        assert_eq!(at(59_999), Verdict::Suspect);
        assert_eq!(at(60_000), Verdict::Dead);
    }

    proptest! {
        #[test]
        fn longer_silence_is_never_a_better_sign(a in 0u64..200_000, b in 0u64..200_000, limit in 0u64..100_000) {
            let (a, b, limit) = (Duration::from_nanos(a.min(b)), Duration::from_nanos(a.max(b)), Duration::from_nanos(limit));
            prop_assert!(verdict(a, limit) <= verdict(b, limit));
        }

        #[test]
        fn the_verdict_turns_exactly_when_announced(silence in 0u64..200_000, limit in 0u64..100_000) {
            let (silence, limit) = (Duration::from_nanos(silence), Duration::from_nanos(limit));
            let now = verdict(silence, limit);
            match next_turn(silence, limit) {
                None => prop_assert_eq!(now, Verdict::Dead),
                Some(turn) => {
                    prop_assert!(turn > silence);
                    prop_assert_eq!(verdict(turn - Duration::from_nanos(1), limit), now);
                    prop_assert!(verdict(turn, limit) > now);
                }
            }
        }
    }
}
