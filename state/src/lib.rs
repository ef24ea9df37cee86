//! Keeps what happened: ports to the outside world, the journal, and stores of event streams.
//!
//! Payloads are opaque here: what an event means is the engine's business. This crate knows no
//! other crate of the workspace.

pub mod backend;
pub mod env;
mod journal;
mod time;

pub use backend::{
    AppendError, Appended, Durability, Durable, Entry, Expected, Head, MemoryStore, ReadError,
    Record, Seq, Store, StreamName, Unknown, Version,
};
pub use time::Timestamp;
