//! The thread that owns the coordinator.
//!
//! Jobs come in through a bounded queue and run one after the other. A job's answer, and every
//! task handed to a waiting poll, is told only when everything that the job saw is durable: reads
//! and refusals too, or somebody could act on what a crash then takes back.

mod locks;
mod patience;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync_agents::protocol::Task;
use phisync_state::env::Clock;
use phisync_state::{Head, Store, Unknown, ViewName};
use tokio::sync::{Notify, oneshot, watch};

use crate::coordinator::{Alarm, Coordinator, Now, PollId, Polled, Refusal};
use crate::engine::RunId;
use crate::protocol::Started;

use super::server::ServerFailure;
use patience::Patience;

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
pub(super) type ViewSink = Box<dyn FnMut(&mut Coordinator, Now, bool) + Send>;

/// Looks after the data directory; false once nothing may be written any more, which it has seen to.
pub(super) type Guard = Box<dyn FnMut() -> bool + Send>;

enum Message {
    Job(Job),
    Stop(oneshot::Sender<()>),
}

/// What a watcher waits for.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// The run has more events than this, or is closed.
    After(u64),
    /// The run is closed.
    Closed,
}

/// One who waits for a run to get further.
enum Watch {
    /// Wants to know that it has.
    Progress(Until, Reply<()>),
    /// Wants its outcome.
    Outcome(Reply<Started>),
}

impl Watch {
    fn is_served_by(&self, progress: (u64, bool)) -> bool {
        match self {
            Self::Progress(until, _) => reached(*until, progress),
            Self::Outcome(_) => reached(Until::Closed, progress),
        }
    }

    /// Whether whoever waited is gone.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Progress(_, reply) => reply.is_closed(),
            Self::Outcome(reply) => reply.is_closed(),
        }
    }
}

struct Desk {
    coordinator: Coordinator,
    polls: BTreeMap<PollId, (String, Reply<Vec<Task>>)>,
    watches: BTreeMap<RunId, Vec<Watch>>,
    lock_waiters: BTreeMap<u64, locks::LockWaiter>,
}

impl Desk {
    fn watch(&mut self, run: RunId, watch: Watch) {
        let watches = self.watches.entry(run).or_default();
        watches.retain(|other| !other.is_abandoned());
        watches.push(watch);
    }
}

/// Sends jobs to the coordinator's thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Message>,
    store: Arc<dyn Store>,
    files: Arc<Notify>,
}

/// See [`Handle::view_renewer`].
pub(super) struct ViewRenewer(SyncSender<Message>);

impl ViewRenewer {
    /// Has a view written anew, for the reason that `alarm` tells; `unknown` is told if there is nothing that it
    /// could show.
    pub(super) fn renew(
        &self,
        name: ViewName,
        alarm: Alarm,
        unknown: impl FnOnce(ViewName) + Send + 'static,
    ) {
        let renew: Job = Box::new(move |desk, now| {
            if let Err(refusal) = desk.coordinator.raise(alarm, now) {
                tracing::warn!(%refusal, "an alarm is not on record");
            }
            if !desk.coordinator.renew_view(&name) {
                unknown(name);
            }
            None
        });
        if self.0.try_send(Message::Job(renew)).is_err() {
            tracing::debug!("a view is made again with its next change");
        }
    }
}

/// Takes a poll back when its caller goes away while it waits.
struct PollGuard {
    handle: Handle,
    poll: Arc<OnceLock<PollId>>,
    answered: bool,
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        let Some(poll) = self.poll.get().copied().filter(|_| !self.answered) else {
            return;
        };
        let forget: Job = Box::new(move |desk, _| {
            desk.coordinator.forget_poll(poll);
            desk.polls.remove(&poll);
            None
        });
        if self.handle.send(forget).is_err() {
            tracing::debug!("a poll could not be taken back: the server is busy or stopping");
        }
    }
}

impl Handle {
    fn send(&self, job: Job) -> Result<(), Refusal> {
        self.jobs
            .try_send(Message::Job(job))
            .map_err(|error| match error {
                TrySendError::Full(_) => Refusal::Busy,
                TrySendError::Disconnected(_) => stopping(),
            })
    }

    /// The store, for reading durable records.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Runs `operation` on the coordinator's thread and answers when what it saw is durable.
    ///
    /// Dropping the future does not take the operation back.
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(T, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |desk, now| {
            let result = operation(&mut desk.coordinator, now);
            Some(answer_with(reply, result))
        }))?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Waits up to `wait` for tasks; none if there were none.
    ///
    /// Dropping the future takes the poll back; tasks that were handed out already are released.
    ///
    /// # Errors
    /// As [`Coordinator::poll`].
    pub async fn poll(
        &self,
        agent: String,
        capabilities: Option<Vec<String>>,
        max: u32,
        wait: Duration,
    ) -> Result<(Vec<Task>, Head), Refusal> {
        let asking = agent.clone();
        self.claim(agent, move |c, now| {
            c.poll(&asking, capabilities.as_deref(), max, wait, now)
        })
        .await
    }

    /// Runs `operation`, which ends with a poll of `agent`, and answers as [`Self::poll`].
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn claim(
        &self,
        agent: String,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<Polled, Refusal> + Send + 'static,
    ) -> Result<(Vec<Task>, Head), Refusal> {
        let (reply, answer) = oneshot::channel();
        let poll = Arc::new(OnceLock::new());
        let mut guard = PollGuard {
            handle: self.clone(),
            poll: Arc::clone(&poll),
            answered: false,
        };
        let handle = self.clone();
        self.send(Box::new(move |desk, now| {
            match operation(&mut desk.coordinator, now) {
                Ok(Polled::Waiting(id)) => {
                    // Set once: this job runs once.
                    let _first = poll.set(id);
                    desk.polls.insert(id, (agent, reply));
                    None
                }
                Ok(Polled::Tasks(tasks)) => Some(hand_over(handle, agent, reply, tasks)),
                Err(refusal) => Some(answer_with(reply, Err(refusal))),
            }
        }))?;
        let answer = answer.await;
        guard.answered = true;
        answer.unwrap_or_else(|_| Err(stopping()))
    }

    /// Waits until a run has got further. Dropping the future is harmless.
    ///
    /// # Errors
    /// No such run.
    pub async fn watch(&self, run: RunId, until: Until) -> Result<Head, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |desk, _| {
            match desk.coordinator.progress(&run) {
                None => {
                    let id = run.to_string();
                    let what = "run";
                    Some(answer_with(reply, Err(Refusal::NotFound { what, id })))
                }
                Some(progress) if reached(until, progress) => Some(answer_with(reply, Ok(()))),
                Some(_) => {
                    desk.watch(run, Watch::Progress(until, reply));
                    None
                }
            }
        }))?;
        let ((), head) = answer.await.unwrap_or_else(|_| Err(stopping()))?;
        Ok(head)
    }

    /// Runs `operation`, which says where some run stands, and answers with where it stands once it
    /// is closed, or after `wait`. One job for what would be three: a start that waits is the call
    /// that clients make most.
    ///
    /// Dropping the future does not take the operation back.
    ///
    /// # Errors
    /// The operation's own, or the store's.
    pub async fn outcome(
        &self,
        wait: Duration,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<Started, Refusal> + Send + 'static,
    ) -> Result<(Started, Head), Refusal> {
        if wait.is_zero() {
            return self.call(operation).await;
        }
        let (reply, mut answer) = oneshot::channel();
        let awaited = Arc::new(OnceLock::new());
        let named = Arc::clone(&awaited);
        self.send(Box::new(move |desk, now| {
            let result = operation(&mut desk.coordinator, now);
            let open = result
                .as_ref()
                .ok()
                .and_then(|stands| RunId::parse(&stands.id));
            let open = open.filter(|run| {
                let progress = desk.coordinator.progress(run);
                progress.is_some_and(|(_, closed)| !closed)
            });
            let Some(run) = open else {
                return Some(answer_with(reply, result));
            };
            // Set once: this job runs once.
            let _first = named.set(run.clone());
            desk.watch(run, Watch::Outcome(reply));
            None
        }))?;
        loop {
            match tokio::time::timeout(wait, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(stopping())),
                // Before the job has run there is nothing to tell.
                Err(_) => {
                    if let Some(run) = awaited.get().cloned() {
                        return self.call(move |c, _| c.outcome(&run)).await;
                    }
                }
            }
        }
    }

    /// Waits until steps want files to be changed, or have since the last time.
    pub(super) async fn files_are_wanted(&self) {
        self.files.notified().await;
    }

    /// The way for whoever finds views that are not as written. It keeps nothing alive.
    pub(super) fn view_renewer(&self) -> ViewRenewer {
        ViewRenewer(self.jobs.clone())
    }

    /// Ends the thread: what is queued is done first, waiting polls end empty.
    pub(super) fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        // A full queue empties by itself; a thread that is gone has stopped.
        if self.jobs.send(Message::Stop(done)).is_ok() && stopped.blocking_recv().is_err() {
            tracing::debug!("the coordinator's thread was gone already");
        }
    }
}

fn stopping() -> Refusal {
    Refusal::Unknown(Unknown {
        reason: Arc::from("the server is stopping"),
    })
}

fn reached(until: Until, (version, closed): (u64, bool)) -> bool {
    closed
        || match until {
            Until::After(seen) => version > seen,
            Until::Closed => false,
        }
}

fn answer_with<T: Send + 'static>(reply: Reply<T>, result: Result<T, Refusal>) -> Answer {
    Box::new(move |durable| {
        let answer = match durable {
            Ok(head) => result.map(|value| (value, head)),
            Err(unknown) => Err(Refusal::Unknown(unknown)),
        };
        // Whoever asked may be gone; what was done stays done.
        drop(reply.send(answer));
    })
}

/// Tells tasks to a poll; if nobody is there any more, they go back into the queue at once instead
/// of waiting for their leases to end.
fn hand_over(handle: Handle, agent: String, reply: Reply<Vec<Task>>, tasks: Vec<Task>) -> Answer {
    Box::new(move |durable| {
        let orphans = match durable {
            Ok(head) => match reply.send(Ok((tasks, head))) {
                Err(Ok((orphans, _))) => orphans,
                Ok(()) | Err(Err(_)) => return,
            },
            // Whoever asked hears of no task; the disk may only be slow.
            Err(unknown) => {
                drop(reply.send(Err(Refusal::Unknown(unknown))));
                tasks
            }
        };
        for task in orphans {
            let agent = agent.clone();
            let release: Job = Box::new(move |desk, now| {
                let coordinator = &mut desk.coordinator;
                let released = coordinator.release(&agent, &task.id, task.token, false, now);
                if let Err(refusal) = released {
                    tracing::debug!(task = task.id, %refusal, "not released");
                }
                None
            });
            if handle.send(release).is_err() {
                tracing::debug!("a task of a caller that left waits for its lease to end");
            }
        }
    })
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
pub(super) fn start(
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
    };
    let mut driver = Driver {
        desk,
        store,
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
            let before = self.now();
            let wait = self.time_to_next_duty(before);
            let first = queue.recv_timeout(wait);
            let after = self.now();
            self.excuse_standstill(before, wait, after);
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

    fn excuse_standstill(&mut self, before: Now, wait: Duration, after: Now) {
        let elapsed = after.mono.saturating_sub(before.mono);
        let late = elapsed.saturating_sub(wait);
        if late >= PAUSE_MIN {
            tracing::warn!(
                ?late,
                "this process stood still; leases are extended by that"
            );
            self.desk.coordinator.excuse_pause(late);
            self.patience.count_from(after.mono);
        }
    }

    /// Who waits for the disk cannot speak to us: what expires does so later by that.
    fn excuse_slow_disk(&mut self, now: Now) {
        if let Some(standstill) = self.patience.standstill(now.mono) {
            tracing::warn!(?standstill, "the disk is slow; leases are extended by that");
            self.desk.coordinator.excuse_pause(standstill);
        }
        self.patience.give_up(now.mono);
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
        let now = self.now();
        if let Some(answer) = job(&mut self.desk, now) {
            self.release(answer);
        }
        self.tell();
    }

    fn do_duties(&mut self) {
        let now = self.now();
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
        for answer in locks::answers(&mut self.desk, &self.handle) {
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
        if done.send(()).is_err() {
            tracing::debug!("nobody waits for the coordinator's end");
        }
    }
}
