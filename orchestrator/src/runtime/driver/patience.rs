//! Answers that wait for the disk: each is told in the end, and after a while that nobody knows yet.
//!
//! A disk that takes seconds to confirm must not silence the server for ever: whoever has waited long
//! enough hears that the outcome is unknown, and finds out by asking the same again. Meanwhile callers
//! wait for us, not we for them, so what stands still is counted, for leases and silences to
//! be longer by that. Time is an argument; it knows neither jobs nor leases.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use phisync_state::{Seq, Store, Unknown};

use super::Answer;

/// A disk that takes longer than this stands still.
const STALL_MIN: Duration = Duration::from_secs(1);

/// How often one looks, as long as somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An answer until somebody has told it: the store, or the one who lost patience.
type Untold = Arc<Mutex<Option<Answer>>>;

fn take(untold: &Untold) -> Option<Answer> {
    untold.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn is_told(untold: &Untold) -> bool {
    untold
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_none()
}

struct Waiting {
    since: Duration,
    answer: Untold,
}

/// See the module. Instants are the monotonic clock's.
pub(super) struct Patience {
    limit: Duration,
    /// The longest waiting first.
    waiting: VecDeque<Waiting>,
    /// Up to here a standstill has been counted.
    counted: Duration,
}

impl Patience {
    /// Nobody waits longer than `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: VecDeque::new(),
            counted: Duration::ZERO,
        }
    }

    /// Tells `answer` when `seq` is durable, known not to become so, or waited for too long.
    pub(super) fn hold(&mut self, store: &dyn Store, seq: Seq, answer: Answer, now: Duration) {
        let answer: Untold = Arc::new(Mutex::new(Some(answer)));
        let held = Arc::clone(&answer);
        let then = move |outcome| {
            if let Some(answer) = take(&held) {
                answer(outcome);
            }
        };
        store.when_durable(seq, Box::new(then));
        self.forget_told();
        if !is_told(&answer) {
            let since = now;
            self.waiting.push_back(Waiting { since, answer });
        }
    }

    fn forget_told(&mut self) {
        while self.waiting.front().is_some_and(|w| is_told(&w.answer)) {
            self.waiting.pop_front();
        }
    }

    /// When to look again, as long as anybody waits.
    pub(super) fn next_look(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(LOOK_EVERY)
    }

    /// What stood still until `now` for another reason is not counted again.
    pub(super) fn count_from(&mut self, now: Duration) {
        self.counted = now;
    }

    /// For how long the disk has stood still that was not counted yet.
    pub(super) fn standstill(&mut self, now: Duration) -> Option<Duration> {
        self.forget_told();
        let since = self.waiting.front()?.since;
        if now.saturating_sub(since) < STALL_MIN {
            return None;
        }
        let from = since.max(self.counted);
        self.counted = now;
        Some(now.saturating_sub(from))
    }

    /// Tells those who have waited long enough that nobody knows yet.
    pub(super) fn give_up(&mut self, now: Duration) {
        while let Some(first) = self.waiting.front()
            && now.saturating_sub(first.since) >= self.limit
        {
            if let Some(answer) = take(&first.answer) {
                let limit = self.limit;
                tracing::warn!(
                    ?limit,
                    "the disk has not confirmed in time; told as unknown"
                );
                let reason = format!("the disk has not confirmed it within {limit:?}");
                answer(Err(Unknown {
                    reason: Arc::from(reason),
                }));
            }
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use phisync_state::env::{Kind, SimDisk};
    use phisync_state::{
        Entry, Expected, FileOptions, FileStore, Head, Seq, Store as _, StreamName, Timestamp,
        Unknown,
    };

    use super::Patience;

    /// A store whose next sync takes until the disk lets go.
    fn slow() -> (SimDisk, FileStore) {
        let disk = SimDisk::new();
        let shared = Arc::new(disk.clone());
        let opened = FileStore::open(shared, Path::new("/data"), FileOptions::default());
        let (store, _) = opened.expect("an empty disk opens");
        // The file is extended, so that the next sync is that of a batch.
        append(&store);
        store.close().expect("the disk works");
        drop(store);
        let shared = Arc::new(disk.clone());
        let opened = FileStore::open(shared, Path::new("/data"), FileOptions::default());
        let (store, _) = opened.expect("it opens again");
        disk.hold(Kind::Sync);
        (disk, store)
    }

    fn append(store: &FileStore) -> Seq {
        let entry = Entry {
            stream: StreamName::new("run/a"),
            expected: Expected::Any,
            events: vec!["1".to_owned()],
        };
        let appended = store.append(Timestamp::from_micros(0), vec![entry]);
        appended.expect("nobody knows yet").last
    }

    fn ask(patience: &mut Patience, store: &FileStore, at: u64) -> Receiver<Result<Head, Unknown>> {
        let seq = append(store);
        let (tell, told) = channel();
        let answer = move |outcome| tell.send(outcome).expect("the test listens");
        patience.hold(store, seq, Box::new(answer), Duration::from_secs(at));
        told
    }

    const LIMIT: Duration = Duration::from_secs(30);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_the_disk_does_not_confirm_in_time_is_unknown_and_told_once() {
        let (disk, store) = slow();
        let mut patience = Patience::new(LIMIT);
        let first = ask(&mut patience, &store, 100);
        let second = ask(&mut patience, &store, 110);
        patience.give_up(s(129));
        assert!(first.try_recv().is_err(), "there is time left");
        patience.give_up(s(130));
        let unknown = first.try_recv().expect("its time is over");
        let unknown = unknown.expect_err("nobody knows");
        assert!(unknown.reason.contains("30s"), "{unknown}");
        assert!(second.try_recv().is_err(), "it came later");
        assert!(patience.next_look().is_some());
        disk.let_go();
        let told = second.recv().expect("the store tells it");
        let head = told.expect("it is durable");
        assert!(head.seq >= Seq(3), "what was unknown has happened too");
        assert!(first.recv().is_err(), "nobody is told twice");
        patience.give_up(s(1000));
        assert_eq!(patience.next_look(), None);
    }

    #[test]
    fn a_standstill_of_the_disk_is_counted_once_from_its_beginning() {
        let (disk, store) = slow();
        let mut patience = Patience::new(LIMIT);
        assert_eq!(patience.standstill(s(50)), None, "nobody waits");
        let told = ask(&mut patience, &store, 100);
        assert_eq!(patience.standstill(s(100)), None, "as any sync");
        assert_eq!(patience.standstill(s(103)), Some(s(3)));
        assert_eq!(patience.standstill(s(104)), Some(s(1)));
        // The whole process stood still for four seconds, which somebody else has counted.
        patience.count_from(s(108));
        assert_eq!(patience.standstill(s(110)), Some(s(2)));
        disk.let_go();
        drop(told.recv().expect("the store tells it"));
        assert_eq!(patience.standstill(s(111)), None);
    }

    #[test]
    fn what_is_durable_already_waits_for_nobody() {
        let (disk, store) = slow();
        disk.let_go();
        let mut patience = Patience::new(LIMIT);
        let (tell, told) = channel();
        let answer = move |outcome| tell.send(outcome).expect("the test listens");
        patience.hold(&store, Seq(1), Box::new(answer), s(1));
        assert!(told.try_recv().expect("at once").is_ok());
        assert_eq!(patience.next_look(), None);
    }
}
