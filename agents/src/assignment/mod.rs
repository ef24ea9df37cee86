//! Who gets which task. Pure: agents and offers are arguments, nothing is claimed here.
//!
//! Two questions, asked from either side: the best task for an agent that asks
//! ([`ReadyQueue::best_for`], in `queue.rs`), and the best of several waiting agents for one task
//! ([`choose`]). Both answer by the same rule of who may ([`lacks`]); the claim itself, which may be
//! lost to another orchestrator, is the server's.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm
)]

mod queue;

pub use queue::ReadyQueue;

/// A task that waits to be taken.
///
/// Names of agents are lower-case keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<K> {
    /// Which task.
    pub key: K,
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
    /// Sequence at which it became ready; smaller is older, and first among equals.
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
}

impl Candidate<'_> {
    fn has_room(&self) -> bool {
        self.alive && self.load < self.concurrency
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
    if candidate.load >= candidate.concurrency {
        let (load, concurrency) = (candidate.load, candidate.concurrency);
        reasons.push(format!("is busy ({load} of {concurrency})"));
    }
    reasons
}

/// Which of the waiting `candidates` gets `offer`, as an index: the most preferred, then the least
/// loaded for its size, then the first by name.
#[must_use]
pub fn choose<K>(offer: &Offer<K>, candidates: &[Candidate<'_>]) -> Option<usize> {
    let preference = |name: &str| {
        let position = offer.prefer.iter().position(|preferred| preferred == name);
        position.unwrap_or(usize::MAX)
    };
    let able = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| lacks(offer, candidate).is_empty());
    let best = able.min_by(|(_, a), (_, b)| {
        let load = |of: &Candidate<'_>, other: &Candidate<'_>| {
            u64::from(of.load) * u64::from(other.concurrency)
        };
        preference(a.name)
            .cmp(&preference(b.name))
            .then_with(|| load(a, b).cmp(&load(b, a)))
            .then_with(|| a.name.cmp(b.name))
    });
    best.map(|(index, _)| index)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
