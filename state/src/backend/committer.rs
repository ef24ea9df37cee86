//! Group commit: the one thread that writes the journal.
//!
//! Whatever was appended during one sync goes out with the next. The order settles under one
//! mutex that is never held across a disk operation; the index has its own, so that taking a batch
//! into it does not keep appends waiting. An error ends the thread: nothing is tried twice, everybody
//! who waits or comes later learns that the outcome is unknown. Only a full disk is waited out: no
//! append is taken meanwhile, see [`super::reserve`].

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::index::Index;
use super::order::{Batch, Order};
use super::reserve::Reserve;
use super::waiters::Waiters;
use crate::env::{Clock as _, OsClock};
use crate::journal::reader::Mark;
use crate::journal::writer::{Begun, WriteError, Writer};
use crate::seeded::{self, Bug};
use crate::{AppendError, Appended, Durability, Durable, Entry, Head, Seq, Timestamp, Unknown};

/// Called once, with the place where the segments that are closed now end.
type Rotated = Box<dyn FnOnce(Result<Mark, Unknown>) + Send>;

/// Called once, when the store fails, from its thread; at once if it failed already.
pub type OnFailure = Box<dyn FnOnce(Unknown) + Send>;

/// What appenders, readers and the thread share.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Something for the thread to do.
    work: Condvar,
    /// The thread has ended.
    ended: Condvar,
    /// What was taken on a full disk is written, or cannot be.
    drained: Condvar,
    pub(crate) index: RwLock<Index>,
}

struct Queue {
    order: Order,
    waiters: Waiters,
    on_failure: Vec<OnFailure>,
    rotate: Vec<Rotated>,
    head: Head,
    phase: Phase,
    room: Room,
}

/// How the disk stands.
enum Room {
    Enough,
    /// What was taken is being written with the last room; nothing is taken or refused yet.
    Draining,
    /// Everything that was taken is written; nothing is taken now.
    Full(Arc<str>),
    /// Something that was taken cannot be written now.
    Stalled(Unknown),
}

impl Room {
    fn refusal(&self) -> Option<Arc<str>> {
        match self {
            Self::Enough | Self::Draining => None,
            Self::Full(reason) => Some(Arc::clone(reason)),
            Self::Stalled(unknown) => Some(Arc::clone(&unknown.reason)),
        }
    }
}

#[derive(Clone)]
enum Phase {
    Open,
    Closing,
    Closed,
    Failed(Unknown),
}

impl Shared {
    /// `full` says why no append can be taken from the start on, if none can.
    pub(crate) fn new(order: Order, index: Index, full: Option<Arc<str>>) -> Self {
        let head = index.head().clone();
        Self {
            queue: Mutex::new(Queue {
                order,
                waiters: Waiters::default(),
                on_failure: Vec::new(),
                rotate: Vec::new(),
                head,
                phase: Phase::Open,
                room: full.map_or(Room::Enough, Room::Full),
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
            drained: Condvar::new(),
            index: RwLock::new(index),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(UNPOISONED)
    }

    pub(crate) fn append(&self, at: Timestamp, batch: &[Entry]) -> Result<Appended, AppendError> {
        let mut queue = self.queue();
        // Whoever is refused may read what was taken before: it must be there.
        let draining = |queue: &mut Queue| matches!(queue.room, Room::Draining);
        queue = self.drained.wait_while(queue, draining).expect(UNPOISONED);
        if let Some(unknown) = queue.phase.stopped() {
            return Err(unknown.into());
        }
        if let Some(reason) = queue.room.refusal() {
            return Err(AppendError::Full { reason });
        }
        let idle = !queue.order.has_pending();
        let appended = queue.order.append(at, batch)?;
        drop(queue);
        if idle {
            self.work.notify_one();
        }
        Ok(appended)
    }

    pub(crate) fn when_durable(&self, seq: Seq, then: Durable) {
        let mut queue = self.queue();
        let outcome = if seq <= queue.head.seq {
            Ok(queue.head.clone())
        } else {
            match (&queue.phase, &queue.room) {
                (Phase::Open | Phase::Closing, Room::Stalled(unknown)) => Err(unknown.clone()),
                (Phase::Open, _) => return queue.waiters.add(seq, then),
                (Phase::Closing, _) if seq <= queue.order.last_seq() => {
                    return queue.waiters.add(seq, then);
                }
                (Phase::Closing | Phase::Closed, _) => Err(Unknown::closed()),
                (Phase::Failed(unknown), _) => Err(unknown.clone()),
            }
        };
        drop(queue);
        then(outcome);
    }

    pub(crate) fn when_failed(&self, then: OnFailure) {
        let mut queue = self.queue();
        if let Phase::Failed(unknown) = queue.phase.clone() {
            drop(queue);
            then(unknown);
        } else {
            queue.on_failure.push(then);
        }
    }

    pub(crate) fn failed(&self) -> Option<Unknown> {
        match &self.queue().phase {
            Phase::Failed(unknown) => Some(unknown.clone()),
            Phase::Open | Phase::Closing | Phase::Closed => None,
        }
    }

    /// Why no append is taken for the time being, if none is.
    pub(crate) fn refuses(&self) -> Option<Arc<str>> {
        self.queue().room.refusal()
    }

    /// Writes nothing from now on, whatever was appended.
    pub(crate) fn abandon(&self, reason: &str) {
        let reason = Arc::from(reason);
        finish(self, Phase::Failed(Unknown { reason }));
        self.work.notify_one();
    }

    pub(crate) fn head(&self) -> Head {
        self.queue().head.clone()
    }

    /// Looks something up in the order.
    pub(crate) fn with_order<T>(&self, look: impl FnOnce(&Order) -> T) -> T {
        look(&self.queue().order)
    }

    /// Begins a new segment, unless the open one holds nothing, and tells where it begins.
    pub(crate) fn rotate(&self) -> Result<Mark, Unknown> {
        let (sender, rotated) = std::sync::mpsc::sync_channel(1);
        let mut queue = self.queue();
        if let Some(unknown) = queue.phase.stopped() {
            return Err(unknown);
        }
        if let Some(reason) = queue.room.refusal() {
            return Err(Unknown { reason });
        }
        queue.rotate.push(Box::new(move |outcome| {
            if sender.send(outcome).is_err() {
                tracing::debug!("nobody waits for a new segment any more");
            }
        }));
        drop(queue);
        self.work.notify_one();
        rotated.recv().unwrap_or_else(|_| Err(Unknown::closed()))
    }

    /// Changes the order, which is only done for what is durable.
    pub(crate) fn with_order_mut<T>(&self, change: impl FnOnce(&mut Order) -> T) -> T {
        change(&mut self.queue().order)
    }

    /// Takes no appends from now on and waits for the thread to finish what is there.
    pub(crate) fn close(&self) -> Result<(), Unknown> {
        let mut queue = self.queue();
        if let Phase::Open = queue.phase {
            queue.phase = Phase::Closing;
            self.work.notify_one();
        }
        while let Phase::Closing = queue.phase {
            queue = self.ended.wait(queue).expect(UNPOISONED);
        }
        match &queue.phase {
            Phase::Failed(unknown) => Err(unknown.clone()),
            Phase::Open | Phase::Closing | Phase::Closed => Ok(()),
        }
    }
}

impl Phase {
    /// Why no append is taken, if none is.
    fn stopped(&self) -> Option<Unknown> {
        match self {
            Self::Open => None,
            Self::Closing | Self::Closed => Some(Unknown::closed()),
            Self::Failed(unknown) => Some(unknown.clone()),
        }
    }
}

/// What the thread does next.
enum Job {
    Write(Batch),
    Rotate(Vec<Rotated>),
    Sync,
    Seal,
    Refill,
    Close,
    /// Somebody else ended the store.
    Leave,
}

/// Ends the store if the thread is unwound by a callback, so that nobody waits for ever.
struct Unwound<'s>(&'s Shared);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = Arc::from("a callback panicked");
            finish(self.0, Phase::Failed(Unknown { reason }));
        }
    }
}

/// The owner of the journal's thread.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) reserve: Reserve,
    pub(crate) durability: Durability,
    /// After how long without an append the journal is sealed.
    pub(crate) seal_after: Duration,
    /// For the times between, not for dates.
    pub(crate) clock: OsClock,
    /// When what is not synced yet must be, where the mode says so.
    pub(crate) sync_due: Option<Duration>,
    /// How often a full disk is tried again.
    pub(crate) refill_after: Duration,
    /// When it is tried next.
    pub(crate) refill_due: Duration,
    /// What the disk said when it was full.
    pub(crate) full: Arc<str>,
}

impl Committer {
    /// The thread's body: returns when the store is closed or has failed.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _unwound = Unwound(&shared);
        loop {
            let outcome = match self.next_job() {
                Job::Write(batch) => self.write(batch),
                Job::Rotate(waiting) => self.rotate(waiting),
                Job::Sync => self.writer.sync().map(|()| self.sync_due = None),
                Job::Seal => self.seal(),
                Job::Refill => {
                    self.refill();
                    Ok(())
                }
                Job::Close => match self.writer.close() {
                    Ok(()) => return finish(&shared, Phase::Closed),
                    Err(error) if error.is_full() => {
                        // All that was taken is there; the next start recovers as after a kill.
                        tracing::warn!(%error, "no room for the seal of a stop in order");
                        return finish(&shared, Phase::Closed);
                    }
                    Err(error) => Err(error),
                },
                Job::Leave => return,
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "the journal failed; the store stops");
                let reason = Arc::from(error.to_string());
                return finish(&shared, Phase::Failed(Unknown { reason }));
            }
        }
    }

    fn next_job(&self) -> Job {
        let mut queue = self.shared.queue();
        let idle_since = self.clock.monotonic();
        loop {
            if let Phase::Failed(_) = queue.phase {
                return Job::Leave;
            }
            let now = self.clock.monotonic();
            if self.sync_due.is_some_and(|due| due <= now) {
                return Job::Sync;
            }
            if !queue.rotate.is_empty() {
                return Job::Rotate(std::mem::take(&mut queue.rotate));
            }
            if let Some(batch) = queue.order.take_pending() {
                return Job::Write(batch);
            }
            if let Phase::Closing = queue.phase {
                return Job::Close;
            }
            if self.reserve.is_spent() && !matches!(queue.room, Room::Full(_)) {
                queue.room = Room::Full(Arc::clone(&self.full));
                self.shared.drained.notify_all();
            }
            let well = matches!(queue.room, Room::Enough);
            let seals = well && !self.writer.is_sealed() && self.durability != Durability::None;
            let seal = seals.then(|| (idle_since + self.seal_after, Job::Seal));
            let refill = (!well).then_some((self.refill_due, Job::Refill));
            let sync = self.sync_due.map(|due| (due, Job::Sync));
            let next = [seal, refill, sync].into_iter().flatten();
            let Some((due, job)) = next.min_by_key(|(due, _)| *due) else {
                queue = self.shared.work.wait(queue).expect(UNPOISONED);
                continue;
            };
            if due <= now {
                return job;
            }
            let waited = self.shared.work.wait_timeout(queue, due - now);
            queue = waited.expect(UNPOISONED).0;
        }
    }

    fn rotate(&mut self, waiting: Vec<Rotated>) -> Result<(), WriteError> {
        let begun = match self.writer.rotate() {
            Ok(begun) => begun,
            Err(error) => {
                let reason: Arc<str> = Arc::from(error.to_string());
                for then in waiting {
                    then(Err(Unknown {
                        reason: Arc::clone(&reason),
                    }));
                }
                if !error.is_full() {
                    return Err(error);
                }
                self.find_room(&error);
                return Ok(());
            }
        };
        let start = self.writer.end();
        if let Some(begun) = begun {
            let index = self.shared.index.write();
            let mut index = index.unwrap_or_else(PoisonError::into_inner);
            index.begin_segment(begun.file, begun.header.first, begun.start);
        }
        for then in waiting {
            then(Ok(start));
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), WriteError> {
        match self.writer.seal() {
            // A seal is not worth an alarm: the next append finds out.
            Err(error) if error.is_full() => {
                self.find_room(&error);
                Ok(())
            }
            sealed => sealed.map(|()| {
                self.sync_due = None;
                self.shared.note_end(&self.writer);
            }),
        }
    }

    fn write(&mut self, mut batch: Batch) -> Result<(), WriteError> {
        let mut begun = None;
        let start = loop {
            match self.place(&mut batch, &mut begun) {
                Ok(start) => break start,
                Err(error) if error.is_full() => {
                    if !self.find_room(&error) && self.wait_for_room(&error) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        if seeded::has(self.writer.disk(), Bug::AnswerBeforeSync) {
            tell(&self.shared, &self.writer.end().chain.head(batch.last()));
        }
        let shown = seeded::has(self.writer.disk(), Bug::ReadBeforeSync);
        if !shown {
            self.settle()?;
        }
        let head = {
            let index = self.shared.index.write();
            let mut index = index.unwrap_or_else(PoisonError::into_inner);
            if let Some(begun) = begun {
                index.begin_segment(begun.file, begun.header.first, begun.start);
            }
            index.add_batch(&batch, start);
            index.advance(self.writer.end());
            index.head().clone()
        };
        if shown {
            self.settle()?;
        }
        self.shared.queue().order.recycle(batch);
        tell(&self.shared, &head);
        Ok(())
    }

    /// Writes the batch, in the next segment if need be; gives where it begins.
    fn place(&mut self, batch: &mut Batch, begun: &mut Option<Begun>) -> Result<Mark, WriteError> {
        // A segment that was begun before the disk was full is not begun again.
        if let Some(next) = self.writer.make_room(batch)? {
            *begun = Some(next);
        }
        let start = self.writer.end();
        self.writer.write(batch)?;
        Ok(start)
    }

    /// Does for what was written what the mode promises.
    fn settle(&mut self) -> Result<(), WriteError> {
        match self.durability {
            Durability::Sync => self.writer.sync(),
            Durability::Interval(every) => {
                let due = self.clock.monotonic() + every;
                self.sync_due.get_or_insert(due);
                Ok(())
            }
            Durability::None => Ok(()),
        }
    }

    /// Gives the reserve away, for what was taken already; false if nothing is left of it.
    fn find_room(&mut self, error: &WriteError) -> bool {
        self.writer.spare(true);
        self.refill_due = self.clock.monotonic() + self.refill_after;
        self.full = Arc::from(error.to_string());
        let given = self.reserve.give();
        if given {
            tracing::error!(%error, "the disk is full; only reads are answered until there is room");
            self.shared.queue().room = Room::Draining;
        }
        given
    }

    /// Waits a while for somebody to make room; true if the store is to be closed instead.
    fn wait_for_room(&mut self, error: &WriteError) -> bool {
        let reason = Arc::from(error.to_string());
        let unknown = Unknown { reason };
        let mut queue = self.shared.queue();
        if !matches!(queue.room, Room::Stalled(_)) {
            tracing::error!(%error, "the disk is full, with changes that nobody was told about");
        }
        queue.room = Room::Stalled(unknown.clone());
        self.shared.drained.notify_all();
        let waiting = queue.waiters.all();
        drop(queue);
        for then in waiting {
            then(Err(unknown.clone()));
        }
        let queue = self.shared.queue();
        let open = |queue: &mut Queue| matches!(queue.phase, Phase::Open);
        let work = &self.shared.work;
        let waited = work.wait_timeout_while(queue, self.refill_after, open);
        !matches!(waited.expect(UNPOISONED).0.phase, Phase::Open)
    }

    /// Tries to take the reserve again; with it everything is as before.
    fn refill(&mut self) {
        self.refill_due = self.clock.monotonic() + self.refill_after;
        if self.reserve.refill().is_ok() {
            self.writer.spare(false);
            self.shared.queue().room = Room::Enough;
            tracing::info!("there is room again");
        }
    }
}

const UNPOISONED: &str = "nothing panics while the order is locked";

/// Tells everybody who waits for `head` or an earlier one that it is durable.
fn tell(shared: &Shared, head: &Head) {
    let mut queue = shared.queue();
    queue.head = head.clone();
    let due = queue.waiters.due(head.seq);
    drop(queue);
    for then in due {
        then(Ok(head.clone()));
    }
}

impl Shared {
    /// Takes in that a seal was written.
    fn note_end(&self, writer: &Writer) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.advance(writer.end());
    }
}

/// Ends the store: tells everybody who waits, then those who wait for the end itself.
fn finish(shared: &Shared, phase: Phase) {
    let mut queue = shared.queue();
    let unknown = phase.stopped().unwrap_or_else(Unknown::closed);
    let failed = matches!(phase, Phase::Failed(_));
    let waiting = queue.waiters.all();
    let on_failure = std::mem::take(&mut queue.on_failure);
    let rotate = std::mem::take(&mut queue.rotate);
    queue.phase = phase;
    if let Room::Draining = queue.room {
        queue.room = Room::Enough;
    }
    drop(queue);
    shared.drained.notify_all();
    for then in rotate {
        then(Err(unknown.clone()));
    }
    for then in waiting {
        then(Err(unknown.clone()));
    }
    if failed {
        for then in on_failure {
            then(unknown.clone());
        }
    }
    shared.ended.notify_all();
}
