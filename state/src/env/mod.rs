//! Ports: the only ways to a clock, a disk and randomness. `os` is the one real implementation.

mod clock;
mod entropy;

pub use clock::{Clock, ManualClock};
pub use entropy::{Entropy, SeededEntropy};
