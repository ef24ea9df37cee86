//! Waiting for what must happen.

use std::thread;
use std::time::Duration;

use phisync_state::env::{Clock as _, OsClock};

/// Longest wait for something that must happen; only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at that cannot tell by itself that it came true: a file, a process.
const TICK: Duration = Duration::from_millis(10);

/// Lets one tick pass, for a loop that waits for a condition of its own.
pub fn pause() {
    thread::park_timeout(TICK);
}

/// Looks at `condition` until it gives a value.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let clock = OsClock::new();
    let started = clock.monotonic();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        let waited = clock.monotonic().saturating_sub(started);
        assert!(waited < PATIENCE, "waited {waited:?} in vain: {what}");
        pause();
    }
}
