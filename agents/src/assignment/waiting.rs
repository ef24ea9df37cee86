//! The waiting agents: the best of them for a task, found without looking at all.
//!
//! Agents that differ in nothing but name and load form a *group*, and there are few groups however many
//! agents wait. Each group keeps its members from the least loaded on, so the best agent for a
//! task is the best among the first of the groups that can do it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Candidate, Offer, lacks};

/// What the members of a group have in common; capabilities sorted and without repetition.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Profile {
    pool: String,
    capabilities: Vec<String>,
}

impl Profile {
    fn of(candidate: &Candidate<'_>) -> Self {
        let capabilities: BTreeSet<_> = candidate.capabilities.iter().cloned().collect();
        Self {
            pool: candidate.pool.to_owned(),
            capabilities: capabilities.into_iter().collect(),
        }
    }

    fn may_do<K>(&self, offer: &Offer<K>) -> bool {
        let can = |needed: &String| self.capabilities.binary_search(needed).is_ok();
        offer.pool.as_ref().is_none_or(|pool| *pool == self.pool)
            && offer.capabilities.iter().all(can)
    }
}

/// How much of what it may hold an agent holds.
#[derive(Clone, Copy, Debug)]
struct Load {
    held: u32,
    of: u32,
}

impl Ord for Load {
    /// As fractions: one of two is as much as two of four.
    fn cmp(&self, other: &Self) -> Ordering {
        let part = |a: u32, b: u32| u64::from(a) * u64::from(b);
        part(self.held, other.of).cmp(&part(other.held, self.of))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Load {}

/// Order within a group: the less loaded first, then by name.
type Seat = (Load, Arc<str>);

#[derive(Clone, Debug)]
struct Member {
    profile: Arc<Profile>,
    seat: Seat,
}

impl Member {
    fn candidate(&self) -> Candidate<'_> {
        let (load, name) = &self.seat;
        Candidate {
            name,
            pool: &self.profile.pool,
            capabilities: &self.profile.capabilities,
            load: load.held,
            concurrency: load.of,
            alive: true,
            drained: false,
            resting: None,
        }
    }
}

/// The agents that wait for a task and could take one now.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    members: BTreeMap<Arc<str>, Member>,
    groups: BTreeMap<Arc<Profile>, BTreeSet<Seat>>,
}

impl Waiting {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `candidate` waits, in place of what was known of it. One that can take nothing now is
    /// not kept: note it again when it can.
    pub fn seat(&mut self, candidate: &Candidate<'_>) {
        self.remove(candidate.name);
        if !candidate.has_room() {
            return;
        }
        let profile = Profile::of(candidate);
        let known = self.groups.get_key_value(&profile);
        let profile = known.map_or_else(|| Arc::new(profile), |(known, _)| Arc::clone(known));
        let name: Arc<str> = Arc::from(candidate.name);
        let load = Load {
            held: candidate.load,
            of: candidate.concurrency,
        };
        let seat = (load, Arc::clone(&name));
        self.groups
            .entry(Arc::clone(&profile))
            .or_default()
            .insert(seat.clone());
        self.members.insert(name, Member { profile, seat });
    }

    /// Forgets an agent that waits no longer; whether it did.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(member) = self.members.remove(name) else {
            return false;
        };
        if let Some(seats) = self.groups.get_mut(&member.profile) {
            seats.remove(&member.seat);
            if seats.is_empty() {
                self.groups.remove(&member.profile);
            }
        }
        true
    }

    /// Who gets `offer`: the most preferred, then the least loaded for its size, then the first by name.
    #[must_use]
    pub fn choose<K>(&self, offer: &Offer<K>) -> Option<&str> {
        let able = |name: &str| {
            let member = self.members.get(name)?;
            let (_, name) = &member.seat;
            lacks(offer, &member.candidate())
                .is_empty()
                .then_some(&**name)
        };
        if let Some(bound) = offer.agent.as_deref().or(offer.only.as_deref()) {
            return able(bound);
        }
        let preferred = offer.prefer.iter().find_map(|name| able(name));
        preferred.or_else(|| {
            let groups = self.groups.iter();
            let fit = groups.filter(|(profile, _)| profile.may_do(offer));
            // Only those that the offer bars by name are passed over here.
            let first = fit.filter_map(|(_, seats)| {
                let mut seats = seats.iter();
                seats.find(|(_, name)| able(name).is_some())
            });
            first.min().map(|(_, name)| &**name)
        })
    }

    /// How many could take a task now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody could.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}
