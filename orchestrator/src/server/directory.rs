//! Whether the data directory is the right one: that it was seen before, what opening it found, and
//! that it stays ours for as long as the server runs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use phisync_state::env::Disk;
use phisync_state::{FileStore, FsckError, Head, JournalEnd, Opened, Witness, fsck};
use tokio::sync::watch;

use super::StartError;
use crate::coordinator::{Alarm, AlarmKind, Coordinator, Now, Refusal};
use crate::runtime::ServerFailure;
use crate::runtime::driver::Guard;

/// Refuses a journal that does not go through a head that was seen before.
pub(super) fn check_head(disk: &dyn Disk, data: &Path, expected: &Head) -> Result<(), StartError> {
    let how = match fsck(disk, data, Some(expected)) {
        Ok(report) => match (report.end, report.witness) {
            // Opening says it better; and what was compacted away cannot be told from.
            (JournalEnd::Corrupt(_), _)
            | (_, None | Some(Witness::Matches | Witness::Compacted)) => return Ok(()),
            (_, Some(Witness::Behind)) => "it ends before",
            (_, Some(Witness::Differs)) => "it has other content there",
        },
        Err(FsckError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            "there is no journal"
        }
        Err(other) => return Err(other.into()),
    };
    let expected = expected.clone();
    Err(StartError::RolledBack { expected, how })
}

/// Puts on record what opening the store dealt with by itself. What does not fit on a full disk is found again
/// by the next start, or was logged.
pub(super) fn raise_what_was_found(
    coordinator: &mut Coordinator,
    opened: &Opened,
    now: Now,
) -> Result<(), Refusal> {
    let torn = opened.torn.iter().map(|torn| Alarm {
        kind: AlarmKind::TailCut,
        about: torn.file.clone(),
        says: format!(
            "{} bytes at {} were no whole batch ({}); they are kept in {}",
            torn.length, torn.offset, torn.reason, torn.kept
        ),
    });
    let damaged = opened.damaged_snapshots.iter().map(|damaged| Alarm {
        kind: AlarmKind::SnapshotDamaged,
        about: damaged.file.clone(),
        says: format!("{}; the start passed it over", damaged.reason),
    });
    for alarm in torn.chain(damaged) {
        match coordinator.raise(alarm, now) {
            Err(Refusal::Full(_)) => return Ok(()),
            raised => raised?,
        }
    }
    coordinator.wait_until_durable()
}

/// Stops all writing when the lock of the directory is not ours any more.
pub(super) fn guard(
    store: &Arc<FileStore>,
    failing: watch::Sender<Option<ServerFailure>>,
) -> Guard {
    let store = Arc::downgrade(store);
    Box::new(move || {
        let Some(store) = store.upgrade() else {
            return false;
        };
        match store.still_ours() {
            Ok(true) => true,
            Ok(false) => {
                let failure = ServerFailure::LockLost;
                let reason = failure.to_string();
                // First the cause, as the store's end is told too.
                failing.send_replace(Some(failure));
                store.abandon(&reason);
                false
            }
            // Only a clear answer stops a server that may well be alone.
            Err(error) => {
                tracing::warn!(%error, "the lock of the data directory could not be looked at");
                true
            }
        }
    })
}
