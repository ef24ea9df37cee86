//! What follows an error: another attempt, and when, or the end.

use std::time::Duration;

use phisync_workflows::machine::{Backoff, Jitter, Retry};

/// The wait after the `failed`-th attempt that ended with an error (from 1), jitter included.
///
/// `dice` are 64 uniform bits. `retry_after` is the agent's own wish and only ever lengthens it.
pub(super) fn wait(
    retry: &Retry,
    failed: u32,
    dice: u64,
    retry_after: Option<Duration>,
) -> Duration {
    let base = retry.delay.as_secs_f64();
    let steps = f64::from(failed.saturating_sub(1));
    let grown = match retry.backoff {
        Backoff::None => 0.0,
        Backoff::Fixed => base,
        Backoff::Linear => base * f64::from(failed),
        Backoff::Exponential => base * retry.factor.powf(steps),
    };
    let capped = grown.min(retry.max_delay.as_secs_f64());
    // The upper 32 bits make a uniform double in [0, 1), fine enough for milliseconds.
    let uniform = f64::from(u32::try_from(dice >> 32).unwrap_or(0)) / 4_294_967_296.0;
    let spread = match retry.jitter {
        Jitter::None => capped,
        Jitter::Full => capped * uniform,
        Jitter::Equal => capped / 2.0 + capped / 2.0 * uniform,
    };
    // Whole milliseconds read better in logs, and nobody needs more.
    let millis = Duration::from_secs_f64(spread).as_millis();
    let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    wait.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use phisync_workflows::machine::Reassign;
    use proptest::prelude::*;

    use super::*;

    fn policy(backoff: Backoff, jitter: Jitter) -> Retry {
        Retry {
            max_attempts: 5,
            backoff,
            delay: Duration::from_secs(2),
            factor: 2.0,
            max_delay: Duration::from_secs(60),
            jitter,
            max_elapsed: None,
            errors: Vec::new(),
            except: Vec::new(),
            when: None,
            reassign: Reassign::Any,
        }
    }

    fn seconds(backoff: Backoff) -> Vec<u64> {
        let retry = policy(backoff, Jitter::None);
        (1..=7)
            .map(|n| wait(&retry, n, 0, None).as_secs())
            .collect()
    }

    #[test]
    fn waits_grow_as_the_language_says() {
        assert_eq!(seconds(Backoff::None), [0; 7]);
        assert_eq!(seconds(Backoff::Fixed), [2; 7]);
        assert_eq!(seconds(Backoff::Linear), [2, 4, 6, 8, 10, 12, 14]);
        assert_eq!(seconds(Backoff::Exponential), [2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn jitter_stays_in_its_band(failed in 1u32..200, dice: u64) {
            let plain = wait(&policy(Backoff::Exponential, Jitter::None), failed, dice, None);
            let full = wait(&policy(Backoff::Exponential, Jitter::Full), failed, dice, None);
            let equal = wait(&policy(Backoff::Exponential, Jitter::Equal), failed, dice, None);
            prop_assert!(full <= plain);
            prop_assert!(equal <= plain && equal + Duration::from_millis(1) >= plain / 2);
        }

        #[test]
        fn an_agents_wish_only_lengthens(failed in 1u32..50, dice: u64, wish in 0u64..1_000_000) {
            let retry = policy(Backoff::Exponential, Jitter::Full);
            let wish = Duration::from_millis(wish);
            let own = wait(&retry, failed, dice, None);
            prop_assert_eq!(wait(&retry, failed, dice, Some(wish)), own.max(wish));
        }
    }
}
