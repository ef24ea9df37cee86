//! The orchestrator: engine, coordinator, server, API and command line of phisync.

pub mod api;
pub mod bench;
pub mod coordinator;
pub mod demo;
pub mod engine;
pub mod identity;
mod paths;
pub mod protocol;
pub mod runtime;
pub mod schedule;
pub mod server;
pub mod timer;

pub use paths::DataPaths;
