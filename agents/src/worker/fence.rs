//! When to beat and when to kill, for one lease, by the worker's own clock.
//!
//! The server cannot stop what a child does outside, so the child must be dead before its lease
//! ends. Every instant counts from *before* the request that got or renewed the lease was sent,
//! which is never later than the server's own count. The monotonic clock of some systems stands
//! still while the machine sleeps: a lease may then outlive its end here, and the server's refusal
//! is what ends it.

use std::time::Duration;

/// Longest reserve for killing a child before its lease ends; a sixth of shorter leases.
const MARGIN_MAX: Duration = Duration::from_secs(5);

/// Longest wait before a heartbeat that failed is tried again; a twelfth of shorter leases.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// One lease as its holder counts it, in monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    from: Duration,
    lease: Duration,
}

impl Fence {
    /// A lease that began at `from` or later.
    pub(super) fn new(from: Duration, lease: Duration) -> Self {
        Self { from, lease }
    }

    /// When to renew: after a third.
    pub(super) fn beat_at(self) -> Duration {
        self.from.saturating_add(self.lease / 3)
    }

    /// When the child must be killed unless the lease was renewed.
    pub(super) fn kill_at(self) -> Duration {
        let margin = (self.lease / 6).min(MARGIN_MAX);
        self.from.saturating_add(self.lease.saturating_sub(margin))
    }

    /// How long the answer to a heartbeat is waited for: a lost one must leave time for the next.
    pub(super) fn answer_within(self) -> Duration {
        self.lease / 5
    }

    /// How long to wait after a heartbeat that got no answer.
    pub(super) fn retry_after(self) -> Duration {
        (self.lease / 12).min(RETRY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Fence;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_minute_is_beaten_at_twenty_seconds_and_killed_five_before_its_end() {
        let fence = Fence::new(Duration::from_secs(100), Duration::from_secs(60));
        assert_eq!(fence.beat_at(), Duration::from_secs(120));
        assert_eq!(fence.kill_at(), Duration::from_secs(155));
        assert_eq!(fence.retry_after(), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_renewal_can_go_unanswered_before_the_child_dies_and_it_dies_in_time(from in 0u64..1 << 40, lease in 12u64..1 << 40) {
            let (from, lease) = (Duration::from_micros(from), Duration::from_micros(lease));
            let fence = Fence::new(from, lease);
            let after_one = fence.beat_at() + fence.answer_within() + fence.retry_after();
            prop_assert!(after_one + fence.answer_within() <= fence.kill_at());
            prop_assert!(fence.kill_at() < from + lease);
        }
    }
}
