//! Tests of the crate from outside.
#![expect(
    clippy::panic,
    reason = "helpers of tests give their verdict by panicking"
)]

mod backends;
mod crash;
mod directory;
mod fixtures;
mod laws;
mod support;
