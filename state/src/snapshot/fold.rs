//! Takes a snapshot of a store that goes on working.
//!
//! The writer closes its segment and goes on in the next; everything before lies still. Streams
//! are read one after the other through the index, so memory holds one stream at a time, and
//! damage to a record that is copied shows. When archives and snapshot are durable and read back,
//! the store is told, stream by stream: closed ones leave memory, and the segments are let go.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::archives::{Archives, Table};
use super::layout::{Kind, fingerprint, fingerprints_text};
use super::prune::{Pruned, prune};
use super::reader::Span;
use super::relief::Relief;
use super::writer::{About, PackWriter};
use super::{
    ARCHIVE_DIRECTORY, ArchiveInfo, Keeping, Projection, Row, SNAPSHOT_DIRECTORY, SnapshotError,
    archive_name, base, snapshot_name, snapshot_shown,
};
use crate::backend::index::{Based, Source};
use crate::backend::order::StreamId;
use crate::backend::shared::Shared;
use crate::env::Disk;
use crate::lock::DirLock;
use crate::{ReadError, Record, Seq, StreamName, Timestamp, Version};

/// An archive takes no more streams than this: what opening one for a list decodes.
const ARCHIVE_STREAMS: usize = 16_384;
/// Closed streams are archived, however few, once the first has waited so long.
const ARCHIVE_AFTER: Duration = Duration::from_secs(86_400);
/// So many streams are told of at once, while readers and the writer wait.
const TOLD_AT_ONCE: usize = 1024;

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its file, relative to the data directory.
    pub file: String,
    /// The last record it reflects.
    pub seq: Seq,
    /// Its bytes.
    pub size: u64,
    /// The streams in it.
    pub streams: u64,
    /// And their records.
    pub records: u64,
    /// How many closed streams went into archives.
    pub archived: u64,
    /// What nothing needs any more and was taken away.
    pub pruned: Pruned,
    /// The damage for which it was taken anew, without the snapshot that shows it.
    pub instead_of: Option<ReadError>,
}

/// What a fold works on.
pub(crate) struct Fold<'s> {
    pub(crate) disk: &'s dyn Disk,
    /// The same.
    pub(crate) shared_disk: Arc<dyn Disk>,
    pub(crate) data: &'s Path,
    pub(crate) epoch: u64,
    pub(crate) shared: &'s Shared,
    pub(crate) archives: &'s Archives,
    /// Of the directory; what is not ours any more is not changed.
    pub(crate) lock: Option<&'s DirLock>,
}

/// Where a stream's records up to the snapshot are from now on.
struct Moved {
    id: StreamId,
    stream: StreamName,
    version: Version,
    /// `None`: in an archive, or nowhere.
    span: Option<Span>,
}

impl Fold<'_> {
    /// Takes a snapshot of everything that is durable; `None` if the newest one is of just that. `anew`: what the
    /// newest one holds is not read from it, which is damaged, but from the one before and the journal.
    pub(crate) fn take(
        &self,
        projection: &dyn Projection,
        keeping: &Keeping,
        now: Timestamp,
        anew: bool,
    ) -> Result<Option<Taken>, SnapshotError> {
        self.check_lock()?;
        let end = self.shared.rotate()?;
        let Some(segment) = self.index(|index| index.segment_ending_at(end.last)) else {
            return Ok(None);
        };
        make_dirs(self.disk, self.data)?;
        let relief = match anew {
            true => Relief::find(self, end.last, segment)?,
            false => None,
        };
        let from = (segment, relief.as_ref());
        let count = self.index(|index| index.stream_count());
        let (closing, at) = self.closing(count, from, projection, keeping, now)?;

        let mut archiving = Archiving::new(self, end.last);
        let directory = self.data.join(SNAPSHOT_DIRECTORY);
        let name = snapshot_name(end.last);
        let mut snapshot = PackWriter::create(self.disk, &directory, SNAPSHOT_DIRECTORY, &name)?;
        let (mut moved, mut forgotten) = (Vec::new(), Vec::new());
        let mut closing = closing.into_iter().peekable();
        for id in 0..count {
            let source = self.source(id, from);
            let may_go = closing.next_if_eq(&id).is_some();
            let Some((stream, records)) = self.records(&source)? else {
                continue;
            };
            let version = source.version();
            let row = may_go.then(|| projection.row(&records)).flatten();
            let needed = match &row {
                Some(row) => {
                    archiving.add(&stream, version, &records, row)?;
                    &[]
                }
                None => {
                    let outlived = projection.outlived(&records).min(records.len());
                    if outlived == records.len() {
                        forgotten.push(fingerprint(stream.as_str()));
                    }
                    &records[outlived..]
                }
            };
            let span = match needed {
                [] => None,
                needed => Some(snapshot.add(stream.as_str(), version, needed, None)?),
            };
            moved.push(Moved {
                id,
                stream,
                version,
                span,
            });
        }
        let archived = archiving.streams;
        let table = archiving
            .finish(self.archives.table())?
            .expire(keeping, now);
        let written = snapshot.finish(About {
            kind: Kind::Snapshot,
            epoch: self.epoch,
            seq: end.last,
            hash: end.chain.to_hex(),
            at,
            archives: table.files().to_vec(),
            gone: table.gone_text(),
            forgotten: fingerprints_text(forgotten),
        })?;
        self.tell(end.last, segment, &moved, table)?;
        // Taking the snapshot may have lasted; what follows takes away.
        self.check_lock()?;
        Ok(Some(Taken {
            file: snapshot_shown(end.last),
            seq: end.last,
            size: written.size,
            streams: written.streams,
            records: written.records,
            archived,
            pruned: prune(self.disk, self.data, keeping.snapshots)?,
            instead_of: None,
        }))
    }

    fn check_lock(&self) -> Result<(), SnapshotError> {
        let ours = self.lock.map_or(Ok(true), DirLock::still_ours);
        match ours.map_err(|error| SnapshotError::io("look at", "lock", error))? {
            true => Ok(()),
            false => Err(SnapshotError::LockLost),
        }
    }

    /// The streams that may go into an archive, none if it is too early; and when the last record
    /// was appended.
    fn closing(
        &self,
        count: StreamId,
        from: (u32, Option<&Relief>),
        projection: &dyn Projection,
        keeping: &Keeping,
        now: Timestamp,
    ) -> Result<(Vec<StreamId>, Timestamp), SnapshotError> {
        let mut closing = Vec::new();
        let (mut newest, mut longest) = (Timestamp::from_micros(i64::MIN), Duration::ZERO);
        for id in 0..count {
            let Some(last) = self.source(id, from).last()? else {
                continue;
            };
            newest = newest.max(last.at);
            if projection.may_be_closed(&last) {
                longest = longest.max(now.since(last.at));
                closing.push(id);
            }
        }
        if closing.len() < keeping.archive_from && longest < ARCHIVE_AFTER {
            closing.clear();
        }
        Ok((closing, newest))
    }

    fn index<T>(&self, look: impl FnOnce(&crate::backend::index::Index) -> T) -> T {
        let index = self.shared.index.read();
        look(&index.unwrap_or_else(PoisonError::into_inner))
    }

    fn source(&self, id: StreamId, (segment, relief): (u32, Option<&Relief>)) -> Source {
        match relief {
            Some(relief) => relief.source(id),
            None => self.index(|index| index.source_before(id, segment)),
        }
    }

    /// A stream's name and records; `None` if it has none before the snapshot.
    fn records(&self, source: &Source) -> Result<Option<(StreamName, Vec<Record>)>, SnapshotError> {
        let Some(last) = source.last()? else {
            return Ok(None);
        };
        let records = source.read(&last.stream, 1, self.archives)?;
        Ok(Some((last.stream, records)))
    }

    /// Tells the store that what lies before the snapshot is found there, or in archives.
    fn tell(
        &self,
        seq: Seq,
        segment: u32,
        moved: &[Moved],
        table: Table,
    ) -> Result<(), SnapshotError> {
        let shown = snapshot_shown(seq);
        let opened = base::open(self.disk, self.data, seq);
        let base = opened.map_err(|error| SnapshotError::unverified(&shown, &error.to_string()))?;
        // From here on names that leave the order are found in the archives.
        self.archives.replace(table);
        for moved in moved.chunks(TOLD_AT_ONCE) {
            let forgotten: Vec<_> = self.shared.with_order_mut(|order| {
                let archived = moved.iter().filter(|moved| moved.span.is_none());
                archived
                    .filter_map(|moved| order.forget(&moved.stream, moved.version))
                    .collect()
            });
            {
                let index = self.shared.index.write();
                let mut index = index.unwrap_or_else(PoisonError::into_inner);
                for moved in moved {
                    let based = moved.span.map(|span| Based {
                        pack: Arc::clone(&base.pack),
                        span,
                        version: moved.version,
                    });
                    index.rebase(moved.id, segment, based);
                }
            }
            self.shared
                .with_order_mut(|order| order.release(&forgotten));
        }
        let index = self.shared.index.write();
        let mut index = index.unwrap_or_else(PoisonError::into_inner);
        index.drop_segments(segment, base.pack);
        Ok(())
    }
}

/// The archives that are made together with one snapshot.
struct Archiving<'s> {
    fold: &'s Fold<'s>,
    seq: Seq,
    open: Option<(PackWriter<'s>, Part)>,
    done: Vec<(ArchiveInfo, Vec<(u64, Version)>)>,
    streams: u64,
}

/// What is known of an archive while it is written.
#[derive(Default)]
struct Part {
    names: Vec<(u64, Version)>,
    began: Vec<Timestamp>,
    closed: Vec<Timestamp>,
}

impl<'s> Archiving<'s> {
    fn new(fold: &'s Fold<'s>, seq: Seq) -> Self {
        Self {
            fold,
            seq,
            open: None,
            done: Vec::new(),
            streams: 0,
        }
    }

    fn add(
        &mut self,
        stream: &StreamName,
        version: Version,
        records: &[Record],
        row: &Row,
    ) -> Result<(), SnapshotError> {
        let (mut writer, mut part) = match self.open.take() {
            Some(open) => open,
            None => {
                let directory = self.fold.data.join(ARCHIVE_DIRECTORY);
                let name = archive_name(self.seq, self.done.len() + 1);
                let disk = self.fold.disk;
                let writer = PackWriter::create(disk, &directory, ARCHIVE_DIRECTORY, &name)?;
                (writer, Part::default())
            }
        };
        writer.add(stream.as_str(), version, records, Some(row))?;
        part.names.push((fingerprint(stream.as_str()), version));
        part.began.push(row.began);
        part.closed.push(row.closed);
        self.streams += 1;
        if writer.streams() < ARCHIVE_STREAMS {
            self.open = Some((writer, part));
            return Ok(());
        }
        self.end_part(writer, part)
    }

    fn end_part(&mut self, writer: PackWriter<'_>, part: Part) -> Result<(), SnapshotError> {
        let file = archive_name(self.seq, self.done.len() + 1);
        let range = |times: &[Timestamp]| {
            let ends = times.iter().min().zip(times.iter().max());
            ends.map_or_else(Default::default, |(first, last)| (*first, *last))
        };
        let closed = range(&part.closed);
        let written = writer.finish(About {
            kind: Kind::Archive,
            epoch: self.fold.epoch,
            seq: self.seq,
            hash: String::new(),
            at: closed.1,
            archives: Vec::new(),
            gone: String::new(),
            forgotten: String::new(),
        })?;
        let info = ArchiveInfo {
            file,
            sha256: written.sha256,
            size: written.size,
            streams: written.streams,
            records: written.records,
            began: range(&part.began),
            closed,
        };
        self.done.push((info, part.names));
        Ok(())
    }

    /// Ends the last one; all of them join `table`.
    fn finish(mut self, mut table: Table) -> Result<Table, SnapshotError> {
        if let Some((writer, part)) = self.open.take() {
            self.end_part(writer, part)?;
        }
        for (info, names) in self.done {
            table.add(info, &names);
        }
        table.settle();
        Ok(table)
    }
}

/// Makes the directories of snapshots and archives, durably, unless they are there.
pub(super) fn make_dirs(disk: &dyn Disk, data: &Path) -> Result<(), SnapshotError> {
    for shown in ["state", SNAPSHOT_DIRECTORY, ARCHIVE_DIRECTORY] {
        let path = data.join(shown);
        let failed = |error| SnapshotError::io("create", shown, error);
        match disk.make_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed)?,
        }
        // The process that made it may have died before it synced its name.
        let above = path.parent().unwrap_or(data);
        disk.sync_dir(above).map_err(failed)?;
    }
    Ok(())
}
