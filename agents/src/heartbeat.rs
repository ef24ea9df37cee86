//! When each agent was last heard of, and how regularly.
//!
//! Bookkeeping only, in the caller's monotonic time: what a silence means is the detector's opinion,
//! and what follows from it the server's decision.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detector::{Arrivals, Limits};

/// The signs of life of every agent that ever gave one.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    heard: BTreeMap<String, Heard>,
}

#[derive(Clone, Debug)]
struct Heard {
    last: Duration,
    /// The instant from which the next gap counts; absent after a pause of our own, in which we
    /// may have missed signs.
    gap_from: Option<Duration>,
    arrivals: Arrivals,
}

impl Ledger {
    /// Nobody was heard of yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a sign of life: a poll, a heartbeat, a report. A late note of an early sign changes nothing.
    pub fn observe(&mut self, agent: &str, now: Duration) {
        let Some(heard) = self.heard.get_mut(agent) else {
            let heard = Heard {
                last: now,
                gap_from: Some(now),
                arrivals: Arrivals::default(),
            };
            self.heard.insert(agent.to_owned(), heard);
            return;
        };
        if now < heard.last {
            return;
        }
        if let Some(from) = heard.gap_from {
            heard.arrivals.record(now.saturating_sub(from));
        }
        heard.last = now;
        heard.gap_from = Some(now);
    }

    /// Notes that an agent lived all along, because it waited for us: its silence ends here, and is no
    /// gap in its rhythm.
    pub fn vouch(&mut self, agent: &str, now: Duration) {
        if let Some(heard) = self.heard.get_mut(agent).filter(|heard| heard.last <= now) {
            heard.last = now;
            heard.gap_from = Some(now);
        } else {
            self.observe(agent, now);
        }
    }

    /// For how long `agent` has been silent; `None` when it was never heard of.
    #[must_use]
    pub fn silence(&self, agent: &str, now: Duration) -> Option<Duration> {
        let heard = self.heard.get(agent)?;
        Some(now.saturating_sub(heard.last))
    }

    /// How regularly `agent` was heard of; `None` when it never was.
    #[must_use]
    pub fn arrivals(&self, agent: &str) -> Option<&Arrivals> {
        self.heard.get(agent).map(|heard| &heard.arrivals)
    }

    /// Everybody heard of, by name.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.heard.keys().map(String::as_str)
    }

    /// Drops `agent`: its silence is of no interest any more.
    pub fn forget(&mut self, agent: &str) {
        self.heard.remove(agent);
    }

    /// Does not count the last `pause` as silence of anybody, nor as a gap in anybody's rhythm: the
    /// server itself was not listening.
    pub fn excuse(&mut self, pause: Duration) {
        for heard in self.heard.values_mut() {
            heard.last = heard.last.saturating_add(pause);
            heard.gap_from = None;
        }
    }

    /// The next instant at which some agent's verdict turns, if all stay silent and `limits` gives
    /// each agent's; `None` when nobody is left to doubt.
    pub fn next_due(
        &self,
        now: Duration,
        limits: impl Fn(&str, &Arrivals) -> Limits,
    ) -> Option<Duration> {
        let due = self.heard.iter().filter_map(|(agent, heard)| {
            let silence = now.saturating_sub(heard.last);
            let turn = limits(agent, &heard.arrivals).next_turn(silence)?;
            Some(heard.last.saturating_add(turn))
        });
        due.min()
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;
    use crate::detector::deadline;
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
        assert_eq!(
            ledger.next_due(s(20), |_, _| deadline::limits(s(60))),
            Some(s(30))
        );
        assert_eq!(
            ledger.next_due(s(30), |_, _| deadline::limits(s(60))),
            Some(s(50))
        );
        assert_eq!(
            ledger.next_due(s(60), |_, _| deadline::limits(s(60))),
            Some(s(80))
        );
        assert_eq!(ledger.next_due(s(80), |_, _| deadline::limits(s(60))), None);
    }

    #[test]
    fn a_pause_of_our_own_is_nobodys_silence() {
        let mut ledger = Ledger::new();
        ledger.observe("dc", s(10));
        ledger.excuse(s(100));
        assert_eq!(ledger.silence("dc", s(115)), Some(s(5)));
    }

    #[test]
    fn a_pause_of_our_own_is_no_gap_in_a_rhythm() {
        let mut ledger = Ledger::new();
        for beat in 0..20 {
            ledger.observe("dc", s(5 * beat));
        }
        let before = ledger.arrivals("dc").and_then(super::Arrivals::rhythm);
        ledger.excuse(s(100));
        ledger.observe("dc", s(203));
        assert_eq!(
            ledger.arrivals("dc").and_then(super::Arrivals::rhythm),
            before
        );
        ledger.observe("dc", s(208));
        let after = ledger.arrivals("dc").and_then(super::Arrivals::rhythm);
        assert_eq!(after.map(|rhythm| rhythm.mean), Some(s(5)));
    }

    #[test]
    fn waiting_with_us_is_no_gap_in_a_rhythm() {
        let mut ledger = Ledger::new();
        for beat in 0..20 {
            ledger.observe("dc", s(5 * beat));
        }
        ledger.vouch("dc", s(155));
        assert_eq!(ledger.silence("dc", s(157)), Some(s(2)));
        ledger.observe("dc", s(160));
        let rhythm = ledger.arrivals("dc").and_then(super::Arrivals::rhythm);
        assert_eq!(
            rhythm.map(|rhythm| (rhythm.mean, rhythm.gaps)),
            Some((s(5), 20))
        );
    }
}
