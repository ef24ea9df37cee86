//! The request to stop: asked once, from anywhere, noticed by whoever waits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A request to stop that cannot be taken back. Clones are the same flag.
#[derive(Clone, Default)]
pub struct StopFlag {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requested: bool,
    next_id: u64,
    calls: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

/// Withdraws a call of [`StopFlag::on_request`] when dropped.
#[must_use = "dropping it withdraws the call"]
pub struct StopGuard {
    flag: StopFlag,
    id: u64,
}

impl StopFlag {
    /// Not asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks; asking again changes nothing.
    pub fn request(&self) {
        let calls = {
            let mut state = self.state();
            state.requested = true;
            std::mem::take(&mut state.calls)
        };
        self.shared.changed.notify_all();
        // Outside the lock, so that a call may look at this flag.
        for call in calls.into_values() {
            call();
        }
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.state().requested
    }

    /// Waits for the request, at most `within`; whether somebody asked.
    #[must_use]
    pub fn wait(&self, within: Duration) -> bool {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.state(), within, |state| !state.requested);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.requested
    }

    /// Calls `call` once, on the asking thread, when somebody asks; at once if somebody did.
    pub fn on_request(&self, call: impl FnOnce() + Send + 'static) -> StopGuard {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        if state.requested {
            drop(state);
            call();
        } else {
            state.calls.insert(id, Box::new(call));
            drop(state);
        }
        let flag = self.clone();
        StopGuard { flag, id }
    }

    /// A thread that panicked while it held the lock left the state whole: no update spans a call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StopFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopFlag")
            .field(&self.is_requested())
            .finish()
    }
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.flag.state().calls.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::StopFlag;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_call_is_made_once_or_withdrawn() {
        let flag = StopFlag::new();
        let (tell, told) = mpsc::channel();
        let kept = flag.on_request({
            let tell = tell.clone();
            move || tell.send("kept").expect("a listener")
        });
        drop(flag.on_request({
            let tell = tell.clone();
            move || tell.send("withdrawn").expect("a listener")
        }));
        assert!(!flag.wait(Duration::ZERO));
        flag.request();
        flag.request();
        let late = flag.on_request(move || tell.send("late").expect("a listener"));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["kept", "late"]);
        assert!(flag.wait(Duration::MAX));
        drop((kept, late));
    }
}
