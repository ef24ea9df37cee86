//! The harness of the whole-system tests: phisync in virtual time, with seeded chance.
//!
//! [`World`] is a store in memory, a clock that moves only when told to, and a coordinator over
//! both. [`RivalStore`] lets another writer be faster. [`explore`] visits every state that a small
//! workflow can reach, [`play`] cuts the power at every operation of the disk. None of these starts a
//! process or waits for a real second: [`process`] does, and knows the binary only from outside.

mod about_task;
mod contested;
pub mod coverage;
pub mod explore;
pub mod invariants;
pub mod machines;
pub mod play;
#[cfg(unix)]
pub mod process;
pub mod replay;
mod rival;
pub mod story;
pub mod transition_log;
mod unsteady;
mod world;

pub use about_task::of_task;
pub use contested::{ContestedStore, Trouble};
pub use rival::RivalStore;
pub use unsteady::UnsteadyStore;
pub use world::{BEGINNING, Claim, World, compiled};
