//! Keeps what happened: ports to the outside world, the journal, and stores of event streams.
//!
//! Payloads are opaque here: what an event means is the engine's business. This crate knows no
//! other crate of the workspace.

pub mod backend;
mod checkpoint;
pub mod env;
mod fsck;
mod id;
mod journal;
mod lock;
mod seeded;
pub mod snapshot;
mod time;
pub mod transaction;
pub mod view;

pub use backend::{
    AppendError, Appended, Durability, Durable, Entry, Expected, FileOptions, FileStore, Head,
    HeadError, MemoryStore, OnFailure, OpenError, Opened, ReadError, Record, Seq, Store,
    StreamName, Unknown, Version,
};
pub use checkpoint::{Checkpoint, CheckpointError, KeyError, PublicKey, SigningKey};
pub use fsck::{FsckError, FsckReport, JournalEnd, ViewFault, Witness, check_views, dump, fsck};
pub use id::{FILE_ID_MAX, FileId, FileIdError};
pub use journal::Corruption;
pub use journal::recovery::TornTail;
pub use journal::writer::Sizes;
pub use lock::{
    Asked, DirLock, LOCK_WAITERS_MAX, LockError, LockEvent, LockHolder, LockRequest, NamedLock,
    NotYourTurn, StaleLock, TURN_WAITERS_MAX, Turn, TurnAsked, TurnQueue, TurnRequest, lock_stream,
};
pub use seeded::Bug;
pub use time::Timestamp;
pub use view::{ViewError, ViewName, ViewWriter};
