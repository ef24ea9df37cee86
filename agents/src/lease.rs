//! Who holds what, and until when.
//!
//! Pure bookkeeping: `now` is the caller's monotonic time, and nothing ends by itself. The holder of
//! an expired lease stays the holder until the caller revokes it, because ending a lease is a fact
//! that is journalled first. Fencing tokens are not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The leases in force, by what is held.
#[derive(Clone, Debug)]
pub struct Leases<K: Ord + Clone> {
    by_key: BTreeMap<K, Lease>,
    by_expiry: BTreeSet<(Duration, K)>,
    by_agent: BTreeMap<String, BTreeSet<K>>,
}

#[derive(Clone, Debug)]
struct Lease {
    agent: String,
    ttl: Duration,
    expires: Duration,
}

impl<K: Ord + Clone> Default for Leases<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> Leases<K> {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            by_agent: BTreeMap::new(),
        }
    }

    /// Gives `key` to `agent` for `ttl` from `now`; an earlier lease on `key` ends.
    pub fn grant(&mut self, key: K, agent: &str, ttl: Duration, now: Duration) {
        self.revoke(&key);
        let expires = now.saturating_add(ttl);
        self.by_expiry.insert((expires, key.clone()));
        self.by_agent
            .entry(agent.to_owned())
            .or_default()
            .insert(key.clone());
        let agent = agent.to_owned();
        self.by_key.insert(
            key,
            Lease {
                agent,
                ttl,
                expires,
            },
        );
    }

    /// Starts the lease on `key` over with its full length, which is the answer; `None` when nobody
    /// holds it. Never shortens a lease, so that a renewal does not take back a grace period.
    pub fn renew(&mut self, key: &K, now: Duration) -> Option<Duration> {
        let lease = self.by_key.get_mut(key)?;
        let expires = now.saturating_add(lease.ttl).max(lease.expires);
        self.by_expiry.remove(&(lease.expires, key.clone()));
        self.by_expiry.insert((expires, key.clone()));
        lease.expires = expires;
        Some(lease.ttl)
    }

    /// Ends the lease on `key`; whether there was one.
    pub fn revoke(&mut self, key: &K) -> bool {
        let Some(lease) = self.by_key.remove(key) else {
            return false;
        };
        self.by_expiry.remove(&(lease.expires, key.clone()));
        if let Some(held) = self.by_agent.get_mut(&lease.agent) {
            held.remove(key);
            if held.is_empty() {
                self.by_agent.remove(&lease.agent);
            }
        }
        true
    }

    /// The agent that holds `key`, expired or not.
    #[must_use]
    pub fn holder(&self, key: &K) -> Option<&str> {
        self.by_key.get(key).map(|lease| lease.agent.as_str())
    }

    /// When the lease on `key` ends unless renewed.
    #[must_use]
    pub fn expires(&self, key: &K) -> Option<Duration> {
        self.by_key.get(key).map(|lease| lease.expires)
    }

    /// What `agent` holds, in the order of the keys.
    #[must_use]
    pub fn held_by(&self, agent: &str) -> Vec<K> {
        let held = self.by_agent.get(agent);
        held.map_or_else(Vec::new, |held| held.iter().cloned().collect())
    }

    /// How many leases `agent` holds.
    #[must_use]
    pub fn count(&self, agent: &str) -> usize {
        self.by_agent.get(agent).map_or(0, BTreeSet::len)
    }

    /// What is over at `now` (a lease ends at its very instant), first ended first.
    #[must_use]
    pub fn expired(&self, now: Duration) -> Vec<K> {
        let ended = self
            .by_expiry
            .iter()
            .take_while(|(expires, _)| *expires <= now);
        ended.map(|(_, key)| key.clone()).collect()
    }

    /// When the next lease ends unless renewed.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.by_expiry.first().map(|(expires, _)| *expires)
    }

    /// Moves every end later by `by`: the grace that follows a pause of the server itself.
    pub fn extend_all(&mut self, by: Duration) {
        self.by_expiry.clear();
        for (key, lease) in &mut self.by_key {
            lease.expires = lease.expires.saturating_add(by);
            self.by_expiry.insert((lease.expires, key.clone()));
        }
    }
}
