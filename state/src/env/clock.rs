//! Time as a port.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Timestamp;

/// Tells the time, in two ways that can disagree.
pub trait Clock: Send + Sync {
    /// The wall clock; may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed start; never goes back.
    fn monotonic(&self) -> Duration;
    /// A jump of the wall clock that is certain by now, told once. Only a clock that compares the two
    /// knows of any.
    fn take_jump(&self) -> Option<Jump> {
        None
    }
}

/// By how much the wall clock has moved against the monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// It shows a later time.
    Forward(Duration),
    /// It shows an earlier time.
    Back(Duration),
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed_micros: AtomicI64,
    /// What the wall clock has jumped by.
    jumped_micros: AtomicI64,
}

impl ManualClock {
    /// Stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            elapsed_micros: AtomicI64::new(0),
            jumped_micros: AtomicI64::new(0),
        }
    }

    /// Moves the wall clock alone, by so many seconds.
    pub fn jump(&self, seconds: i64) {
        let micros = seconds.saturating_mul(1_000_000);
        self.jumped_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.elapsed_micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let told = self.start.saturating_add(self.monotonic()).as_micros();
        Timestamp::from_micros(told.saturating_add(self.jumped_micros.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Duration {
        let micros = self.elapsed_micros.load(Ordering::SeqCst);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}
