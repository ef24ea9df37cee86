//! Opinions about silence. An opinion is not a decision: what a dead agent loses is the server's
//! business, and a verdict may turn back at any sign of life.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

pub mod deadline;

pub use deadline::verdict;

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
