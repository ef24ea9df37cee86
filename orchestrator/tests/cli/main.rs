//! The command line from outside: the binary, its words and its exit codes.
//!
//! A transcript holds the command, stdout, stderr and the exit code in one block, because a user meets
//! them together. What differs from run to run (sequence numbers, times) is masked, and nothing else.

mod bench;
mod check;
mod damage;
mod deploying;
mod exec;
mod help;
mod incident;
mod init;
mod inputs;
mod interrupt;
mod project;
mod schedule;
mod serve;
mod snapshot;
mod store;
mod tasks;
mod transactions;
mod usage;
