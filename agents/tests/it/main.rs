//! The crate from outside: what a person reads about a bad `agents.yaml`, and the worker against a
//! scripted server with real child processes.

#[cfg(unix)]
mod mailbox;
mod registry;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod worker;
#[cfg(unix)]
mod worker_claims;
#[cfg(unix)]
mod worker_ends;
