//! How often something may happen: a token bucket as one instant.
//!
//! `30/m` is a bucket of 30 tokens that fills at 30 a minute: all 30 may be taken at once, then one every
//! two seconds. Its whole state is the instant at which it would be full again (the generic cell rate
//! algorithm, ITU-T I.371), so it can be journalled with every token taken and be right after a restart. Pure: time
//! is an argument, in microseconds since any fixed instant.

use std::fmt;
use std::time::Duration;

/// So many in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Duration,
}

impl Rate {
    /// `count` tokens, which come back within `period`; `None` if one of them is nothing, or if tokens
    /// would come faster than one a microsecond.
    #[must_use]
    pub fn new(count: u32, period: Duration) -> Option<Self> {
        let fits = count > 0 && period.as_micros() >= u128::from(count);
        fits.then_some(Self { count, period })
    }

    /// How long one token takes to come back, in microseconds; rounded up, so that there are never too
    /// many.
    fn interval(self) -> i64 {
        let micros = self.period.as_micros().div_ceil(u128::from(self.count));
        i64::try_from(micros).unwrap_or(i64::MAX)
    }

    /// The earliest instant, `now` or later, at which a token may be taken from a bucket that would be
    /// full at `full_at`.
    #[must_use]
    pub fn next(self, full_at: i64, now: i64) -> i64 {
        let span = self.interval().saturating_mul(i64::from(self.count) - 1);
        full_at.saturating_sub(span).max(now)
    }

    /// Takes a token at `now`: when the bucket will be full again.
    #[must_use]
    pub fn take(self, full_at: i64, now: i64) -> i64 {
        full_at.max(now).saturating_add(self.interval())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.period.as_millis();
        let named = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ];
        if let Some((_, unit)) = named.iter().find(|(unit, _)| *unit == millis) {
            return write!(f, "{}/{unit}", self.count);
        }
        let whole = named.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
        let (unit, word) = whole.copied().unwrap_or((1, "ms"));
        write!(f, "{}/{}{word}", self.count, millis / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;
    use proptest::prelude::*;
    use std::time::Duration;

    const MINUTE: i64 = 60_000_000;

    fn rate(count: u32, micros: u64) -> Rate {
        Rate::new(count, Duration::from_micros(micros)).expect("a rate")
    }

    #[test]
    fn a_full_bucket_gives_all_at_once_and_then_one_by_one() {
        let rate = rate(3, 60_000_000);
        let mut full_at = 0;
        for _ in 0..3 {
            assert_eq!(rate.next(full_at, 10 * MINUTE), 10 * MINUTE);
            full_at = rate.take(full_at, 10 * MINUTE);
        }
        let next = rate.next(full_at, 10 * MINUTE);
        assert_eq!(next, 10 * MINUTE + MINUTE / 3);
        assert_eq!(rate.next(full_at, next), next);
    }

    #[test]
    fn a_rate_is_told_as_it_is_written() {
        let told =
            |count, millis| Rate::new(count, Duration::from_millis(millis)).map(|r| r.to_string());
        assert_eq!(told(30, 60_000).as_deref(), Some("30/m"));
        assert_eq!(told(2, 90_000).as_deref(), Some("2/90s"));
        assert_eq!(told(2, 1500).as_deref(), Some("2/1500ms"));
        assert_eq!(told(0, 1000), None);
        assert_eq!(told(1, 0), None);
    }

    /// A bucket that is counted out: tokens in millionths, refilled at every look.
    struct Plain {
        tokens: u128,
        at: u64,
    }

    proptest! {
        /// Against a bucket that counts its tokens. The interval is a whole number of microseconds, so
        /// both agree exactly.
        #[test]
        fn a_token_may_be_taken_exactly_when_a_counted_bucket_has_one(
            count in 1u32..8, interval in 1u64..50, waits in prop::collection::vec(0u64..120, 1..60),
        ) {
            let rate = rate(count, interval * u64::from(count));
            let one = u128::from(interval);
            let most = one * u128::from(count);
            let mut plain = Plain { tokens: most, at: 0 };
            let (mut now, mut full_at) = (0u64, 0);
            for wait in waits {
                now += wait;
                plain.tokens = (plain.tokens + u128::from(now - plain.at)).min(most);
                plain.at = now;
                let instant = i64::try_from(now).expect("small");
                let may = rate.next(full_at, instant) == instant;
                prop_assert_eq!(may, plain.tokens >= one);
                if may {
                    plain.tokens -= one;
                    full_at = rate.take(full_at, instant);
                }
            }
        }

        #[test]
        fn a_clock_that_goes_back_gives_nothing_away(count in 1u32..5, back in 1i64..1000) {
            let rate = rate(count, 1_000_000);
            let mut full_at = 0;
            for _ in 0..count {
                full_at = rate.take(full_at, 5_000_000);
            }
            prop_assert!(rate.next(full_at, 5_000_000 - back) > 5_000_000);
        }
    }
}
