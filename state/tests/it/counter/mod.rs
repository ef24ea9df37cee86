//! The counter loop: a workload is cut off at every single operation of the disk, recovered, cut
//! off again at every operation of the recovery, and judged each time by the same judge.
//!
//! [`Ledger`] is what a client knows, [`judge`] holds a disk against it, [`sweep`] does the
//! counting. A workload is any function that works on a disk and writes down what it was told; it
//! must do the same operations each time.

mod judge;
mod ledger;
mod sweep;

pub(crate) use judge::judge;
pub(crate) use ledger::Ledger;
pub(crate) use sweep::{Counted, Workload, cuts, errors, kills};
