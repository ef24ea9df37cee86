//! Tests of the crate from outside.
#![expect(
    clippy::panic,
    reason = "helpers of tests give their verdict by panicking"
)]

mod backends;
mod counter;
mod crash;
mod crashes;
mod directory;
mod fixtures;
mod full;
mod fuzz;
mod laws;
mod modes;
mod ports;
mod reading;
mod restoring;
mod rotation;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod snapshotting;
mod support;
mod transactions;
mod workloads;
