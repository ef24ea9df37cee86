//! The hash of the batch that comes next, begun while the one before it is being synced.
//!
//! Hashing 64 KiB takes about half as long as syncing them, so the journal's thread would spend a third of
//! its time on it. Here another thread hashes what waits, piece by piece, and leaves how far it came with
//! the batch; whoever writes the batch hashes the rest. Nobody ever waits for this thread, nothing depends
//! on it, and it begins with the first batch that is worth it. It knows no disk.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::shared::{Shared, UNPOISONED};
use crate::Seq;
use crate::journal::frame::Linking;

/// What is hashed at once, in bytes: as much as may be hashed in vain when the batch is taken meanwhile.
/// Less is left to the journal's thread.
pub(super) const PIECE: usize = 16 << 10;

/// A batch of so many bytes is worth a thread.
pub(super) const WORTH: usize = 2 * PIECE;

/// A part of a batch to be hashed.
pub(crate) struct Piece {
    /// The batch's first sequence.
    pub(crate) batch: Seq,
    /// The hash of everything before it, and of it once that is done.
    pub(crate) link: Linking,
}

/// The thread, once there is one.
#[derive(Default)]
pub(crate) struct Linker {
    thread: Option<JoinHandle<()>>,
    /// None is to be had.
    failed: bool,
}

impl Linker {
    /// Begins unless it has begun. It ends when the store's phase does.
    pub(super) fn begin(&mut self, shared: &Arc<Shared>) {
        if self.thread.is_some() || self.failed {
            return;
        }
        let shared = Arc::clone(shared);
        let begun = std::thread::Builder::new()
            .name("journal hash".to_owned())
            .spawn(move || run(&shared));
        match begun {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                tracing::debug!(%error, "batches are hashed by the thread that writes them");
                self.failed = true;
            }
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.thread.is_some()
    }

    /// Waits for its end, which the end of the store is.
    pub(super) fn join(self) {
        if let Some(thread) = self.thread
            && thread.join().is_err()
        {
            tracing::error!("hashing ahead panicked");
        }
    }
}

fn run(shared: &Shared) {
    let mut bytes = Vec::with_capacity(PIECE);
    let mut queue = shared.queue();
    while !queue.phase.has_ended() {
        bytes.clear();
        let Some(mut piece) = queue.order.piece(PIECE, &mut bytes) else {
            queue.linker_waits = true;
            queue = shared.unlinked.wait(queue).expect(UNPOISONED);
            queue.linker_waits = false;
            continue;
        };
        drop(queue);
        piece.link.take(&bytes);
        queue = shared.queue();
        queue.order.linked(piece);
    }
}
