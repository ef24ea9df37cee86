//! Tests of the whole system. A file per subject; the harness is the package's library.

#[cfg(unix)]
mod durability;
mod scenarios;
#[cfg(unix)]
mod workers;
