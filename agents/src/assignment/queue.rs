//! The ready queue: tasks that wait, found by the agent that asks without looking at all of them.
//!
//! Offers that the same agents may take share a *selector*, and there are few distinct ones however
//! long the queue grows. Each selector keeps its offers in order, so the best task for an agent is
//! the best among the heads of the selectors that admit it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Candidate, Offer, lacks};

/// So much waiting counts as one point of priority. A task of the lowest goes before a fresh one of
/// the highest after 50 minutes, within the hour that a task waits unless its `timeouts.queue` says otherwise.
pub const AGEING: Duration = Duration::from_secs(30);

/// Order within a queue: the later and the less urgent, the larger; then the key, so that no two
/// are equal. Two tasks age alike, so their order never changes and is known from the start.
type Rank<K> = (i128, K);

/// Who may take an offer; lists sorted and without repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Selector {
    limited: Option<String>,
    only: Option<String>,
    pool: Option<String>,
    capabilities: Vec<String>,
    barred: Vec<String>,
}

impl Selector {
    /// Splits off the agent an offer is bound to, by its assignment or else by its last attempt.
    fn of<K>(offer: &Offer<K>) -> (Option<String>, Self) {
        let (bound, only) = match (&offer.agent, &offer.only) {
            (None, only) => (only.clone(), None),
            (agent, only) => (agent.clone(), only.clone()),
        };
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let selector = Self {
            limited: offer.limited.clone(),
            only,
            pool: offer.pool.clone(),
            capabilities: sorted(offer.capabilities.clone()),
            barred: sorted(offer.exclude.iter().chain(&offer.not).cloned().collect()),
        };
        (bound, selector)
    }

    fn admits(&self, candidate: &Candidate<'_>) -> bool {
        let named = self
            .only
            .as_deref()
            .is_none_or(|only| only == candidate.name);
        let barred = self.barred.iter().any(|barred| barred == candidate.name);
        let able = self
            .capabilities
            .iter()
            .all(|needed| candidate.capabilities.contains(needed));
        let grouped = self
            .pool
            .as_deref()
            .is_none_or(|pool| pool == candidate.pool);
        named && !barred && able && grouped
    }
}

/// The tasks that wait, by the agent they are bound to (`None`: any), then by selector.
#[derive(Clone, Debug)]
pub struct ReadyQueue<K: Ord + Clone> {
    offers: BTreeMap<K, Offer<K>>,
    ranked: BTreeMap<Option<String>, BTreeMap<Selector, BTreeSet<Rank<K>>>>,
}

impl<K: Ord + Clone> Default for ReadyQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> ReadyQueue<K> {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            offers: BTreeMap::new(),
            ranked: BTreeMap::new(),
        }
    }

    /// Adds `offer`, in place of an earlier one with the same key.
    pub fn push(&mut self, offer: Offer<K>) {
        self.remove(&offer.key);
        let (bound, selector) = Selector::of(&offer);
        self.ranked
            .entry(bound)
            .or_default()
            .entry(selector)
            .or_default()
            .insert(rank(&offer));
        self.offers.insert(offer.key.clone(), offer);
    }

    /// Takes `key` out; whether it was in.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(offer) = self.offers.remove(key) else {
            return false;
        };
        let (bound, selector) = Selector::of(&offer);
        if let Some(selectors) = self.ranked.get_mut(&bound) {
            if let Some(ranks) = selectors.get_mut(&selector) {
                ranks.remove(&rank(&offer));
                if ranks.is_empty() {
                    selectors.remove(&selector);
                }
            }
            if selectors.is_empty() {
                self.ranked.remove(&bound);
            }
        }
        true
    }

    /// The task `candidate` should take next: by priority and age; `None` when no task is for it,
    /// or when it has no room or is not alive. Types in `closed` have reached their limit. Preferences do
    /// not count here: who asks first is served.
    #[must_use]
    pub fn best_for(&self, candidate: &Candidate<'_>, closed: &BTreeSet<String>) -> Option<K> {
        if !candidate.has_room() {
            return None;
        }
        let bound = Some(candidate.name.to_owned());
        let groups = [self.ranked.get(&bound), self.ranked.get(&None)];
        let selectors = groups.into_iter().flatten().flatten();
        let open = selectors.filter(|(selector, _)| {
            let limited = selector.limited.as_ref();
            limited.is_none_or(|limited| !closed.contains(limited))
        });
        let admitting = open.filter(|(selector, _)| selector.admits(candidate));
        let best = admitting.filter_map(|(_, ranks)| ranks.first()).min();
        best.map(|(_, key)| key.clone())
    }

    /// Of the waiting tasks of a limited type, the best for each kind of taker, best first: whoever can
    /// take any of them can take one of these.
    #[must_use]
    pub fn heads_of_type(&self, limited: &str) -> Vec<K> {
        let selectors = self.ranked.values().flatten();
        let alike = selectors.filter(|(s, _)| s.limited.as_deref() == Some(limited));
        let mut heads: Vec<_> = alike.filter_map(|(_, ranks)| ranks.first()).collect();
        heads.sort_unstable();
        heads.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Puts `keys` that wait into the order in which they should go; drops those that do not wait.
    #[must_use]
    pub fn in_order(&self, keys: impl IntoIterator<Item = K>) -> Vec<K> {
        let waiting = keys.into_iter().filter_map(|key| self.offers.get(&key));
        let ranks: BTreeSet<_> = waiting.map(rank).collect();
        ranks.into_iter().map(|(_, key)| key).collect()
    }

    /// How many tasks wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offers.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }

    /// Whether `key` waits.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.offers.contains_key(key)
    }

    /// The offer of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Offer<K>> {
        self.offers.get(key)
    }

    /// Every waiting offer, in the order of the keys.
    pub fn offers(&self) -> impl Iterator<Item = &Offer<K>> {
        self.offers.values()
    }

    /// Why nobody takes `key`: each agent that cannot, and what it lacks, in words that follow its
    /// name. An agent that could take it is not in the list.
    #[must_use]
    pub fn lacks(&self, key: &K, candidates: &[Candidate<'_>]) -> Vec<(String, String)> {
        let Some(offer) = self.offers.get(key) else {
            return Vec::new();
        };
        let reasons = candidates.iter().map(|candidate| {
            let reasons = lacks(offer, candidate).join(", ");
            (candidate.name.to_owned(), reasons)
        });
        reasons.filter(|(_, reasons)| !reasons.is_empty()).collect()
    }
}

fn rank<K: Clone>(offer: &Offer<K>) -> Rank<K> {
    let lead = i128::from(offer.priority) * AGEING.as_micros().cast_signed();
    (i128::from(offer.since) - lead, offer.key.clone())
}
