//! What a damaged snapshot held, read once more from the snapshot before it and the journal behind that.
//!
//! Pruning keeps the segments that the second newest sound snapshot needs, so all of it is there. It is
//! only used when each stream has just the version there that the running store knows it by; the store's
//! own place and its numbers of streams stay as they are. Nothing here changes a file.

use std::sync::{Arc, PoisonError};

use super::archives::Archives;
use super::base;
use super::fold::Fold;
use super::{SNAPSHOT_DIRECTORY, SnapshotError};
use crate::backend::index::{Index, Source};
use crate::backend::opening::Loading;
use crate::backend::order::StreamId;
use crate::journal::walk::{WalkError, walk};
use crate::{ReadError, Seq};

/// Another way to the records of a store.
pub(super) struct Relief {
    index: Index,
    /// The last segment that counts, by this index.
    segment: u32,
    /// For each number of a stream in the running store its number here.
    ids: Vec<Option<StreamId>>,
}

impl Relief {
    /// Everything up to `end`, where `segment` of the running store ends. `None` if the newest snapshot is as
    /// it was written: then it is nobody's relief.
    pub(super) fn find(
        fold: &Fold<'_>,
        end: Seq,
        segment: u32,
    ) -> Result<Option<Self>, SnapshotError> {
        let found = base::find(fold.disk, fold.data);
        let found = found.map_err(|error| match error {
            base::BaseError::Io(file, error) => SnapshotError::io("read", &file, error),
            base::BaseError::Newer(file, _) => unreadable(&file, "a newer program wrote it"),
        })?;
        if found.damaged.is_empty() {
            return Ok(None);
        }
        let disk = &fold.shared_disk;
        let archives = match &found.base {
            Some(base) => Archives::load(Arc::clone(disk), fold.data, base.pack.header()),
            None => Archives::none(Arc::clone(disk), fold.data),
        };
        let corrupt = |corruption: crate::Corruption| ReadError::Corrupt {
            what: format!("`{}`", corruption.file),
            offset: corruption.offset,
            reason: corruption.reason,
        };
        let mut loading = Loading::begin(&found, &Arc::new(archives)).map_err(corrupt)?;
        let anchor = loading.anchor;
        let walked = walk(fold.disk, fold.data, anchor, &mut |found| {
            loading.take(found)
        });
        walked.map_err(|error| match error {
            WalkError::Corrupt(corruption) => corrupt(corruption).into(),
            WalkError::Newer(file, _) => unreadable(&file, "a newer program wrote it"),
            WalkError::Io(file, error) => SnapshotError::io("read", &file, error),
        })?;
        let Loading { order, index, .. } = loading;
        let Some(last) = index.segment_ending_at(end) else {
            return Err(unreadable(
                SNAPSHOT_DIRECTORY,
                "the journal goes on elsewhere",
            ));
        };
        let mut relief = Self {
            index,
            segment: last,
            ids: Vec::new(),
        };
        for (id, stream) in fold.shared.with_order(|order| order.streams()) {
            let known = {
                let index = fold.shared.index.read();
                let index = index.unwrap_or_else(PoisonError::into_inner);
                index.source_before(id, segment).version()
            };
            let here = order.stream(&stream);
            let place = id as usize;
            if relief.ids.len() <= place {
                relief.ids.resize(place + 1, None);
            }
            relief.ids[place] = here;
            let found = relief.source(id).version();
            if known != found {
                let reason = format!("stream `{stream}` has version {found} there, not {known}");
                return Err(unreadable(SNAPSHOT_DIRECTORY, &reason));
            }
        }
        Ok(Some(relief))
    }

    /// Where a stream's records lie, by its number in the running store.
    pub(super) fn source(&self, id: StreamId) -> Source {
        let here = self.ids.get(id as usize).copied().flatten();
        self.index
            .source_before(here.unwrap_or(StreamId::MAX), self.segment)
    }
}

fn unreadable(file: &str, reason: &str) -> SnapshotError {
    SnapshotError::Read(ReadError::Io {
        what: format!("`{file}`"),
        reason: reason.to_owned(),
    })
}
