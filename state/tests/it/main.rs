//! Tests of the crate from outside.

mod backends;
mod crash;
mod directory;
mod fixtures;
mod support;
