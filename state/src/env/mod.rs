//! Ports: the only ways to a clock, a disk and randomness.
//!
//! [`OsDisk`], [`OsClock`] and [`OsEntropy`] are the one real implementation of each and live in
//! one file; [`SimDisk`] is the disk's faulty twin for tests. Nothing else in the workspace touches
//! `std::fs` or `std::time` for data that must last.

mod clock;
mod disk;
mod entropy;
mod os;
#[cfg(unix)]
mod os_tree;
mod passing;
#[cfg(any(not(unix), test))]
mod path_tree;
mod place;
mod read_only;
mod sim;
mod steady;
mod tree;
#[cfg(test)]
mod tree_tests;

pub use clock::{Clock, Jump, ManualClock};
pub use disk::{Access, Disk, DiskFile, DiskLock, read_all, replace_file};
pub use entropy::{Entropy, SeededEntropy};
pub use os::{OsClock, OsDisk, OsEntropy, doubtful_place, raise_open_files};
pub use read_only::ReadOnlyDisk;
pub use sim::{Fault, Kind, Lasting, Operation, Profile, SimDisk, Survive};
pub use steady::SteadyClock;
pub use tree::{Content, Found, Tree, Trees};
