//! Tests of the whole system. A file per subject; the harness is the package's library.

mod scenarios;
