//! The shell around the coordinator: clocks, threads, sockets, files.
//!
//! One thread owns the coordinator (`driver`); everything else sends it jobs and waits for
//! answers that are released when what they saw is durable. `server` puts store, driver and API
//! together and takes them apart again in order.

mod driver;
mod files;
mod paths;
mod proof;
mod server;
mod snapshots;
mod transactions;
mod view_check;

pub use driver::{Handle, Until};
pub use paths::DataPaths;
pub use proof::Prover;
pub use server::{
    ANSWER_WITHIN, OpenReport, ServeOptions, Server, ServerFailure, StartError, StopError,
};
pub use snapshots::{SnapshotFailure, SnapshotPolicy, Snapshots};
pub use transactions::{TransactError, Transacted, Transactor};

#[cfg(test)]
mod tests;
