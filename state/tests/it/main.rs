//! Tests of the crate from outside.

mod backends;
mod support;
