//! What a waiting thing waits for, as data: the answer to "why does nothing happen?".

use phisync_state::Timestamp;

use super::RunId;

/// Who or what ends a wait. Everything that is not final has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waker {
    /// The steps it needs.
    Needs,
    /// Its own open steps.
    Steps,
    /// An agent that takes it, at the latest this deadline.
    Agent {
        /// End of the queue clock.
        until: Timestamp,
    },
    /// The agent that holds it: a report, a lost lease, or this deadline.
    Lease {
        /// Who holds it.
        agent: String,
        /// End of the attempt's clock.
        until: Timestamp,
    },
    /// The clock alone.
    Timer {
        /// When.
        at: Timestamp,
    },
    /// The end of a run that it called.
    Child {
        /// Which.
        run: RunId,
    },
    /// A change of files that is staged, at the latest this deadline; or that is decided, and waits
    /// for the disks.
    Files {
        /// When it must have been decided; `None`: it is.
        until: Option<Timestamp>,
    },
    /// An event or a signal, at the latest this deadline.
    Event {
        /// Which, in words.
        source: String,
        /// When it expires.
        until: Timestamp,
    },
    /// A person's decision, at the latest this deadline.
    Person {
        /// When it expires.
        until: Timestamp,
    },
    /// The undoing of steps.
    Undo,
    /// A person's decision about an undo that failed for good; nothing ends it otherwise.
    Incident {
        /// The step.
        step: String,
    },
}
