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

/// Who holds something, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The holder.
    pub agent: String,
    /// Its full length.
    pub ttl: Duration,
    /// When it ends unless renewed.
    pub expires: Duration,
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

    /// The lease on `key`, expired or not.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Lease> {
        self.by_key.get(key)
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

#[cfg(test)]
mod tests {
    use super::Leases;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_expired_lease_has_a_holder_until_it_is_revoked() {
        let mut leases = Leases::new();
        leases.grant("t", "dc", s(10), s(0));
        assert_eq!(leases.expired(s(9)), Vec::<&str>::new());
        assert_eq!(leases.expired(s(10)), ["t"]);
        assert_eq!(leases.holder(&"t"), Some("dc"));
        assert!(leases.revoke(&"t"));
        assert_eq!(leases.holder(&"t"), None);
        assert!(!leases.revoke(&"t"));
        assert_eq!(leases.renew(&"t", s(11)), None);
        assert_eq!(leases.count("dc"), 0);
    }

    #[test]
    fn a_pause_of_our_own_ends_no_lease() {
        let mut leases = Leases::new();
        leases.grant(1, "dc", s(10), s(0));
        leases.grant(2, "dc", s(20), s(0));
        leases.extend_all(s(60));
        assert_eq!(leases.expired(s(69)), Vec::<i32>::new());
        assert_eq!(leases.next_expiry(), Some(s(70)));
        assert_eq!(leases.renew(&1, s(30)), Some(s(10)));
        assert_eq!(leases.expires(&1), Some(s(70)), "the grace was taken back");
        assert_eq!(leases.expired(s(80)), [1, 2]);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Grant(u8, u8, u64),
        Renew(u8),
        Revoke(u8),
        Extend(u64),
        Wait(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0u8..6, 0u8..3, 0u64..30).prop_map(|(key, agent, ttl)| Op::Grant(key, agent, ttl)),
            (0u8..6).prop_map(Op::Renew),
            (0u8..6).prop_map(Op::Revoke),
            (0u64..5).prop_map(Op::Extend),
            (0u64..20).prop_map(Op::Wait),
        ]
    }

    proptest! {
        /// Against a map that is searched in full for every answer.
        #[test]
        fn every_answer_is_that_of_a_plain_list(ops in prop::collection::vec(op(), 0..60)) {
            let mut leases = Leases::new();
            let mut plain: BTreeMap<u8, (String, Duration, Duration)> = BTreeMap::new();
            let mut now = s(0);
            for op in ops {
                match op {
                    Op::Grant(key, agent, ttl) => {
                        let agent = format!("a{agent}");
                        leases.grant(key, &agent, s(ttl), now);
                        plain.insert(key, (agent, s(ttl), now + s(ttl)));
                    }
                    Op::Renew(key) => {
                        let renewed = plain.get_mut(&key).map(|(_, ttl, expires)| {
                            *expires = (now + *ttl).max(*expires);
                            *ttl
                        });
                        prop_assert_eq!(leases.renew(&key, now), renewed);
                    }
                    Op::Revoke(key) => prop_assert_eq!(leases.revoke(&key), plain.remove(&key).is_some()),
                    Op::Extend(by) => {
                        leases.extend_all(s(by));
                        plain.values_mut().for_each(|(_, _, expires)| *expires += s(by));
                    }
                    Op::Wait(by) => now += s(by),
                }
                let mut ends: Vec<(Duration, u8)> = plain.iter().map(|(key, (_, _, expires))| (*expires, *key)).collect();
                ends.sort_unstable();
                prop_assert_eq!(leases.next_expiry(), ends.first().map(|(expires, _)| *expires));
                let over: Vec<u8> = ends.iter().filter(|(expires, _)| *expires <= now).map(|(_, key)| *key).collect();
                prop_assert_eq!(leases.expired(now), over);
                for agent in ["a0", "a1", "a2"] {
                    let held: Vec<u8> = plain.iter().filter(|(_, (holder, _, _))| holder == agent).map(|(key, _)| *key).collect();
                    prop_assert_eq!(leases.count(agent), held.len());
                    prop_assert_eq!(leases.held_by(agent), held);
                }
                for key in 0..6 {
                    prop_assert_eq!(leases.holder(&key), plain.get(&key).map(|(holder, _, _)| holder.as_str()));
                }
            }
        }
    }
}
