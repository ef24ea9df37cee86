//! The shell around the coordinator: clocks, threads, sockets, files.
//!
//! One thread owns the coordinator (`driver`); everything else sends it jobs and waits for
//! answers that are released when what they saw is durable. Nothing here knows HTTP: `crate::server` puts
//! store, driver and API together.

pub(crate) mod driver;
mod failure;
mod files;
mod proof;
pub(crate) mod snapshots;
pub(crate) mod transactions;

pub use driver::{Handle, Until};
pub use failure::ServerFailure;
pub use proof::Prover;
pub use snapshots::{SnapshotFailure, SnapshotPolicy, Snapshots};
pub use transactions::{TransactError, Transacted, Transactor};
