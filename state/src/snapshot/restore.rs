//! Restore: a new life of a store whose journal is damaged, or that is to go back.
//!
//! Without a choice it starts from the newest good snapshot and every whole batch behind it, up to
//! the damage; otherwise from exactly the snapshot that was chosen. The result is one new snapshot
//! and an empty segment behind it, in a new epoch, and with sequences and versions above every one
//! that can have been told: what was lost may have reached somebody. The old segments are kept
//! aside, the old snapshots where they are. Until the new segment has its name the store cannot be
//! opened, so an interrupted restore is just done again.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::base::{self, Anchor, Base};
use super::layout::Kind;
use super::list::Start;
use super::writer::{About, PackWriter};
use super::{ArchiveInfo, SNAPSHOT_DIRECTORY, SnapshotError, fold, snapshot_name, snapshot_shown};
use crate::env::{Disk, read_all};
use crate::journal::frame::Header;
use crate::journal::record;
use crate::journal::recovery::sweep;
use crate::journal::walk::{Found, WalkError, segments, walk};
use crate::journal::writer::{WriteError, begin};
use crate::journal::{DIRECTORY, display_name, segment_name, segment_path};
use crate::lock::{DirLock, LockError};
use crate::seeded::{self, Bug};
use crate::{Corruption, Head, Record, Seq, StreamName, Timestamp, Version};

/// Where segments go that are not read any more, below the data directory.
const ASIDE: &str = "aside";
/// So many sequences are left out: those that were told may be lost without a trace.
pub const SEQ_GAP: u64 = 1_000_000;
/// No segment is longer.
const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;

/// A store that has begun a new life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The snapshot it was made from; none if the journal alone was enough.
    pub from: Option<Seq>,
    /// How many records of the journal behind that are in it too.
    pub replayed: u64,
    /// The last record that is in it.
    pub kept: Seq,
    /// The last record that is known to have been there.
    pub known: Seq,
    /// The head from now on.
    pub head: Head,
    /// Which life of the store this is.
    pub epoch: u64,
    /// Where the old segments are, relative to the data directory.
    pub aside: String,
}

/// Why a store was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A server runs on it.
    #[error("the data directory is in use by {}", crate::lock::holder(*.0))]
    Held(Option<u32>),
    /// There is no such snapshot, or it is damaged.
    #[error("snapshot {} cannot be used: {reason}", seq.0)]
    NoSnapshot {
        /// Which.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// Nothing is wrong with it.
    #[error("the store is sound: there is nothing to restore")]
    Sound,
    /// No snapshot is good, and the journal does not reach back to its beginning.
    #[error("there is no good snapshot, and the journal does not begin with its first record")]
    Nothing,
    /// A newer program wrote it.
    #[error("`{file}` has format {format}, which needs a newer program")]
    Newer {
        /// The file, relative to the data directory.
        file: String,
        /// Its format.
        format: u64,
    },
    /// The disk refuses.
    #[error("cannot {verb} `{file}`: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file, relative to the data directory.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// Somebody put another file in the place of the directory's lock, and may be writing too.
    #[error("the lock file of the data directory is not the one that was locked")]
    LockLost,
    /// The new snapshot was not written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl RestoreError {
    fn io(verb: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { verb, file, source }
    }
}

impl From<WalkError> for RestoreError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Io(file, source) => Self::Io {
                verb: "read",
                file,
                source,
            },
            WalkError::Newer(file, format) => Self::Newer { file, format },
            WalkError::Corrupt(Corruption { .. }) => Self::Nothing,
        }
    }
}

impl From<WriteError> for RestoreError {
    fn from(WriteError { verb, file, source }: WriteError) -> Self {
        Self::Io { verb, file, source }
    }
}

/// What the new life begins with.
struct Content {
    anchor: Anchor,
    from: Option<Seq>,
    streams: BTreeMap<StreamName, (Version, Vec<Record>)>,
    archives: Vec<ArchiveInfo>,
    gone: String,
    at: Timestamp,
    replayed: u64,
}

/// The largest numbers that the old journal shows, however damaged it is.
struct Seen {
    epoch: u64,
    seq: Seq,
    versions: BTreeMap<StreamName, Version>,
}

/// Begins a new life of the store in `data`, which nobody may have open: from the snapshot of
/// `chosen` and nothing else, or from as much as is good.
///
/// # Errors
/// See [`RestoreError`]. Nothing is ever deleted; until it returns the store may be refused, and is
/// then restored again.
pub fn restore(
    disk: &Arc<dyn Disk>,
    data: &Path,
    chosen: Option<Seq>,
) -> Result<Restored, RestoreError> {
    let disk = &**disk;
    let lock = DirLock::acquire(disk, data).map_err(|error| match error {
        LockError::Held { pid } => RestoreError::Held(pid),
        LockError::Io(source) => RestoreError::io("lock", "lock")(source),
    })?;
    let mut content = match chosen {
        Some(seq) => exactly(disk, data, seq)?,
        None => as_much_as_is_good(disk, data)?,
    };
    let seen = look_at_everything(disk, data, &content)?;
    for (stream, (version, _)) in &mut content.streams {
        let known = seen.versions.get(stream).copied();
        *version = known.unwrap_or(0).max(*version);
    }
    let kept = content.anchor.seq;
    let (seq, epoch) = if seeded::has(disk, Bug::RestoreLowers) {
        (Seq(kept.0 + 1), seen.epoch)
    } else {
        (Seq(seen.seq.0 + SEQ_GAP), seen.epoch + 1)
    };
    let deed = format!("restore {epoch} {} {}\n", kept.0, seq.0);
    let chain = content.anchor.chain.after(deed.as_bytes());

    fold::make_dirs(disk, data)?;
    let directory = data.join(SNAPSHOT_DIRECTORY);
    let name = snapshot_name(seq);
    let mut snapshot = PackWriter::create(disk, &directory, SNAPSHOT_DIRECTORY, &name)?;
    for (stream, (version, records)) in &content.streams {
        snapshot.add(stream.as_str(), *version, records, None)?;
    }
    snapshot.finish(About {
        kind: Kind::Snapshot,
        epoch,
        seq,
        hash: chain.to_hex(),
        at: content.at,
        archives: content.archives,
        gone: content.gone,
        forgotten: String::new(),
    })?;
    // Reading everything may have lasted; what follows takes the store apart.
    if !lock
        .still_ours()
        .map_err(RestoreError::io("look at", "lock"))?
    {
        return Err(RestoreError::LockLost);
    }
    let aside = set_aside(disk, data, epoch)?;
    sweep(disk, data)?;
    begin(
        disk,
        data,
        Header {
            epoch,
            first: Seq(seq.0 + 1),
            previous: chain,
        },
        None,
    )?;
    Ok(Restored {
        from: content.from,
        replayed: content.replayed,
        kept,
        known: seen.seq,
        head: chain.head(seq),
        epoch,
        aside,
    })
}

fn exactly(disk: &dyn Disk, data: &Path, seq: Seq) -> Result<Content, RestoreError> {
    let unusable = |reason: String| RestoreError::NoSnapshot { seq, reason };
    let base = base::open(disk, data, seq).map_err(|error| unusable(error.to_string()))?;
    Content::of(&base).map_err(unusable)
}

fn as_much_as_is_good(disk: &dyn Disk, data: &Path) -> Result<Content, RestoreError> {
    let start = Start::of_dump(disk, data)?;
    let mut content = match &start.base {
        Some(base) => Content::of(base).map_err(|reason| RestoreError::NoSnapshot {
            seq: base.anchor.seq,
            reason,
        })?,
        None => Content::nothing(),
    };
    let mut batch = Vec::new();
    let walked = walk(disk, data, content.anchor, &mut |found| {
        match found {
            Found::Record(record) => batch.push(record.line.to_record()),
            Found::Batch { end, .. } => {
                content.anchor.seq = end.last;
                content.anchor.chain = end.chain;
                batch.drain(..).for_each(|record| content.add(record));
            }
            Found::Segment(..) | Found::End(_) => {}
        }
        Ok(())
    });
    match walked {
        Ok(walked) if walked.last.is_some() && walked.goes_past(start.reached) => {
            Err(RestoreError::Sound)
        }
        Ok(_) | Err(WalkError::Corrupt(_)) if content.streams.is_empty() => {
            Err(RestoreError::Nothing)
        }
        Ok(_) | Err(WalkError::Corrupt(_)) => Ok(content),
        Err(other) => Err(other.into()),
    }
}

impl Content {
    fn nothing() -> Self {
        Self {
            anchor: Anchor::START,
            from: None,
            streams: BTreeMap::new(),
            archives: Vec::new(),
            gone: String::new(),
            at: Timestamp::from_micros(i64::MIN),
            replayed: 0,
        }
    }

    fn of(base: &Base) -> Result<Self, String> {
        let header = base.pack.header();
        let mut streams = BTreeMap::new();
        for entry in base.entries.iter() {
            let entry = entry.map_err(|error| error.to_string())?;
            let records = base.pack.read(entry.span());
            let records = records.map_err(|error| error.to_string())?;
            let stream = StreamName::new(&entry.stream);
            streams.insert(stream, (entry.version, records));
        }
        Ok(Self {
            anchor: base.anchor,
            from: Some(base.anchor.seq),
            streams,
            archives: header.archives.clone(),
            gone: header.gone.clone(),
            at: header.at,
            replayed: 0,
        })
    }

    fn add(&mut self, record: Record) {
        self.at = self.at.max(record.at);
        self.replayed += 1;
        let (version, records) = self.streams.entry(record.stream.clone()).or_default();
        *version = record.version;
        records.push(record);
    }
}

/// Reads every line of every segment that still looks like a record, whatever is around it.
fn look_at_everything(
    disk: &dyn Disk,
    data: &Path,
    content: &Content,
) -> Result<Seen, RestoreError> {
    let mut seen = Seen {
        epoch: content.anchor.epoch,
        seq: content.anchor.seq,
        versions: BTreeMap::new(),
    };
    let snapshots = base::snapshots(disk, data);
    for seq in snapshots.map_err(RestoreError::io("list", SNAPSHOT_DIRECTORY))? {
        seen.seq = seen.seq.max(seq);
        // What a damaged one says is not known; the segments are looked through below all the same.
        if let Ok(base) = base::open(disk, data, seq) {
            seen.epoch = seen.epoch.max(base.anchor.epoch);
            // One of an interrupted restore knows of segments that are aside already.
            for entry in base.entries.iter().flatten() {
                let stream = StreamName::new(&entry.stream);
                let version = seen.versions.entry(stream).or_default();
                *version = entry.version.max(*version);
            }
        } else {
            tracing::warn!(snapshot = snapshot_shown(seq), "a snapshot is damaged");
        }
    }
    for first in segments(disk, data)? {
        let shown = display_name(first);
        let bytes = read_all(disk, &segment_path(data, first), SEGMENT_BYTES_MAX);
        let bytes = bytes.map_err(RestoreError::io("read", &shown))?;
        seen.seq = seen.seq.max(Seq(first.0 - 1));
        // A damaged number must not carry the new life to the end of all numbers.
        for (most, line) in (first.0..).zip(bytes.split(|byte| *byte == b'\n')) {
            if let Ok(header) = Header::decode(line) {
                seen.epoch = seen.epoch.max(header.epoch);
            }
            if let Ok(line) = record::decode(line)
                && line.seq.0 <= most
                && line.version <= line.seq.0
            {
                seen.seq = seen.seq.max(line.seq);
                let stream = StreamName::new(line.stream);
                let version = seen.versions.entry(stream).or_default();
                *version = line.version.max(*version);
            }
        }
    }
    Ok(seen)
}

/// Moves all segments aside, durably.
fn set_aside(disk: &dyn Disk, data: &Path, epoch: u64) -> Result<String, RestoreError> {
    let shown = format!("{ASIDE}/before-epoch-{epoch}");
    for directory in [ASIDE, &shown] {
        match disk.make_dir(&data.join(directory)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(RestoreError::io("create", directory)(error));
            }
            _ => {}
        }
    }
    let (aside, journal) = (data.join(&shown), data.join(DIRECTORY));
    for directory in [data, &data.join(ASIDE)] {
        disk.sync_dir(directory)
            .map_err(RestoreError::io("sync", ASIDE))?;
    }
    for first in segments(disk, data)? {
        let name = segment_name(first);
        disk.rename(&journal.join(&name), &aside.join(&name))
            .map_err(RestoreError::io("move aside", &display_name(first)))?;
    }
    for (directory, shown) in [(&aside, shown.as_str()), (&journal, DIRECTORY)] {
        disk.sync_dir(directory)
            .map_err(RestoreError::io("sync", shown))?;
    }
    Ok(shown)
}
