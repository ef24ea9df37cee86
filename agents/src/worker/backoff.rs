//! How long to wait before asking a server again that could not be reached.

use std::time::Duration;

use phisync_state::env::Entropy;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 0.1 s to 5 s; each wait is drawn from the upper half, so that many workers of one
/// restarted server do not come back at the same instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait that follows one more failure.
    pub(super) fn next(&mut self, entropy: &mut dyn Entropy) -> Duration {
        let full = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        let range = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        half.saturating_add(Duration::from_micros(
            entropy.next_u64() % range.saturating_add(1),
        ))
    }

    /// Starts over: the server was reached.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, LONGEST};
    use phisync_state::env::SeededEntropy;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_never_nothing_and_never_endless(seed: u64, failures in 0usize..200) {
            let mut entropy = SeededEntropy::new(seed);
            let mut backoff = Backoff::default();
            for _ in 0..failures {
                let wait = backoff.next(&mut entropy);
                prop_assert!(wait >= FIRST / 2 && wait <= LONGEST, "{wait:?}");
            }
            backoff.reset();
            prop_assert!(backoff.next(&mut entropy) <= FIRST);
        }
    }
}
