//! Words for what is waited for in line: a named lock, or the turn at a document.

use super::Refusal;

/// What asking comes to.
#[derive(Clone, Debug)]
pub enum InLine<T> {
    /// It is the caller's.
    Granted(T),
    /// The caller waits under this number.
    Waiting(u64),
}

/// One who waits no more: with what it asked for, or because its time is over.
#[derive(Clone, Debug)]
pub struct ServedWaiter<T> {
    /// Who.
    pub waiter: u64,
    /// What it gets.
    pub answer: Result<T, Refusal>,
}
