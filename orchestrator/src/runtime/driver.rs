//! The thread that owns the coordinator.
//!
//! Jobs come in through a bounded queue and run one after the other. A job's answer, and every
//! task handed to a waiting poll, is told only when everything that the job saw is durable: reads
//! and refusals too, or somebody could act on what a crash then takes back.

mod answer;
mod desk;
mod handle;
mod line;
mod patience;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync_state::env::{Clock, Jump};
use phisync_state::{Head, Store, Unknown};
use tokio::sync::{oneshot, watch};

use crate::coordinator::{Alarm, AlarmKind, Coordinator, LockGrant, Now, Refusal};
use crate::protocol::DocumentTurn;

use super::failure::ServerFailure;
use answer::{answer_with, hand_over};
use desk::{Desk, Watch};
use patience::Patience;

pub(super) use answer::stopping;
pub use desk::Until;
pub use handle::Handle;
pub(crate) use handle::ViewRenewer;

/// Jobs that may wait; more are refused as busy.
const QUEUE_MAX: usize = 16_384;

/// Jobs in a row before clocks are looked at.
const JOBS_IN_A_ROW_MAX: usize = 256;

/// How often views are written, at most.
const VIEW_PERIOD: Duration = Duration::from_secs(1);

/// How often the lock of the data directory is looked at.
const GUARD_PERIOD: Duration = Duration::from_secs(2);

/// How long what is due waits after it could not be done.
const TICK_PAUSE: Duration = Duration::from_secs(1);

/// A longer standstill of this process than this excuses everybody who was silent meanwhile.
const PAUSE_MIN: Duration = Duration::from_secs(2);

type Answer = Box<dyn FnOnce(Result<Head, Unknown>) + Send>;
type Job = Box<dyn FnOnce(&mut Desk, Now) -> Option<Answer> + Send>;
type Reply<T> = oneshot::Sender<Result<(T, Head), Refusal>>;

/// Receives the coordinator about once a second, to write what is out of date.
pub(crate) type ViewSink = Box<dyn FnMut(&mut Coordinator, Now, bool) + Send>;

/// Looks after the data directory; false once nothing may be written any more, which it has seen to.
pub(crate) type Guard = Box<dyn FnMut() -> bool + Send>;

enum Message {
    Job(Job),
    Stop(oneshot::Sender<()>),
}

/// Tells that the thread panics: without it the server would stay up and answer nobody.
struct PanicBell(watch::Sender<Option<ServerFailure>>);

impl Drop for PanicBell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(Some(ServerFailure::Panicked));
        }
    }
}

/// Starts the thread. An answer that the disk does not confirm within `answer_within` is unknown.
pub(crate) fn start(
    coordinator: Coordinator,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    answer_within: Duration,
    views: ViewSink,
    guard: Option<Guard>,
    failing: watch::Sender<Option<ServerFailure>>,
) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let (jobs, queue) = sync_channel(QUEUE_MAX);
    let handle = Handle {
        jobs,
        store: Arc::clone(&store),
        files: Arc::default(),
    };
    let desk = Desk {
        coordinator,
        polls: BTreeMap::new(),
        watches: BTreeMap::new(),
        lock_waiters: BTreeMap::new(),
        turn_waiters: BTreeMap::new(),
    };
    let mut driver = Driver {
        desk,
        store,
        looked_at: clock.monotonic(),
        clock,
        views,
        handle: handle.clone(),
        views_due: Duration::ZERO,
        guard,
        guard_due: Duration::ZERO,
        tick_after: Duration::ZERO,
        patience: Patience::new(answer_within),
    };
    let thread = std::thread::Builder::new()
        .name("coordinator".to_owned())
        .spawn(move || {
            let _bell = PanicBell(failing);
            driver.run(&queue);
        })?;
    Ok((handle, thread))
}

struct Driver {
    desk: Desk,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    views: ViewSink,
    handle: Handle,
    views_due: Duration,
    /// Gone once it has found something.
    guard: Option<Guard>,
    guard_due: Duration,
    /// Nothing that is due is tried before.
    tick_after: Duration,
    /// When the clocks were looked at last.
    looked_at: Duration,
    patience: Patience,
}

impl Driver {
    fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            mono: self.clock.monotonic(),
        }
    }

    /// Runs until told to stop.
    fn run(&mut self, queue: &Receiver<Message>) {
        loop {
            let wait = self.time_to_next_duty(self.now());
            let first = queue.recv_timeout(wait);
            self.look(wait);
            match first {
                Ok(Message::Job(job)) => {
                    if let Some(done) = self.work_off(job, queue) {
                        return self.finish(queue, done);
                    }
                }
                Ok(Message::Stop(done)) => return self.finish(queue, done),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.do_duties();
        }
    }

    fn time_to_next_duty(&self, now: Now) -> Duration {
        let (wall, mono) = self.desk.coordinator.next_due();
        let wall = wall.map(|at| at.since(now.wall));
        let mono = mono.map(|at| at.saturating_sub(now.mono));
        let due = [wall, mono].into_iter().flatten().min();
        let due = due.map(|due| due.max(self.tick_after.saturating_sub(now.mono)));
        let views = self.views_due.saturating_sub(now.mono);
        let guard = self.guard.is_some();
        let guard = guard.then(|| self.guard_due.saturating_sub(now.mono));
        // The end of a microsecond, so that a deadline is really over when it is looked at.
        let duties = [due, Some(views), guard, self.patience.next_look()];
        let soonest = duties.into_iter().flatten().min();
        soonest.unwrap_or(VIEW_PERIOD) + Duration::from_micros(1)
    }

    /// Looks at the clocks, not having meant to wait longer than `wait` since the last look. What was longer,
    /// wherever it was spent, is nobody's silence: we could not hear.
    fn look(&mut self, wait: Duration) -> Now {
        let now = self.now();
        let late = now.mono.saturating_sub(self.looked_at).saturating_sub(wait);
        self.looked_at = now.mono;
        if late >= PAUSE_MIN {
            tracing::warn!(
                ?late,
                "this process stood still; leases are extended by that"
            );
            self.desk.coordinator.excuse_pause(late);
            self.patience.count_from(now.mono);
        }
        now
    }

    /// Who waits for the disk cannot speak to us: what expires does so later by that.
    fn excuse_slow_disk(&mut self, now: Now) {
        if let Some(standstill) = self.patience.standstill(now.mono) {
            tracing::warn!(?standstill, "the disk is slow; leases are extended by that");
            self.desk.coordinator.excuse_pause(standstill);
        }
        self.patience.give_up(now.mono);
    }

    fn record_jump(&mut self, jump: Jump, now: Now) {
        let (by, says) = match jump {
            Jump::Forward(by) => (by, "later than before; what is due by it is due now"),
            Jump::Back(by) => (
                by,
                "earlier than before; until it is reached time goes at half speed",
            ),
        };
        let by = by.as_secs();
        let alarm = Alarm {
            kind: AlarmKind::ClockJumped,
            about: "clock".to_owned(),
            says: format!("the wall clock shows a time {by} s {says}"),
        };
        tracing::warn!(says = alarm.says, "the wall clock jumped");
        if let Err(refusal) = self.desk.coordinator.raise(alarm, now) {
            tracing::warn!(%refusal, "an alarm is not on record");
        }
    }

    /// Does what is queued, up to a bound; `Some` if told to stop meanwhile.
    fn work_off(&mut self, first: Job, queue: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
        self.execute(first);
        for _ in 1..JOBS_IN_A_ROW_MAX {
            match queue.try_recv() {
                Ok(Message::Job(job)) => self.execute(job),
                Ok(Message::Stop(done)) => return Some(done),
                Err(_) => return None,
            }
        }
        None
    }

    fn execute(&mut self, job: Job) {
        // Each job has its own look: many short ones in a row are no standstill, as they are heard.
        let now = self.look(Duration::ZERO);
        if let Some(answer) = job(&mut self.desk, now) {
            self.release(answer);
        }
        self.tell();
    }

    fn do_duties(&mut self) {
        let now = self.look(Duration::ZERO);
        if let Some(jump) = self.clock.take_jump() {
            self.record_jump(jump, now);
        }
        self.excuse_slow_disk(now);
        if now.mono >= self.guard_due
            && let Some(mut guard) = self.guard.take()
        {
            self.guard_due = now.mono + GUARD_PERIOD;
            self.guard = guard().then_some(guard);
        }
        let (wall, mono) = self.desk.coordinator.next_due();
        let due = wall.is_some_and(|at| at <= now.wall) || mono.is_some_and(|at| at <= now.mono);
        if due && now.mono >= self.tick_after {
            if let Err(refusal) = self.desk.coordinator.tick(now) {
                tracing::error!(%refusal, "what was due could not be done");
                // It is still due: without a pause it would be tried in a loop.
                self.tick_after = now.mono + TICK_PAUSE;
            }
            self.tell();
        }
        if now.mono >= self.views_due {
            (self.views)(&mut self.desk.coordinator, now, false);
            self.views_due = now.mono + VIEW_PERIOD;
        }
    }

    /// Answers whoever waited for what has just happened.
    fn tell(&mut self) {
        for handed in self.desk.coordinator.take_handed() {
            if let Some((agent, reply)) = self.desk.polls.remove(&handed.poll) {
                let handle = self.handle.clone();
                self.release(hand_over(handle, agent, reply, handed.tasks));
            }
        }
        if self.desk.coordinator.has_files_wanted() {
            self.handle.files.notify_one();
        }
        for answer in line::answers::<LockGrant>(&mut self.desk, &self.handle) {
            self.release(answer);
        }
        for answer in line::answers::<DocumentTurn>(&mut self.desk, &self.handle) {
            self.release(answer);
        }
        for run in self.desk.coordinator.take_changed() {
            let Some(watches) = self.desk.watches.remove(&run) else {
                continue;
            };
            let Some(progress) = self.desk.coordinator.progress(&run) else {
                continue;
            };
            let (done, waiting): (Vec<_>, Vec<_>) = watches
                .into_iter()
                .partition(|watch| watch.is_served_by(progress));
            if !waiting.is_empty() {
                self.desk.watches.insert(run.clone(), waiting);
            }
            for watch in done {
                self.release(match watch {
                    Watch::Progress(_, reply) => answer_with(reply, Ok(())),
                    Watch::Outcome(reply) => {
                        answer_with(reply, self.desk.coordinator.outcome(&run))
                    }
                });
            }
        }
    }

    fn release(&mut self, answer: Answer) {
        let seen = self.desk.coordinator.last_seq();
        let now = self.clock.monotonic();
        self.patience.hold(&*self.store, seen, answer, now);
    }

    fn finish(&mut self, queue: &Receiver<Message>, done: oneshot::Sender<()>) {
        while let Ok(message) = queue.try_recv() {
            if let Message::Job(job) = message {
                self.execute(job);
            }
        }
        let now = self.now();
        (self.views)(&mut self.desk.coordinator, now, true);
        // Replies that still wait are dropped here; their callers see the server stopping.
        self.desk.polls.clear();
        self.desk.watches.clear();
        self.desk.lock_waiters.clear();
        self.desk.turn_waiters.clear();
        if done.send(()).is_err() {
            tracing::debug!("nobody waits for the coordinator's end");
        }
    }
}
