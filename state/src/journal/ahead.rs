//! The next segment, filled with zeros before it is needed.
//!
//! Room that is taken while somebody waits for a batch costs more than the batch: new blocks, their
//! zeros, and a sync of both. So a thread of its own makes a file of a whole segment's length while
//! the one before it fills up, and rotation only writes a header into it and gives it its name. Until
//! then the file means nothing: a start removes it, and whatever goes wrong with it is nobody's
//! failure.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::env::{Disk, DiskFile};

/// The file's name in the journal's directory.
pub(crate) const PREPARED: &str = "prepared.tmp";

/// Zeros are written in pieces of this length.
const PIECE: usize = 256 << 10;

/// They are synced as often, so that no sync of the journal waits for many of them.
const SYNC_EVERY: u64 = 4 << 20;

/// A file on its way. Dropping it ends the thread and leaves the file to the next start.
pub(crate) struct Ahead {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    enough: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Box<dyn DiskFile>>>>,
}

impl Ahead {
    /// Begins to fill a file of `length` bytes; `None` if no thread is to be had. `ready` is true from
    /// its end until the file is taken.
    pub(crate) fn start(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        length: u64,
        ready: &Arc<AtomicBool>,
    ) -> Option<Self> {
        let enough = Arc::new(AtomicBool::new(false));
        let (filling, stop, place) = (Arc::clone(disk), Arc::clone(&enough), path.clone());
        let done = Done(Arc::clone(ready));
        let thread = std::thread::Builder::new()
            .name("journal room".to_owned())
            .spawn(move || {
                let _done = done;
                let file = match filling.create_new(&place) {
                    // What failed before.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        filling.remove(&place)?;
                        filling.create_new(&place)?
                    }
                    created => created?,
                };
                let filled = fill(&*file, length, &stop);
                if filled.is_err() && !stop.load(Ordering::Relaxed) {
                    // The room that it found is somebody else's.
                    filling.remove(&place)?;
                }
                filled.map(|()| file)
            });
        if thread.is_err() {
            ready.store(false, Ordering::Release);
        }
        Some(Self {
            disk: Arc::clone(disk),
            path,
            enough,
            ready: Arc::clone(ready),
            thread: Some(thread.ok()?),
        })
    }

    /// Whether [`Self::take`] need not wait for the disk.
    pub(crate) fn is_finished(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The file: it has its full length and every zero is durable. `None` if that failed.
    pub(crate) fn take(mut self) -> Option<Box<dyn DiskFile>> {
        match self.thread.take()?.join() {
            Ok(Ok(file)) => Some(file),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no segment was prepared");
                None
            }
            Err(_) => {
                tracing::error!("preparing a segment panicked");
                None
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn discard(mut self) {
        self.end();
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "a prepared segment is left to the next start");
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("preparing a segment panicked");
        }
        self.ready.store(false, Ordering::Release);
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.end();
    }
}

/// Says that the thread is at its end, however it got there.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn fill(file: &dyn DiskFile, length: u64, stop: &AtomicBool) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    let (mut filled, mut synced) = (0, 0);
    while filled < length {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let count = (length - filled).min(PIECE as u64);
        let piece = &zeros[..usize::try_from(count).expect("a piece fits into memory")];
        file.write_at(filled, piece)?;
        filled += count;
        if filled - synced >= SYNC_EVERY {
            file.sync_data()?;
            synced = filled;
        }
    }
    file.sync_all()
}
