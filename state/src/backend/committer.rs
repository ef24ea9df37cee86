//! Group commit: the one thread that writes the journal.
//!
//! Whatever was appended during one sync goes out with the next. The order settles under one
//! mutex that is never held across a disk operation; the index has its own, so that taking a batch
//! into it does not keep appends waiting. An error ends the thread: nothing is tried twice, everybody
//! who waits or comes later learns that the outcome is unknown.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::index::Index;
use super::order::{Batch, Order};
use super::waiters::Waiters;
use crate::journal::reader::Mark;
use crate::journal::writer::{WriteError, Writer};
use crate::seeded::{self, Bug};
use crate::{AppendError, Appended, Durable, Entry, Head, Seq, Timestamp, Unknown};

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
    pub(crate) index: RwLock<Index>,
}

struct Queue {
    order: Order,
    waiters: Waiters,
    on_failure: Vec<OnFailure>,
    rotate: Vec<Rotated>,
    head: Head,
    phase: Phase,
}

#[derive(Clone)]
enum Phase {
    Open,
    Closing,
    Closed,
    Failed(Unknown),
}

impl Shared {
    pub(crate) fn new(order: Order, index: Index) -> Self {
        let head = index.head().clone();
        Self {
            queue: Mutex::new(Queue {
                order,
                waiters: Waiters::default(),
                on_failure: Vec::new(),
                rotate: Vec::new(),
                head,
                phase: Phase::Open,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
            index: RwLock::new(index),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("nothing panics while the order is locked")
    }

    pub(crate) fn append(&self, at: Timestamp, batch: &[Entry]) -> Result<Appended, AppendError> {
        let mut queue = self.queue();
        if let Some(unknown) = queue.phase.stopped() {
            return Err(unknown.into());
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
            match &queue.phase {
                Phase::Open => return queue.waiters.add(seq, then),
                Phase::Closing if seq <= queue.order.last_seq() => {
                    return queue.waiters.add(seq, then);
                }
                Phase::Closing | Phase::Closed => Err(Unknown::closed()),
                Phase::Failed(unknown) => Err(unknown.clone()),
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
            queue = self
                .ended
                .wait(queue)
                .expect("nothing panics while the order is locked");
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
    Seal,
    Close,
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

/// The thread's body: returns when the store is closed or has failed.
pub(crate) fn run(shared: &Shared, mut writer: Writer, seal_after: Duration) {
    let _unwound = Unwound(shared);
    loop {
        let outcome = match next_job(shared, &writer, seal_after) {
            Job::Write(batch) => write(shared, &mut writer, batch),
            Job::Rotate(waiting) => rotate(shared, &mut writer, waiting),
            Job::Seal => writer.seal().map(|()| shared.note_end(&writer)),
            Job::Close => match writer.close() {
                Ok(()) => return finish(shared, Phase::Closed),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "the journal failed; the store stops");
            let reason = Arc::from(error.to_string());
            return finish(shared, Phase::Failed(Unknown { reason }));
        }
    }
}

fn next_job(shared: &Shared, writer: &Writer, seal_after: Duration) -> Job {
    let mut queue = shared.queue();
    let mut idle = false;
    loop {
        if !queue.rotate.is_empty() {
            return Job::Rotate(std::mem::take(&mut queue.rotate));
        }
        if let Some(batch) = queue.order.take_pending() {
            return Job::Write(batch);
        }
        if let Phase::Closing = queue.phase {
            return Job::Close;
        }
        let invariant = "nothing panics while the order is locked";
        queue = if writer.is_sealed() {
            shared.work.wait(queue).expect(invariant)
        } else if idle {
            return Job::Seal;
        } else {
            let (queue, waited) = shared
                .work
                .wait_timeout(queue, seal_after)
                .expect(invariant);
            idle = waited.timed_out();
            queue
        };
    }
}

fn rotate(shared: &Shared, writer: &mut Writer, waiting: Vec<Rotated>) -> Result<(), WriteError> {
    let begun = match writer.rotate() {
        Ok(begun) => begun,
        Err(error) => {
            let reason: Arc<str> = Arc::from(error.to_string());
            for then in waiting {
                then(Err(Unknown {
                    reason: Arc::clone(&reason),
                }));
            }
            return Err(error);
        }
    };
    let start = writer.end();
    if let Some(begun) = begun {
        let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
        index.begin_segment(begun.file, begun.header.first, begun.start);
    }
    for then in waiting {
        then(Ok(start));
    }
    Ok(())
}

fn write(shared: &Shared, writer: &mut Writer, mut batch: Batch) -> Result<(), WriteError> {
    let begun = writer.make_room(&batch)?;
    let start = writer.end();
    writer.write(&mut batch)?;
    if seeded::has(writer.disk(), Bug::AnswerBeforeSync) {
        tell(shared, &writer.end().chain.head(batch.last()));
    }
    let shown = seeded::has(writer.disk(), Bug::ReadBeforeSync);
    if !shown {
        writer.sync()?;
    }
    let head = {
        let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = begun {
            index.begin_segment(begun.file, begun.header.first, begun.start);
        }
        index.add_batch(&batch, start);
        index.advance(writer.end());
        index.head().clone()
    };
    if shown {
        writer.sync()?;
    }
    shared.queue().order.recycle(batch);
    tell(shared, &head);
    Ok(())
}

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
    drop(queue);
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
