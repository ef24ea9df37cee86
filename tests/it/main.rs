//! Tests of the whole system. A file per subject; the harness is the package's library.

#[cfg(unix)]
mod durability;
#[cfg(unix)]
mod queue;
mod scenarios;
#[cfg(unix)]
mod workers;
