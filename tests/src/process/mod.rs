//! The real binary as real processes: a project directory, a server, workers, an HTTP client.
//!
//! Everything that is started is killed when its handle goes. Nothing here knows how phisync works
//! inside: it starts the binary, sends it signals, speaks HTTP to it, and reads what it prints and
//! what `store dump` says. Waiting is always for a condition, never for a time (`wait`).
//! Start reading at [`Project`].

mod binary;
mod child;
mod client;
mod contract;
mod http;
mod journal;
mod project;
mod server;
mod trace;
mod wait;
mod worker;

pub use binary::{BuildPlace, binary};
pub use child::{Child, Finished};
pub use client::{client, client_file};
pub use contract::template;
pub use http::{Http, Reply};
pub use journal::{Journal, Record};
pub use project::Project;
pub use server::Server;
pub use trace::{Trace, is_alive, is_running, resume, signal};
pub use wait::{PATIENCE, eventually, pause};
pub use worker::Worker;
