//! Named locks: the clocks and the queue's connections around [`NamedLock`], which decides.
//!
//! Every grant and every end is a record before anybody is told. A holder that is silent for its
//! whole lease has lost the lock; whoever waits longest gets it in the same moment. Leases start
//! over with their full length after a restart, because silence of ours is not the holder's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_agents::lease::Leases;
use phisync_state::transaction::UnderLock;
use phisync_state::{
    Asked, Entry, Expected, FileId, LockEvent, LockRequest, NamedLock, StreamName, Version,
    lock_stream,
};

use crate::protocol::LockSummary;

use super::{Coordinator, InLine, LOST_RACES_MAX, Now, Refusal, ServedWaiter, recovery};

/// The shortest lease: a heartbeat must fit in.
const TTL_MIN: Duration = Duration::from_secs(1);

/// The longest lease: a dead holder is in everybody's way for as long.
const TTL_MAX: Duration = Duration::from_secs(3600);

/// A lock that somebody got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockGrant {
    /// Which.
    pub name: FileId,
    /// What opens what it guards.
    pub token: u64,
    /// How long its holder may be silent.
    pub ttl: Duration,
}

#[derive(Default)]
pub(super) struct Locks {
    by_name: BTreeMap<FileId, NamedLock>,
    leases: Leases<FileId>,
    /// Who waits for what, and until when.
    waits: BTreeMap<u64, (FileId, Duration)>,
    ends: BTreeSet<(Duration, u64)>,
    last_waiter: u64,
    served: Vec<ServedWaiter<LockGrant>>,
}

impl Locks {
    pub(super) fn replay(&mut self, name: FileId, version: Version, event: &LockEvent) {
        let lock = self.by_name.entry(name).or_default();
        lock.replay_at(version, event);
    }

    /// Gives every holder a lease of full length.
    pub(super) fn resume(&mut self, now: Now) {
        for (name, lock) in &self.by_name {
            if let Some(holder) = lock.holder() {
                let ttl = Duration::from_millis(holder.ttl_ms);
                self.leases.grant(name.clone(), &holder.by, ttl, now.mono);
            }
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let end = self.ends.first().map(|(at, _)| *at);
        [self.leases.next_expiry(), end].into_iter().flatten().min()
    }

    /// Nobody is late because this process stood still.
    pub(super) fn excuse(&mut self, pause: Duration) {
        self.leases.extend_all(pause);
    }

    fn forget_waiter(&mut self, waiter: u64) -> Option<FileId> {
        let (name, end) = self.waits.remove(&waiter)?;
        self.ends.remove(&(end, waiter));
        if let Some(lock) = self.by_name.get_mut(&name) {
            lock.leave(waiter);
        }
        Some(name)
    }

    fn held(&self, name: &FileId) -> Refusal {
        let holder = self.by_name.get(name).and_then(NamedLock::holder);
        Refusal::Locked {
            name: name.clone(),
            by: holder.map_or_else(|| "somebody before".to_owned(), |holder| holder.by.clone()),
        }
    }
}

fn lock_name(name: &str) -> Result<FileId, Refusal> {
    FileId::new(name).map_err(|_| Refusal::BadName {
        what: "name of a lock",
        text: name.to_owned(),
        rule: "1 to 63 of [a-z0-9_-], beginning with [a-z0-9], no device of Windows",
    })
}

impl Coordinator {
    /// Asks for a lock, and waits in line for up to `wait`.
    ///
    /// # Errors
    /// A bad name; somebody has it and `wait` is zero; too many wait.
    pub fn acquire_lock(
        &mut self,
        name: &str,
        by: &str,
        holder: Option<String>,
        ttl: Duration,
        wait: Duration,
        now: Now,
    ) -> Result<InLine<LockGrant>, Refusal> {
        let name = lock_name(name)?;
        let ttl = ttl.clamp(TTL_MIN, TTL_MAX);
        self.locks.last_waiter += 1;
        let request = LockRequest {
            waiter: self.locks.last_waiter,
            by: by.to_owned(),
            holder,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        };
        for _ in 0..LOST_RACES_MAX {
            let lock = self.locks.by_name.entry(name.clone()).or_default();
            match lock.ask(&request, self.epoch) {
                Asked::Held(token) => {
                    let ttl = self.locks.leases.renew(&name, now.mono).unwrap_or(ttl);
                    return Ok(InLine::Granted(LockGrant { name, token, ttl }));
                }
                Asked::Granted(event) => {
                    if self.record_lock(&name, &event, now)? {
                        let token = self.start_lease(&name, now);
                        return Ok(InLine::Granted(LockGrant { name, token, ttl }));
                    }
                }
                Asked::Wait if wait.is_zero() => return Err(self.locks.held(&name)),
                Asked::Wait => {
                    if !lock.queue(request.clone()) {
                        return Err(Refusal::Busy);
                    }
                    let end = now.mono.saturating_add(wait);
                    let waiter = request.waiter;
                    self.locks.waits.insert(waiter, (name, end));
                    self.locks.ends.insert((end, waiter));
                    return Ok(InLine::Waiting(waiter));
                }
            }
        }
        Err(Refusal::LostRace)
    }

    /// A holder lives: its lease starts over. Gives the lease's length.
    ///
    /// # Errors
    /// The lock is not the caller's, or not any more.
    pub fn renew_lock(
        &mut self,
        name: &str,
        token: u64,
        by: &str,
        now: Now,
    ) -> Result<Duration, Refusal> {
        let name = lock_name(name)?;
        self.check_lock_holder(&name, token, by)?;
        let lease = self.locks.leases.renew(&name, now.mono);
        Ok(lease.unwrap_or_default())
    }

    /// A holder is done: whoever waits longest gets the lock.
    ///
    /// # Errors
    /// The lock is not the caller's, or not any more.
    pub fn release_lock(
        &mut self,
        name: &str,
        token: u64,
        by: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        let name = lock_name(name)?;
        self.check_lock_holder(&name, token, by)?;
        self.end_lock(&name, token, "released", now)
    }

    /// Whoever waited under this number has gone.
    pub fn forget_lock_waiter(&mut self, waiter: u64) {
        self.locks.forget_waiter(waiter);
    }

    /// Who waits no more, since the last call.
    pub fn take_served_waiters(&mut self) -> Vec<ServedWaiter<LockGrant>> {
        std::mem::take(&mut self.locks.served)
    }

    /// Every lock that somebody has or waits for.
    #[must_use]
    pub fn locks(&self, now: Now) -> Vec<LockSummary> {
        let locks = self.locks.by_name.iter().filter_map(|(name, lock)| {
            let holder = lock.holder();
            let waiting: Vec<String> = lock.waiting().map(|request| request.by.clone()).collect();
            if holder.is_none() && waiting.is_empty() {
                return None;
            }
            let left = self.locks.leases.expires(name);
            let left = left.map(|end| end.saturating_sub(now.mono));
            Some(LockSummary {
                name: name.to_string(),
                token: holder.map(|holder| holder.token),
                by: holder.map(|holder| holder.by.clone()),
                holder: holder.and_then(|holder| holder.holder.clone()),
                lease_left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
                waiting,
            })
        });
        locks.collect()
    }

    /// The guard that a decision made under a lock needs: the lock's stream as it is now.
    ///
    /// # Errors
    /// The token does not hold the lock.
    pub(super) fn lock_guard(&self, under: &UnderLock) -> Result<(StreamName, Version), Refusal> {
        let UnderLock { lock: name, token } = under;
        let lock = self.locks.by_name.get(name);
        let idle = NamedLock::default();
        let lock = lock.unwrap_or(&idle);
        lock.check(*token).map_err(|source| Refusal::StaleLock {
            name: name.clone(),
            source,
        })?;
        Ok((lock_stream(name), lock.version()))
    }

    /// Ends leases that are over and waits that were long enough.
    pub(super) fn tick_locks(&mut self, now: Now) -> Result<(), Refusal> {
        for name in self.locks.leases.expired(now.mono) {
            let lock = self.locks.by_name.get(&name);
            match lock.and_then(NamedLock::holder).cloned() {
                Some(holder) => {
                    let why = format!("`{}` was silent for its whole lease", holder.by);
                    tracing::warn!(lock = %name, why, "a lock is taken away");
                    match self.end_lock(&name, holder.token, &why, now) {
                        // Another orchestrator has ended it already.
                        Err(Refusal::StaleLock { .. }) => self.serve_next(&name, now)?,
                        ended => ended?,
                    }
                }
                None => {
                    self.locks.leases.revoke(&name);
                }
            }
        }
        while let Some(&(end, waiter)) = self.locks.ends.first() {
            if end > now.mono {
                break;
            }
            if let Some(name) = self.locks.forget_waiter(waiter) {
                let answer = Err(self.locks.held(&name));
                self.locks.served.push(ServedWaiter { waiter, answer });
            } else {
                self.locks.ends.remove(&(end, waiter));
            }
        }
        Ok(())
    }

    fn check_lock_holder(&self, name: &FileId, token: u64, by: &str) -> Result<(), Refusal> {
        let idle = NamedLock::default();
        let lock = self.locks.by_name.get(name).unwrap_or(&idle);
        match lock.check(token) {
            Ok(holder) if holder.by == by => Ok(()),
            Ok(holder) => Err(Refusal::Forbidden(format!(
                "`{by}` does not hold the lock, `{}` does",
                holder.by
            ))),
            Err(source) => Err(Refusal::StaleLock {
                name: name.clone(),
                source,
            }),
        }
    }

    fn end_lock(&mut self, name: &FileId, token: u64, why: &str, now: Now) -> Result<(), Refusal> {
        for _ in 0..LOST_RACES_MAX {
            let Some(lock) = self.locks.by_name.get(name) else {
                return Ok(());
            };
            let event = lock.release(token, why);
            let event = event.map_err(|source| Refusal::StaleLock {
                name: name.clone(),
                source,
            })?;
            if self.record_lock(name, &event, now)? {
                self.locks.leases.revoke(name);
                return self.serve_next(name, now);
            }
        }
        Err(Refusal::LostRace)
    }

    /// Hands a free lock to whoever waits longest.
    fn serve_next(&mut self, name: &FileId, now: Now) -> Result<(), Refusal> {
        for _ in 0..LOST_RACES_MAX {
            let next = self.locks.by_name.get(name);
            let Some((request, event)) = next.and_then(|lock| lock.next(self.epoch)) else {
                return Ok(());
            };
            if self.record_lock(name, &event, now)? {
                self.locks.forget_waiter(request.waiter);
                let grant = LockGrant {
                    name: name.clone(),
                    token: self.start_lease(name, now),
                    ttl: Duration::from_millis(request.ttl_ms),
                };
                self.locks.served.push(ServedWaiter {
                    waiter: request.waiter,
                    answer: Ok(grant),
                });
                return Ok(());
            }
        }
        Err(Refusal::LostRace)
    }

    /// The current holder's lease begins; its token.
    fn start_lease(&mut self, name: &FileId, now: Now) -> u64 {
        let holder = self.locks.by_name.get(name).and_then(NamedLock::holder);
        let Some(holder) = holder else { return 0 };
        let ttl = Duration::from_millis(holder.ttl_ms);
        let leases = &mut self.locks.leases;
        leases.grant(name.clone(), &holder.by, ttl, now.mono);
        holder.token
    }

    /// Appends and folds one fact of a lock; false if another writer was faster, whose facts are
    /// known afterwards.
    fn record_lock(&mut self, name: &FileId, event: &LockEvent, now: Now) -> Result<bool, Refusal> {
        let lock = self.locks.by_name.entry(name.clone()).or_default();
        let entry = Entry {
            stream: lock_stream(name),
            expected: Expected::Version(lock.version()),
            events: serde_json::to_string(event).into_iter().collect(),
        };
        if self.append_apart(vec![entry], now)? {
            let lock = self.locks.by_name.entry(name.clone()).or_default();
            lock.apply(event);
            return Ok(true);
        }
        self.reload_lock(name, now)?;
        Ok(false)
    }

    /// Reads a lock again if another writer of the store has changed it.
    pub(super) fn refresh_lock(&mut self, name: &FileId, now: Now) -> Result<(), Refusal> {
        let known = self.locks.by_name.get(name).map_or(0, NamedLock::version);
        if self.store.version(&lock_stream(name)) == known {
            return Ok(());
        }
        self.reload_lock(name, now)
    }

    pub(super) fn reload_lock(&mut self, name: &FileId, now: Now) -> Result<(), Refusal> {
        let records = self.store.read(&lock_stream(name), 1)?;
        let mut fresh = NamedLock::default();
        for record in &records {
            fresh.replay_at(record.version, &recovery::decode(record)?);
        }
        if let Some(known) = self.locks.by_name.get(name) {
            for request in known.waiting() {
                // It had room before.
                fresh.queue(request.clone());
            }
        }
        self.locks.leases.revoke(name);
        self.locks.by_name.insert(name.clone(), fresh);
        self.start_lease(name, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use phisync_agents::registry::Registry;
    use phisync_state::env::SeededEntropy;
    use phisync_state::{MemoryStore, Timestamp};

    use super::LockGrant;
    use crate::coordinator::{Coordinator, InLine, Now, Refusal};

    fn at(seconds: u64) -> Now {
        Now {
            wall: Timestamp::from_micros(0),
            mono: Duration::from_secs(seconds),
        }
    }

    fn open(store: &Arc<MemoryStore>, seconds: u64) -> Coordinator {
        let (registry, entropy) = (Registry::default(), Box::new(SeededEntropy::new(1)));
        let shared = Arc::<MemoryStore>::clone(store);
        let opened = Coordinator::open(shared, 0, registry, entropy, None, at(seconds));
        opened.expect("the store reads")
    }

    fn ask(
        c: &mut Coordinator,
        by: &str,
        wait: u64,
        seconds: u64,
    ) -> Result<InLine<LockGrant>, Refusal> {
        let (ttl, wait) = (Duration::from_secs(10), Duration::from_secs(wait));
        c.acquire_lock("build", by, None, ttl, wait, at(seconds))
    }

    fn granted(answer: Result<InLine<LockGrant>, Refusal>) -> LockGrant {
        match answer {
            Ok(InLine::Granted(grant)) => grant,
            other => panic!("not granted: {other:?}"),
        }
    }

    fn waits(answer: Result<InLine<LockGrant>, Refusal>) -> u64 {
        match answer {
            Ok(InLine::Waiting(waiter)) => waiter,
            other => panic!("does not wait: {other:?}"),
        }
    }

    #[test]
    fn a_silent_holder_loses_the_lock_to_whoever_waits_longest() {
        let store = Arc::new(MemoryStore::new());
        let mut c = open(&store, 0);
        let first = granted(ask(&mut c, "one", 0, 0));
        let second = waits(ask(&mut c, "two", 60, 1));
        let third = waits(ask(&mut c, "three", 5, 2));
        assert!(matches!(
            ask(&mut c, "four", 0, 3),
            Err(Refusal::Locked { .. })
        ));
        assert_eq!(c.next_due().1, Some(Duration::from_secs(7)));
        c.tick(at(7)).expect("the store works");
        let served = c.take_served_waiters();
        assert_eq!(served[0].waiter, third, "its wait is over");
        assert!(matches!(served[0].answer, Err(Refusal::Locked { .. })));
        assert!(c.renew_lock("build", first.token, "one", at(8)).is_ok());
        c.tick(at(17)).expect("the store works");
        assert!(c.take_served_waiters().is_empty());
        c.tick(at(18)).expect("the store works");
        let served = c.take_served_waiters().remove(0);
        assert_eq!(served.waiter, second);
        let second = served.answer.expect("the lock");
        assert!(second.token > first.token);
        let late = c.release_lock("build", first.token, "one", at(19));
        assert!(matches!(late, Err(Refusal::StaleLock { .. })));
        let other = c.release_lock("build", second.token, "one", at(19));
        assert!(matches!(other, Err(Refusal::Forbidden(_))));
        c.release_lock("build", second.token, "two", at(19))
            .expect("it is the holder");
        assert!(c.locks(at(19)).is_empty());
    }

    #[test]
    fn a_restart_gives_the_holder_its_whole_lease_and_tokens_go_on() {
        let store = Arc::new(MemoryStore::new());
        let first = granted(ask(&mut open(&store, 0), "one", 0, 0));
        let mut c = open(&store, 100);
        assert!(matches!(
            ask(&mut c, "two", 0, 109),
            Err(Refusal::Locked { .. })
        ));
        c.tick(at(110)).expect("the store works");
        assert!(granted(ask(&mut c, "two", 0, 110)).token > first.token);
    }

    #[test]
    fn two_coordinators_on_one_store_never_both_grant() {
        let store = Arc::new(MemoryStore::new());
        let (mut a, mut b) = (open(&store, 0), open(&store, 0));
        let first = granted(ask(&mut a, "one", 0, 0));
        assert!(matches!(
            ask(&mut b, "two", 0, 0),
            Err(Refusal::Locked { .. })
        ));
        a.release_lock("build", first.token, "one", at(1))
            .expect("it is the holder");
        // What another one released is known when the lease would be over.
        b.tick(at(20)).expect("the store works");
        assert!(granted(ask(&mut b, "two", 0, 20)).token > first.token);
    }
}
