//! What became of the tasks an agent took lately: how many it completed, and how long that took.
//!
//! A window over its last attempts, not a history: what an agent did long ago says little about it. Pure; where the
//! attempts come from is the server's business.

use std::collections::VecDeque;
use std::time::Duration;

/// So many attempts are looked back at.
pub const WINDOW: usize = 256;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its result was accepted.
    Completed,
    /// With an error.
    Failed,
    /// Its lease was over before.
    Lost,
    /// It was given back, or not wanted any more: no fault of the agent.
    GivenBack,
}

/// The last attempts of one agent.
#[derive(Clone, Debug, Default)]
pub struct Record {
    recent: VecDeque<(Outcome, Duration)>,
}

impl Record {
    /// Notes an attempt that ended `took` after it was claimed.
    pub fn note(&mut self, outcome: Outcome, took: Duration) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back((outcome, took));
    }

    /// How many of the last attempts ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        let alike = self.recent.iter().filter(|(other, _)| *other == outcome);
        alike.count()
    }

    /// Completed attempts as a part of all for which the agent is answerable, from 0 to 1; `None`
    /// without any.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let answerable = self.recent.len() - self.count(Outcome::GivenBack);
        let part = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
        (answerable > 0).then(|| part(self.count(Outcome::Completed)) / part(answerable))
    }

    /// So many of a hundred completed attempts took no longer, from the claim to the result; `None`
    /// when none was completed.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let completed = self.recent.iter().filter(|(o, _)| *o == Outcome::Completed);
        let mut times: Vec<_> = completed.map(|(_, took)| *took).collect();
        times.sort_unstable();
        // The nearest rank: the smallest time that at least so many did not exceed.
        let rank = (times.len() * usize::from(percent)).div_ceil(100);
        times.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Record, WINDOW};
    use std::time::Duration;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_given_back_counts_for_nothing() {
        let mut record = Record::default();
        assert_eq!((record.success_rate(), record.percentile(50)), (None, None));
        record.note(Outcome::GivenBack, s(1));
        assert_eq!(record.success_rate(), None);
        for (outcome, took) in [
            (Outcome::Completed, 4),
            (Outcome::Completed, 2),
            (Outcome::Failed, 90),
            (Outcome::Lost, 60),
        ] {
            record.note(outcome, s(took));
        }
        assert_eq!(record.success_rate(), Some(0.5));
        assert_eq!(record.percentile(50), Some(s(2)));
        assert_eq!(record.percentile(95), Some(s(4)));
    }

    #[test]
    fn only_the_last_attempts_count() {
        let mut record = Record::default();
        record.note(Outcome::Failed, s(1));
        for took in 1..=256 {
            record.note(Outcome::Completed, s(took));
        }
        assert_eq!(record.success_rate(), Some(1.0));
        assert_eq!(record.count(Outcome::Completed), WINDOW);
        assert_eq!(record.percentile(50), Some(s(128)));
        assert_eq!(record.percentile(95), Some(s(244)));
    }
}
