//! Who gets which task. Pure: agents and offers are arguments, nothing is claimed here.
//!
//! Two questions, asked from either side: the best task for an agent that asks
//! ([`ReadyQueue::best_for`], in `queue.rs`), and the best of all waiting agents for one task
//! ([`Waiting::choose`], in `waiting.rs`). Both answer by the same rule of who may ([`lacks`]), and neither
//! looks at everything that waits; the claim itself, which may be lost to another orchestrator, is the
//! server's.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

mod queue;
mod waiting;

use std::time::Duration;

pub use queue::{AGEING, ReadyQueue};
pub use waiting::Waiting;

/// A task that waits to be taken.
///
/// Names of agents are lower-case keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<K> {
    /// Which task.
    pub key: K,
    /// Its type, where there is a limit on tasks of that type.
    pub limited: Option<String>,
    /// The one agent it is for.
    pub agent: Option<String>,
    /// The group that its taker belongs to; `None`: any.
    pub pool: Option<String>,
    /// What its taker must be able to do, all of it.
    pub capabilities: Vec<String>,
    /// Agents it is never offered to.
    pub exclude: Vec<String>,
    /// Agents it is offered to first, best first; others may still take it.
    pub prefer: Vec<String>,
    /// The one agent for now: who did the last attempt or the step that this one sticks to.
    pub only: Option<String>,
    /// The agent of the last attempt, when the next must go to another.
    pub not: Option<String>,
    /// 0 to 100, larger first.
    pub priority: u8,
    /// When it became ready for the first time, in microseconds; age counts as priority.
    pub since: u64,
}

/// An agent as assignment sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its lower-case key.
    pub name: &'a str,
    /// The group it belongs to.
    pub pool: &'a str,
    /// What it can do, in any order.
    pub capabilities: &'a [String],
    /// How many tasks it holds.
    pub load: u32,
    /// How many it may hold.
    pub concurrency: u32,
    /// Whether it counts as alive.
    pub alive: bool,
    /// Whether somebody asked it to end what it holds and to take nothing more.
    pub drained: bool,
    /// How long its rate lets it take nothing more; `None`: it may.
    pub resting: Option<Duration>,
}

impl Candidate<'_> {
    fn has_room(&self) -> bool {
        self.alive && !self.drained && self.resting.is_none() && self.load < self.concurrency
    }
}

/// What keeps `candidate` from taking `offer`, in words that follow its name; empty: nothing does.
#[must_use]
pub fn lacks<K>(offer: &Offer<K>, candidate: &Candidate<'_>) -> Vec<String> {
    let name = candidate.name;
    let mut reasons = Vec::new();
    if let Some(agent) = offer.agent.as_deref().filter(|agent| *agent != name) {
        reasons.push(format!("is not `{agent}`"));
    }
    let only = offer.only.as_deref().filter(|_| offer.agent != offer.only);
    if let Some(only) = only.filter(|only| *only != name) {
        reasons.push(format!("is not `{only}`, who did what came before"));
    }
    if let Some(pool) = offer.pool.as_deref().filter(|pool| *pool != candidate.pool) {
        reasons.push(format!(
            "is in the pool `{}`, not in `{pool}`",
            candidate.pool
        ));
    }
    if offer.not.as_deref() == Some(name) {
        reasons.push("did the last attempt, and the next is for another".to_owned());
    }
    if offer.exclude.iter().any(|excluded| excluded == name) {
        reasons.push("is excluded".to_owned());
    }
    let missing = offer
        .capabilities
        .iter()
        .filter(|needed| !candidate.capabilities.contains(needed));
    reasons.extend(missing.map(|needed| format!("lacks the capability `{needed}`")));
    if !candidate.alive {
        reasons.push("is not alive".to_owned());
    }
    if candidate.drained {
        reasons.push("is drained".to_owned());
    }
    if candidate.load >= candidate.concurrency {
        let (load, concurrency) = (candidate.load, candidate.concurrency);
        reasons.push(format!("is busy ({load} of {concurrency})"));
    }
    if let Some(wait) = candidate.resting {
        let seconds = wait.as_millis().div_ceil(1000);
        reasons.push(format!("has used up its rate for {seconds}s"));
    }
    reasons
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
