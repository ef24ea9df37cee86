//! The wish that everything at work asks its server at once how things stand.
//!
//! A heartbeat learns that a task is not wanted any more, up to a third of the lease late. Whoever knows of
//! something earlier nudges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::lock;

/// Nudges any number of times; clones are the same one.
#[derive(Clone, Default)]
pub struct Nudge {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    next_id: u64,
    calls: BTreeMap<u64, Box<dyn Fn() + Send>>,
}

/// Ends the calls of [`Nudge::on_nudge`] when dropped.
pub(super) struct NudgeGuard {
    nudge: Nudge,
    id: u64,
}

impl Nudge {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has every heart that beats now beat at once.
    pub fn nudge(&self) {
        let shared = lock(&self.shared);
        shared.calls.values().for_each(|call| call());
    }

    /// Calls `call` at every nudge, on the nudging thread; it must not wait.
    pub(super) fn on_nudge(&self, call: impl Fn() + Send + 'static) -> NudgeGuard {
        let mut shared = lock(&self.shared);
        let id = shared.next_id;
        shared.next_id += 1;
        shared.calls.insert(id, Box::new(call));
        let nudge = self.clone();
        NudgeGuard { nudge, id }
    }
}

impl Drop for NudgeGuard {
    fn drop(&mut self) {
        lock(&self.nudge.shared).calls.remove(&self.id);
    }
}

impl fmt::Debug for Nudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nudge").finish_non_exhaustive()
    }
}
