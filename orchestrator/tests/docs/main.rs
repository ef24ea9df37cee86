//! The pages of `docs/` held against the program: what they list is what there is, what they show
//! compiles, answers and prints as shown.
//!
//! Lists that a program can write are written by it: with `PHISYNC_UPDATE_DOCS=1` in the
//! environment the tests put them into the pages instead of complaining.

#![expect(
    clippy::panic,
    reason = "helpers outside of test functions fail the test that calls them"
)]

mod cli;
mod diagnostics;
mod events;
mod guarantees;
mod links;
mod openapi;
mod page;
mod routes;
mod server;
mod structure;
mod testing;
mod transcript;
mod workflows;

#[cfg(unix)]
mod agents;
#[cfg(unix)]
mod readme;
