//! What appenders, readers and the journal's thread share: the order, who waits, how the disk stands.
//!
//! One mutex that is never held across a disk operation; the index has its own, so that taking a batch
//! into it does not keep appends waiting. Every waiter is told in the end, whatever becomes of the store.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use super::index::Index;
use super::linker::PIECE;
use super::order::Order;
use super::waiters::Waiters;
use crate::journal::frame::Chain;
use crate::journal::reader::Mark;
use crate::journal::writer::Writer;
use crate::{AppendError, Appended, Durable, Entry, Head, Seq, Timestamp, Unknown};

/// Why the queue's mutex is never poisoned.
pub(super) const UNPOISONED: &str = "nothing panics while the order is locked";

/// Called once, with the place where the segments that are closed now end.
pub(super) type Rotated = Box<dyn FnOnce(Result<Mark, Unknown>) + Send>;

/// Called once, when the store fails, from its thread; at once if it failed already.
pub type OnFailure = Box<dyn FnOnce(Unknown) + Send>;

/// What appenders, readers and the thread share.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Something for the thread to do.
    pub(super) work: Condvar,
    /// Something to hash for the thread that does.
    pub(super) unlinked: Condvar,
    /// The thread has ended.
    ended: Condvar,
    /// What was taken on a full disk is written, or cannot be.
    pub(super) drained: Condvar,
    pub(crate) index: RwLock<Index>,
}

pub(super) struct Queue {
    pub(super) order: Order,
    pub(super) waiters: Waiters,
    on_failure: Vec<OnFailure>,
    pub(super) rotate: Vec<Rotated>,
    head: Head,
    pub(super) phase: Phase,
    pub(super) room: Room,
    /// Whether a thread waits for something to hash.
    pub(super) linker_waits: bool,
}

impl Queue {
    fn wakes_linker(&self) -> bool {
        self.linker_waits && self.order.unlinked() >= PIECE
    }
}

/// How the disk stands.
pub(super) enum Room {
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
pub(super) enum Phase {
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
                linker_waits: false,
            }),
            work: Condvar::new(),
            unlinked: Condvar::new(),
            ended: Condvar::new(),
            drained: Condvar::new(),
            index: RwLock::new(index),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
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
        let wakes_linker = queue.wakes_linker();
        drop(queue);
        if idle {
            self.work.notify_one();
        }
        if wakes_linker {
            self.unlinked.notify_one();
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
        self.finish(Phase::Failed(Unknown { reason }));
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
    /// Whether nothing is written any more.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Closed | Self::Failed(_))
    }

    /// Why no append is taken, if none is.
    fn stopped(&self) -> Option<Unknown> {
        match self {
            Self::Open => None,
            Self::Closing | Self::Closed => Some(Unknown::closed()),
            Self::Failed(unknown) => Some(unknown.clone()),
        }
    }
}

impl Shared {
    /// What waits follows on this chain.
    pub(super) fn follow_on(&self, chain: Chain) {
        let mut queue = self.queue();
        queue.order.follow_on(chain);
        let wakes_linker = queue.wakes_linker();
        drop(queue);
        if wakes_linker {
            self.unlinked.notify_one();
        }
    }

    /// Tells everybody who waits for `head` or an earlier one that it is durable.
    pub(super) fn tell(&self, head: &Head) {
        let mut queue = self.queue();
        queue.head = head.clone();
        let due = queue.waiters.due(head.seq);
        drop(queue);
        for then in due {
            then(Ok(head.clone()));
        }
    }

    /// Takes in that a seal was written.
    pub(super) fn note_end(&self, writer: &Writer) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.advance(writer.end());
    }

    /// Ends the store: tells everybody who waits, then those who wait for the end itself.
    pub(super) fn finish(&self, phase: Phase) {
        let mut queue = self.queue();
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
        self.drained.notify_all();
        self.unlinked.notify_all();
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
        self.ended.notify_all();
    }
}
