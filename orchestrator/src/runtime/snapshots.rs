//! Snapshots of a running server: taken when it is time, or when somebody asks.
//!
//! A thread of its own looks once a second whether enough has happened; neither the thread that
//! decides nor the one that writes waits for it. Afterwards the coordinator forgets the runs that
//! are in archives now, a few at a time. A snapshot that fails is reported and tried again when it
//! is due next: nothing rests on it. The newest one is looked at as often, and before another is taken: damage
//! is put on record, and another is taken in its place at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync_state::env::{Clock, Disk};
use phisync_state::snapshot::{self, Archives, Keeping, SnapshotError, SnapshotInfo, Taken};
use phisync_state::{FileStore, ReadError, Seq, Store as _};
use tokio::sync::oneshot;

use crate::coordinator::{Alarm, AlarmKind, Coordinator, Now, Refusal};

use super::driver::Handle;

/// How often the thread looks whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a server takes snapshots by itself, and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// So long after the last one, if anything was appended since.
    pub every: Duration,
    /// And at once when so many records were.
    pub records: u64,
    /// What is kept.
    pub keeping: Keeping,
    /// How long a closed transaction can be taken back: so long the contents from before it are kept, and
    /// the versions of documents.
    pub pre_images: Duration,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15 * 60),
            records: 100_000,
            keeping: Keeping::default(),
            pre_images: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Why no snapshot was taken on demand.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFailure {
    /// The store could not.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The coordinator does not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

type Reply = oneshot::Sender<Result<Option<Taken>, SnapshotFailure>>;

enum Ask {
    Take(Reply),
    Stop,
}

/// The way to snapshots and archives of a server. Cheap to clone.
#[derive(Clone)]
pub struct Snapshots {
    asks: SyncSender<Ask>,
    archives: Arc<Archives>,
    disk: Arc<dyn Disk>,
    data: PathBuf,
}

impl Snapshots {
    /// Takes a snapshot now; `None` if nothing was appended since the newest.
    ///
    /// # Errors
    /// See [`SnapshotFailure`]; the server goes on as before.
    pub async fn take(&self) -> Result<Option<Taken>, SnapshotFailure> {
        let (reply, taken) = oneshot::channel();
        let asked = self.asks.try_send(Ask::Take(reply));
        asked.map_err(|_| SnapshotFailure::Stopping)?;
        taken.await.unwrap_or(Err(SnapshotFailure::Stopping))
    }

    /// All snapshots, oldest first, every byte checked. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn list(&self) -> std::io::Result<Vec<SnapshotInfo>> {
        snapshot::list(&*self.disk, &self.data)
    }

    /// Closed runs that have left the journal.
    #[must_use]
    pub fn archives(&self) -> &Arc<Archives> {
        &self.archives
    }

    pub(crate) fn stop(&self) {
        // A thread that is gone has stopped.
        if self.asks.send(Ask::Stop).is_err() {
            tracing::debug!("the thread of the snapshots was gone already");
        }
    }
}

/// What the thread works with.
struct Taker {
    store: Arc<FileStore>,
    handle: Handle,
    clock: Arc<dyn Clock>,
    policy: SnapshotPolicy,
    /// The last record of the newest snapshot.
    covered: Seq,
    /// When the last one was taken or tried, on the monotonic clock.
    last: Duration,
    /// When the newest one was last looked at.
    checked: Duration,
    calls: tokio::runtime::Runtime,
}

/// Starts the thread. `covered` is the last record of the newest snapshot.
pub(crate) fn start(
    store: Arc<FileStore>,
    disk: Arc<dyn Disk>,
    data: &Path,
    handle: Handle,
    clock: Arc<dyn Clock>,
    policy: SnapshotPolicy,
    covered: Seq,
) -> std::io::Result<(Snapshots, JoinHandle<()>)> {
    let (asks, asked) = sync_channel(16);
    let snapshots = Snapshots {
        asks,
        archives: Arc::clone(store.archives()),
        disk,
        data: data.to_owned(),
    };
    let calls = tokio::runtime::Builder::new_current_thread().build()?;
    let mut taker = Taker {
        last: clock.monotonic(),
        checked: clock.monotonic(),
        store,
        handle,
        clock,
        policy,
        covered,
        calls,
    };
    let thread = std::thread::Builder::new()
        .name("snapshots".to_owned())
        .spawn(move || taker.run(&asked))?;
    Ok((snapshots, thread))
}

impl Taker {
    fn run(&mut self, asked: &Receiver<Ask>) {
        loop {
            match asked.recv_timeout(LOOK_EVERY) {
                Ok(Ask::Take(reply)) => {
                    let taken = self.take();
                    // Whoever asked may be gone; what was taken stays.
                    drop(reply.send(taken));
                }
                Err(RecvTimeoutError::Timeout) if self.is_due() || self.is_spoilt() => {
                    match self.take() {
                        Ok(Some(taken)) => tracing::info!(
                            file = taken.file,
                            streams = taken.streams,
                            archived = taken.archived,
                            bytes = taken.size,
                            "took a snapshot"
                        ),
                        Ok(None) => {}
                        Err(error) => self.report(&error),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_due(&self) -> bool {
        let new = self.store.head().seq.0.saturating_sub(self.covered.0);
        let waited = self.clock.monotonic().saturating_sub(self.last);
        // After a failure the next try waits as well: a full disk is not asked once a second.
        let soonest = self.policy.every.min(Duration::from_secs(60));
        new > 0 && waited >= self.policy.every || new >= self.policy.records && waited >= soonest
    }

    /// Whether the newest snapshot is found damaged; it is looked at as often as one is taken.
    fn is_spoilt(&mut self) -> bool {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.checked.max(self.last)) < self.policy.every {
            return false;
        }
        self.checked = now;
        matches!(self.store.check_snapshot(), Err(ReadError::Corrupt { .. }))
    }

    fn take(&mut self) -> Result<Option<Taken>, SnapshotFailure> {
        self.last = self.clock.monotonic();
        if let Err(damage) = self.store.check_snapshot() {
            // The alarm is a record, so there is something to take a snapshot of.
            self.alarm(&damage, "another is taken in its place");
        }
        let pre_images = self.policy.pre_images;
        let projection = self.call(move |c, now| Ok(c.projection(pre_images, now)))?;
        let keeping = &self.policy.keeping;
        let taken = self
            .store
            .snapshot(&projection, keeping, self.clock.now())?;
        if let Some(taken) = &taken {
            self.covered = taken.seq;
            if let Some(damage) = &taken.instead_of {
                self.alarm(damage, "another is taken in its place");
            }
            self.call(move |c, now| {
                c.forget_outlived(now.wall.saturating_sub(pre_images));
                Ok(())
            })?;
        }
        // A few at a time, so that nobody waits long for the thread that decides.
        let mut from = None;
        loop {
            from = self.call(move |c, _| Ok(c.forget_archived(from.as_ref())))?;
            if from.is_none() {
                return Ok(taken);
            }
        }
    }

    /// Says that no snapshot was taken; damage to what the store stands on is put on record.
    fn report(&self, error: &SnapshotFailure) {
        tracing::warn!(%error, "no snapshot was taken");
        if let SnapshotFailure::Snapshot(SnapshotError::Read(damage)) = error {
            self.alarm(damage, "and no other way to what it held is found");
        }
    }

    /// Puts damage on record, with what is done about it.
    fn alarm(&self, damage: &ReadError, then: &str) {
        let ReadError::Corrupt { what, .. } = damage else {
            return;
        };
        let alarm = Alarm {
            kind: AlarmKind::SnapshotDamaged,
            about: what.clone(),
            says: format!("{damage}; {then}"),
        };
        if let Err(refusal) = self.call(move |c, now| c.raise(alarm, now)) {
            tracing::warn!(%refusal, "an alarm is not on record");
        }
    }

    fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let called = self.handle.call(operation);
        self.calls.block_on(called).map(|(value, _)| value)
    }
}
