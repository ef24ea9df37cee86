//! The contract of a store, and its backends.
//!
//! A store is a set of event streams under one total order. Appending with an expected version is
//! the compare-and-swap that every transition goes through. Ordering and durability are two
//! moments: [`Store::append`] settles the order at once, [`Store::when_durable`] tells when a
//! crash can no longer take it back. The contract knows no files.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::journal::record;

mod committer;
pub mod conformance;
mod file;
pub(crate) mod index;
mod linker;
mod memory;
pub(crate) mod opening;
pub(crate) mod order;
mod reserve;
pub(crate) mod shared;
mod waiters;

pub use file::FileStore;
pub use memory::MemoryStore;
pub use opening::{FileOptions, OpenError, Opened};
pub use shared::OnFailure;

/// A record's place in the store's total order, from 1. 0 is "before everything".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// How many events a stream holds; 0 is a stream that does not exist.
pub type Version = u64;

/// The name of a stream, as `run/r-7f3`. `[a-z0-9._/-]`, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// A name made of parts that are valid by their own types.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an append relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The stream has exactly this version.
    Version(Version),
    /// Whatever version it has.
    Any,
}

/// One stream's part of a batch. Without events it is a guard: its version is checked, nothing is
/// written. Where one stream has several entries, a later one sees the version that the earlier
/// ones leave.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The stream.
    pub stream: StreamName,
    /// What the decision relied on.
    pub expected: Expected,
    /// JSON texts, each one line without a newline.
    pub events: Vec<String>,
}

/// One stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the store.
    pub seq: Seq,
    /// Its stream.
    pub stream: StreamName,
    /// Its place in the stream, from 1.
    pub version: Version,
    /// When it was appended: never before its predecessor's.
    pub at: Timestamp,
    /// The JSON text as it was given.
    pub event: String,
}

impl Record {
    /// The record as its line in a journal, without a newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = Vec::new();
        record::encode(
            &mut line,
            record::Line {
                seq: self.seq,
                stream: self.stream.as_str(),
                version: self.version,
                at: self.at,
                event: &self.event,
            },
        );
        line.pop();
        String::from_utf8(line).expect("a line is made of text")
    }
}

/// An append that took its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's sequence; equal to `last` + 1 if the batch held only guards.
    pub first: Seq,
    /// The last record's sequence.
    pub last: Seq,
}

/// Why an append had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another writer was faster.
    #[error("stream `{stream}` has version {actual}, not {expected}")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// What was relied on.
        expected: Version,
        /// What it really has.
        actual: Version,
    },
    /// The batch cannot be written as it stands, whatever the store holds.
    #[error("stream `{stream}`: {reason}")]
    Malformed {
        /// The stream.
        stream: StreamName,
        /// What is wrong with its name or an event.
        reason: &'static str,
    },
    /// The disk has no room. Reads go on, and appends are taken again when there is room.
    #[error("{reason}")]
    Full {
        /// What was tried, and the system's words.
        reason: Arc<str>,
    },
    /// The store takes nothing any more.
    #[error(transparent)]
    Closed(#[from] Unknown),
}

/// The store failed: what was appended and not reported durable may or may not survive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store stopped: {reason}")]
pub struct Unknown {
    /// What failed, with its subject.
    pub reason: Arc<str>,
}

impl Unknown {
    /// The store was closed in order.
    pub(crate) fn closed() -> Self {
        Self {
            reason: Arc::from("it is closed"),
        }
    }
}

/// The last durable record and the chain hash after it (64 hexadecimal digits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its sequence; 0 in an empty store.
    pub seq: Seq,
    /// The hash.
    pub hash: Arc<str>,
}

impl fmt::Display for Head {
    /// `seq:hash`, the witness that answers carry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq.0, self.hash)
    }
}

/// Why a text is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is a sequence, a colon and 64 lower-case hexadecimal digits")]
pub struct HeadError;

impl std::str::FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (seq, hash) = text.split_once(':').ok_or(HeadError)?;
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hash.len() != 64 || !hash.bytes().all(digit) {
            return Err(HeadError);
        }
        Ok(Self {
            seq: Seq(seq.parse().map_err(|_| HeadError)?),
            hash: Arc::from(hash),
        })
    }
}

/// Called once, from a thread of the store: keep it short, never block in it.
pub type Durable = Box<dyn FnOnce(Result<Head, Unknown>) + Send>;

/// How hard the store tries before it says durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives power loss.
    Sync,
    /// Survives the end of the process; a power cut takes back what is younger than this.
    Interval(Duration),
    /// Survives the end of the process at most: the system writes when it likes.
    None,
}

impl Durability {
    /// Its name for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Interval(_) => "interval",
            Self::None => "none",
        }
    }
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes cannot be read.
    #[error("cannot read {what}: {reason}")]
    Io {
        /// The subject.
        what: String,
        /// The system's words.
        reason: String,
    },
    /// The bytes are not what was written.
    #[error("{what} is corrupt at byte {offset}: {reason}")]
    Corrupt {
        /// The subject.
        what: String,
        /// Where.
        offset: u64,
        /// How it shows.
        reason: String,
    },
    /// The bytes are as written, by a program that knew more.
    #[error("{what} is nothing that this program knows: {reason}")]
    Newer {
        /// The subject.
        what: String,
        /// How it shows.
        reason: String,
    },
}

/// A set of event streams. All methods may be called from any thread.
pub trait Store: Send + Sync {
    /// Puts a whole batch into the order, or nothing. Never waits for the disk, unless it was just
    /// found full. The version a
    /// later append sees includes this one.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] names the first entry whose expected version is wrong,
    /// [`AppendError::Malformed`] the first that cannot be written.
    fn append(&self, at: Timestamp, batch: Vec<Entry>) -> Result<Appended, AppendError>;

    /// Calls `then` as soon as everything up to `seq` is durable, at once if it is.
    fn when_durable(&self, seq: Seq, then: Durable);

    /// The durable records of one stream with a version of at least `from`, in order.
    ///
    /// # Errors
    /// See [`ReadError`]. A stream that does not exist is empty.
    fn read(&self, stream: &StreamName, from: Version) -> Result<Vec<Record>, ReadError>;

    /// Visits the durable records after `after` whose stream starts with `prefix`, in order of
    /// sequence, until `visit` returns false. A backend that archives closed streams leaves those
    /// out; [`Self::read`] still finds them.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn scan(
        &self,
        prefix: &str,
        after: Seq,
        visit: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), ReadError>;

    /// The version of a stream, appends that are not durable yet included.
    fn version(&self, stream: &StreamName) -> Version;

    /// The last durable record.
    fn head(&self) -> Head;

    /// What durable means here.
    fn durability(&self) -> Durability;

    /// Whether the store went through this head, as far as it can tell.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn went_through(&self, head: &Head) -> Result<bool, ReadError> {
        let now = self.head();
        Ok(head.seq < now.seq || *head == now)
    }

    /// Why no append is taken for the time being, if none is; see [`AppendError::Full`].
    fn refuses(&self) -> Option<Arc<str>> {
        None
    }

    /// Waits until everything appended is durable, seals, and stops taking appends. Idempotent.
    ///
    /// # Errors
    /// [`Unknown`] if the store had failed or fails now.
    fn close(&self) -> Result<(), Unknown>;
}
