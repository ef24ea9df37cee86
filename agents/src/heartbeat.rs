//! When each agent was last heard of.
//!
//! Bookkeeping only, in the caller's monotonic time: what a silence means is the detector's opinion,
//! and what follows from it the server's decision.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detector::deadline;

/// The last sign of life of every agent that ever gave one.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    seen: BTreeMap<String, Duration>,
}

impl Ledger {
    /// Nobody was heard of yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a sign of life: a poll, a heartbeat, a report. A late note of an early sign changes nothing.
    pub fn observe(&mut self, agent: &str, now: Duration) {
        if let Some(seen) = self.seen.get_mut(agent) {
            *seen = now.max(*seen);
        } else {
            self.seen.insert(agent.to_owned(), now);
        }
    }

    /// For how long `agent` has been silent; `None` when it was never heard of.
    #[must_use]
    pub fn silence(&self, agent: &str, now: Duration) -> Option<Duration> {
        self.seen.get(agent).map(|seen| now.saturating_sub(*seen))
    }

    /// Everybody heard of, by name.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.seen.keys().map(String::as_str)
    }

    /// Drops `agent`: its silence is of no interest any more.
    pub fn forget(&mut self, agent: &str) {
        self.seen.remove(agent);
    }

    /// Does not count the last `pause` as silence of anybody: the server itself was not listening.
    pub fn excuse(&mut self, pause: Duration) {
        for seen in self.seen.values_mut() {
            *seen = seen.saturating_add(pause);
        }
    }

    /// The next instant at which some agent's verdict turns, if all stay silent and `limit` gives
    /// each its longest silence; `None` when nobody is left to doubt.
    pub fn next_due(&self, now: Duration, limit: impl Fn(&str) -> Duration) -> Option<Duration> {
        let due = self.seen.iter().filter_map(|(agent, seen)| {
            let silence = now.saturating_sub(*seen);
            deadline::next_turn(silence, limit(agent)).map(|turn| seen.saturating_add(turn))
        });
        due.min()
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;
    use std::time::Duration;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_counts_from_the_last_sign_and_never_goes_back() {
        let mut ledger = Ledger::new();
        assert_eq!(ledger.silence("dc", s(5)), None);
        ledger.observe("dc", s(10));
        ledger.observe("dc", s(7));
        assert_eq!(ledger.silence("dc", s(12)), Some(s(2)));
        assert_eq!(ledger.silence("dc", s(3)), Some(s(0)));
        ledger.forget("dc");
        assert_eq!(ledger.silence("dc", s(12)), None);
    }

    #[test]
    fn the_next_turn_is_that_of_whoever_is_due_first() {
        let mut ledger = Ledger::new();
        ledger.observe("dc", s(0));
        ledger.observe("webc", s(20));
        assert_eq!(ledger.next_due(s(20), |_| s(60)), Some(s(30)));
        assert_eq!(ledger.next_due(s(30), |_| s(60)), Some(s(50)));
        assert_eq!(ledger.next_due(s(60), |_| s(60)), Some(s(80)));
        assert_eq!(ledger.next_due(s(80), |_| s(60)), None);
    }

    #[test]
    fn a_pause_of_our_own_is_nobodys_silence() {
        let mut ledger = Ledger::new();
        ledger.observe("dc", s(10));
        ledger.excuse(s(100));
        assert_eq!(ledger.silence("dc", s(115)), Some(s(5)));
    }
}
