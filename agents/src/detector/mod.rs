//! Opinions about silence. An opinion is not a decision: what a dead agent loses is the server's
//! business, and a verdict may turn back at any sign of life.
//!
//! Every detector comes down to two limits on silence, one for suspicion and one for death. How they are
//! found differs: from one number that somebody declared ([`deadline`]), or from how regularly the agent
//! was heard of ([`phi`]).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

pub mod deadline;
pub mod phi;

use std::time::Duration;

pub use phi::Arrivals;

/// What a detector thinks of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Heard of lately.
    Alive,
    /// Silent for so long that people should see it; nothing else follows.
    Suspect,
    /// Silent for too long: its leases end.
    Dead,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        })
    }
}

/// How limits are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detector {
    /// From the declared silence alone.
    #[default]
    Deadline,
    /// From the agent's own rhythm, with the declared silence as the longest that is allowed.
    Phi,
}

impl Detector {
    /// As it is written in `agents.yaml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Phi => "phi",
        }
    }

    /// The limits for an agent that was heard of at `arrivals` and declared to be dead after
    /// `silence`.
    #[must_use]
    pub fn limits(self, arrivals: &Arrivals, silence: Duration) -> Limits {
        match self {
            Self::Deadline => deadline::limits(silence),
            Self::Phi => phi::limits(arrivals, silence),
        }
    }
}

/// The silences at which a verdict turns. `suspect` is never longer than `dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on people should see it.
    pub suspect: Duration,
    /// From here on it is given up.
    pub dead: Duration,
}

impl Limits {
    /// No silence means anything.
    pub const NEVER: Self = Self {
        suspect: Duration::MAX,
        dead: Duration::MAX,
    };

    /// What `silence` means.
    #[must_use]
    pub fn verdict(self, silence: Duration) -> Verdict {
        if silence >= self.dead {
            Verdict::Dead
        } else if silence >= self.suspect {
            Verdict::Suspect
        } else {
            Verdict::Alive
        }
    }

    /// The shortest silence, longer than `silence`, at which the verdict turns; `None` for the dead.
    #[must_use]
    pub fn next_turn(self, silence: Duration) -> Option<Duration> {
        match self.verdict(silence) {
            Verdict::Alive => Some(self.suspect),
            Verdict::Suspect => Some(self.dead),
            Verdict::Dead => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;
    use crate::detector::Verdict;
    use proptest::prelude::*;
    use std::time::Duration;

    fn limits() -> impl Strategy<Value = Limits> {
        (0u64..100_000, 0u64..100_000).prop_map(|(a, b)| Limits {
            suspect: Duration::from_nanos(a.min(b)),
            dead: Duration::from_nanos(a.max(b)),
        })
    }

    proptest! {
        #[test]
        fn longer_silence_is_never_a_better_sign(a in 0u64..200_000, b in 0u64..200_000, limits in limits()) {
            let (a, b) = (Duration::from_nanos(a.min(b)), Duration::from_nanos(a.max(b)));
            prop_assert!(limits.verdict(a) <= limits.verdict(b));
        }

        #[test]
        fn the_verdict_turns_exactly_when_announced(silence in 0u64..200_000, limits in limits()) {
            let silence = Duration::from_nanos(silence);
            let now = limits.verdict(silence);
            match limits.next_turn(silence) {
                None => prop_assert_eq!(now, Verdict::Dead),
                Some(turn) => {
                    prop_assert!(turn > silence);
                    prop_assert_eq!(limits.verdict(turn - Duration::from_nanos(1)), now);
                    prop_assert!(limits.verdict(turn) > now);
                }
            }
        }
    }
}
