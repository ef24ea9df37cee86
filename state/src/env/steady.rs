//! A wall clock that the monotonic one vouches for.
//!
//! What is due by the wall clock must not end because somebody set it. This clock goes on from what it
//! showed, by the monotonic clock; another time counts only once it has stood for [`CONFIRM`], and is then
//! told as a jump, for the record. It never goes back: after a jump to an earlier time it runs at half
//! speed until the other has caught up. A machine that slept shows as a jump too, so whoever wakes with it
//! has that long to speak before anything expires. It is begun with each process and knows nothing of the
//! time that the last one saw.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Clock, Jump};
use crate::Timestamp;

/// A wall clock that is corrected step by step differs by less.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How long another time must stand before it counts.
const CONFIRM: Duration = Duration::from_secs(30);

/// See the module.
pub struct SteadyClock {
    inner: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    /// What was told last, and when on the monotonic clock.
    told: Timestamp,
    told_at: Duration,
    /// What to add to the monotonic clock, in microseconds.
    offset: i64,
    /// Another offset, and since when it is there.
    doubted: Option<(i64, Duration)>,
    jump: Option<Jump>,
}

impl SteadyClock {
    /// Begins with what `inner` shows.
    #[must_use]
    pub fn over(inner: Arc<dyn Clock>) -> Self {
        let (told, told_at) = (inner.now(), inner.monotonic());
        let state = Mutex::new(State {
            told,
            told_at,
            offset: offset(told, told_at),
            doubted: None,
            jump: None,
        });
        Self { inner, state }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let (wall, mono) = (self.inner.now(), self.inner.monotonic());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.compare(offset(wall, mono), mono);
        state.tell(mono)
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }

    fn take_jump(&self) -> Option<Jump> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jump.take()
    }
}

impl State {
    /// Decides which offset counts, having seen `found` at `mono`.
    fn compare(&mut self, found: i64, mono: Duration) {
        if is_same(found, self.offset) {
            self.offset = found;
            self.doubted = None;
            return;
        }
        match self.doubted {
            Some((other, since)) if is_same(found, other) => {
                if mono.saturating_sub(since) >= CONFIRM {
                    let by = Duration::from_micros(found.abs_diff(self.offset));
                    self.jump = Some(match found > self.offset {
                        true => Jump::Forward(by),
                        false => Jump::Back(by),
                    });
                    self.offset = found;
                    self.doubted = None;
                }
            }
            _ => self.doubted = Some((found, mono)),
        }
    }

    /// What the clock shows at `mono`: never less than half of what has passed later than before.
    fn tell(&mut self, mono: Duration) -> Timestamp {
        let passed = mono.saturating_sub(self.told_at);
        let least = self.told.saturating_add(passed / 2);
        let due = Timestamp::from_micros(micros(mono).saturating_add(self.offset));
        self.told = least.max(due);
        self.told_at = self.told_at.max(mono);
        self.told
    }
}

fn offset(wall: Timestamp, mono: Duration) -> i64 {
    wall.as_micros().saturating_sub(micros(mono))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn is_same(one: i64, other: i64) -> bool {
    Duration::from_micros(one.abs_diff(other)) <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{CONFIRM, SteadyClock};
    use crate::Timestamp;
    use crate::env::{Clock as _, Jump, ManualClock};

    const DAY: i64 = 86_400;

    fn clocks() -> (Arc<ManualClock>, SteadyClock) {
        let start = Timestamp::from_micros(1_795_339_800_000_000);
        let inner = Arc::new(ManualClock::new(start));
        let steady = SteadyClock::over(Arc::<ManualClock>::clone(&inner));
        (inner, steady)
    }

    /// Lets seconds pass one by one, as a server looks; the seconds by which the clock went on.
    fn pass(inner: &ManualClock, steady: &SteadyClock, seconds: u64) -> f64 {
        let before = steady.now();
        for _ in 0..seconds {
            inner.advance(Duration::from_secs(1));
            assert!(steady.now() >= before);
        }
        steady.now().since(before).as_secs_f64()
    }

    #[test]
    fn a_jump_counts_once_it_has_stood_and_is_told_once() {
        let (inner, steady) = clocks();
        assert_eq!(pass(&inner, &steady, 10), 10.0);
        inner.jump(DAY);
        assert_eq!(pass(&inner, &steady, 29), 29.0, "nothing expires by it");
        assert_eq!(steady.take_jump(), None);
        assert_eq!(pass(&inner, &steady, 2), 2.0 + 86_400.0);
        let day = Duration::from_secs(86_400);
        assert_eq!(steady.take_jump(), Some(Jump::Forward(day)));
        assert_eq!(steady.take_jump(), None);
        assert_eq!(steady.now(), inner.now());
    }

    #[test]
    fn a_jump_that_is_taken_back_never_happened() {
        let (inner, steady) = clocks();
        for there in [DAY, -DAY] {
            inner.jump(there);
            assert_eq!(pass(&inner, &steady, 20), 20.0);
            inner.jump(-there);
            assert_eq!(pass(&inner, &steady, 60), 60.0);
            assert_eq!(steady.take_jump(), None);
            assert_eq!(steady.now(), inner.now());
        }
    }

    #[test]
    fn after_a_jump_back_it_runs_at_half_speed_until_the_other_has_caught_up() {
        let (inner, steady) = clocks();
        inner.jump(-100);
        assert_eq!(pass(&inner, &steady, 31), 30.0);
        assert_eq!(
            steady.take_jump(),
            Some(Jump::Back(Duration::from_secs(100)))
        );
        assert_eq!(pass(&inner, &steady, 100), 50.0);
        assert_eq!(pass(&inner, &steady, 200), 151.0);
        assert_eq!(steady.now(), inner.now());
    }

    proptest! {
        #[test]
        fn whatever_the_wall_clock_does_this_one_never_goes_back_and_ends_where_it_is(
            moves in prop::collection::vec((0_u64..200, -1000_i64..1000), 0..40)
        ) {
            let (inner, steady) = clocks();
            let mut last = steady.now();
            for (seconds, jump) in moves {
                inner.advance(Duration::from_secs(seconds));
                inner.jump(jump);
                let now = steady.now();
                prop_assert!(now >= last);
                last = now;
            }
            // 40 jumps, and as long again for what runs at half speed.
            for _ in 0..5_000 {
                inner.advance(CONFIRM);
                last = steady.now();
            }
            prop_assert_eq!(last, inner.now());
        }
    }
}
