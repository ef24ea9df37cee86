//! The team: who may work, who is alive, who holds what, and who gets the next task.
//!
//! Everything the server decides with is pure ([`registry`], [`heartbeat`], [`detector`], [`lease`],
//! [`assignment`], [`rate`], [`record`]): time is an argument, nothing is read or waited for. [`protocol`] is what crosses
//! the wire; [`client`], [`worker`] and [`mailbox`] are the other end of it, the side an agent's machine runs.
//! [`tree`] ends a command with everything it started, for whoever runs one.
//! This crate never sees a workflow: a task is an opaque piece of work here.

pub mod assignment;
pub mod client;
pub mod detector;
pub mod heartbeat;
mod id;
pub mod lease;
pub mod mailbox;
pub mod protocol;
pub mod rate;
pub mod record;
pub mod registry;
pub mod tree;
pub mod worker;

pub use id::{AgentName, NameError};
