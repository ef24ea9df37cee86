//! Group commit: the one thread that writes the journal.
//!
//! Whatever was appended during one sync goes out with the next. An error ends the thread: nothing is
//! tried twice, everybody who waits or comes later learns that the outcome is unknown. Only a full disk
//! is waited out: no append is taken meanwhile, see [`super::reserve`].

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::linker::{Linker, WORTH};
use super::order::Batch;
use super::reserve::Reserve;
use super::shared::{Phase, Queue, Room, Rotated, Shared, UNPOISONED};
use crate::env::{Clock as _, OsClock};
use crate::journal::frame::Chain;
use crate::journal::reader::Mark;
use crate::journal::writer::{Begun, WriteError, Writer};
use crate::seeded::{self, Bug};
use crate::{Durability, Unknown};

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
            self.0.finish(Phase::Failed(Unknown { reason }));
        }
    }
}

/// The owner of the journal's thread.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) linker: Linker,
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
        self.work();
        self.linker.join();
    }

    fn work(&mut self) {
        let shared = Arc::clone(&self.shared);
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
                Job::Close => match self.close() {
                    Ok(()) => return shared.finish(Phase::Closed),
                    Err(error) if error.is_full() => {
                        // All that was taken is there; the next start recovers as after a kill.
                        tracing::warn!(%error, "no room for the seal of a stop in order");
                        return shared.finish(Phase::Closed);
                    }
                    Err(error) => Err(error),
                },
                Job::Leave => return,
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "the journal failed; the store stops");
                let reason = Arc::from(error.to_string());
                return shared.finish(Phase::Failed(Unknown { reason }));
            }
        }
    }

    fn close(&mut self) -> Result<(), WriteError> {
        self.writer.give_way();
        self.writer.close()
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
                if error.is_full() {
                    self.find_room(&error);
                    return Ok(());
                }
                // Whoever wanted it tries again; nothing stops for that.
                return match error.is_without_effect() {
                    true => Ok(()),
                    false => Err(error),
                };
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
        // Where segments end makes no difference to the chain.
        let chain = batch.chain_after(self.writer.end().chain);
        if batch.bytes.len() >= WORTH {
            self.linker.begin(&self.shared);
        }
        if self.linker.has_begun() {
            self.shared.follow_on(chain);
        }
        let mut begun = None;
        let start = loop {
            match self.place(&mut batch, chain, &mut begun) {
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
            self.shared
                .tell(&self.writer.end().chain.head(batch.last()));
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
        self.shared.tell(&head);
        Ok(())
    }

    /// Writes the batch, in the next segment if need be; gives where it begins.
    fn place(
        &mut self,
        batch: &mut Batch,
        chain: Chain,
        begun: &mut Option<Begun>,
    ) -> Result<Mark, WriteError> {
        // A segment that was begun before the disk was full is not begun again.
        if let Some(next) = self.writer.make_room(batch)? {
            *begun = Some(next);
        }
        let start = self.writer.end();
        self.writer.write(batch, chain)?;
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
        if self.writer.give_way() {
            tracing::warn!(%error, "the disk is nearly full; no room is taken for the next segment");
            return true;
        }
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
