//! Closed streams that have left the journal: which there are, what lists show of them, their records.
//!
//! Memory holds 16 bytes for each of them; rows and records are read when somebody asks. A name
//! whose stream was dropped by retention stays known as gone, so that it is neither found nor
//! given to somebody else; of those the newest [`GONE_MAX`] are remembered.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::layout::{Header, fingerprint, fingerprints, fingerprints_text};
use super::reader::{Entries, Pack, PackError};
use super::{ARCHIVE_DIRECTORY, ArchiveInfo, Row};
use crate::env::Disk;
use crate::{ReadError, Record, StreamName, Timestamp, Version};

/// So many names of dropped streams are remembered.
pub const GONE_MAX: usize = 100_000;

/// What is known about a stream that the journal does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There never was one, as far as is remembered.
    Unknown,
    /// It is in an archive and has this version.
    Archived(Version),
    /// Retention dropped it.
    Gone,
}

/// A row of a list of closed streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedRow {
    /// The stream.
    pub stream: StreamName,
    /// The archive it is in.
    pub archive: String,
    /// As its projection made it.
    pub row: Row,
}

/// The archives that belong to the newest snapshot.
pub struct Archives {
    disk: Arc<dyn Disk>,
    data: PathBuf,
    table: RwLock<Table>,
}

#[derive(Clone, Copy)]
struct Mark {
    name: u64,
    version: u32,
    file: u32,
}

#[derive(Clone, Default)]
pub(crate) struct Table {
    /// Oldest first.
    files: Vec<ArchiveInfo>,
    /// Sorted by name; a later archive's entry replaces an earlier one's.
    marks: Vec<Mark>,
    /// Sorted.
    gone: Vec<u64>,
    /// In the order in which they went.
    gone_in_order: Vec<u64>,
}

impl Table {
    /// Takes in an archive and the names in it. [`Self::settle`] must follow.
    pub(crate) fn add(&mut self, info: ArchiveInfo, names: &[(u64, Version)]) {
        let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(info);
        let marks = names.iter().map(|&(name, version)| Mark {
            name,
            version: u32::try_from(version).unwrap_or(u32::MAX),
            file,
        });
        self.marks.extend(marks);
    }

    /// Makes what was added findable.
    pub(crate) fn settle(&mut self) {
        // Of several entries the newest archive's comes first, and the first is kept.
        self.marks
            .sort_unstable_by_key(|mark| (mark.name, std::cmp::Reverse(mark.file)));
        self.marks.dedup_by_key(|mark| mark.name);
    }

    /// The names that went, as a header keeps them.
    pub(crate) fn gone_text(&self) -> String {
        let skip = self.gone_in_order.len().saturating_sub(GONE_MAX);
        fingerprints_text(self.gone_in_order[skip..].iter().copied())
    }

    fn set_gone(&mut self, gone: Vec<u64>) {
        self.gone.clone_from(&gone);
        self.gone.sort_unstable();
        self.gone_in_order = gone;
    }

    pub(crate) fn files(&self) -> &[ArchiveInfo] {
        &self.files
    }

    /// The same without the oldest archives that `Keeping` drops; their names are gone.
    pub(crate) fn expire(&self, keeping: &super::Keeping, now: Timestamp) -> Self {
        let mut left: u64 = self.files.iter().map(|file| file.streams).sum();
        let mut dropped = 0;
        for file in &self.files {
            let old = now.since(file.closed.1) > keeping.closed_age;
            if !old && left <= keeping.closed_count {
                break;
            }
            left -= file.streams;
            dropped += 1;
        }
        let first_kept = u32::try_from(dropped).unwrap_or(u32::MAX);
        let (gone, kept): (Vec<&Mark>, Vec<&Mark>) =
            self.marks.iter().partition(|mark| mark.file < first_kept);
        let mut names = self.gone_in_order.clone();
        names.extend(gone.iter().map(|mark| mark.name));
        let names = names.split_off(names.len().saturating_sub(GONE_MAX));
        let marks = kept.into_iter().map(|mark| Mark {
            file: mark.file - first_kept,
            ..*mark
        });
        let mut table = Self {
            files: self.files[dropped..].to_vec(),
            marks: marks.collect(),
            ..Self::default()
        };
        table.set_gone(names);
        table
    }

    fn find(&self, stream: &str) -> Option<Mark> {
        let name = fingerprint(stream);
        let at = self.marks.binary_search_by_key(&name, |mark| mark.name);
        at.ok().map(|at| self.marks[at])
    }

    pub(crate) fn standing(&self, stream: &str) -> Standing {
        if self.marks.is_empty() && self.gone.is_empty() {
            return Standing::Unknown;
        }
        let name = fingerprint(stream);
        match self.marks.binary_search_by_key(&name, |mark| mark.name) {
            Ok(at) => Standing::Archived(self.marks[at].version.into()),
            Err(_) if self.gone.binary_search(&name).is_ok() => Standing::Gone,
            Err(_) => Standing::Unknown,
        }
    }
}

impl Archives {
    /// None yet.
    pub(crate) fn none(disk: Arc<dyn Disk>, data: &Path) -> Self {
        Self {
            disk,
            data: data.to_owned(),
            table: RwLock::new(Table::default()),
        }
    }

    /// Those that a snapshot tells of. One that cannot be read is reported and keeps nothing from
    /// starting: its streams are closed, and reading one of them says so again.
    pub(crate) fn load(disk: Arc<dyn Disk>, data: &Path, header: &Header) -> Self {
        let archives = Self::none(disk, data);
        let mut table = Table::default();
        table.set_gone(fingerprints(&header.gone));
        for info in &header.archives {
            let names = match archives.names_in(info) {
                Ok(names) => names,
                Err(error) => {
                    tracing::error!(archive = info.file, %error, "an archive cannot be read");
                    Vec::new()
                }
            };
            table.add(info.clone(), &names);
        }
        table.settle();
        archives.replace(table);
        archives
    }

    fn names_in(&self, info: &ArchiveInfo) -> Result<Vec<(u64, Version)>, PackError> {
        let (_, entries) = self.open(info)?;
        let names = entries.iter().map(|entry| {
            let entry = entry?;
            Ok((fingerprint(&entry.stream), entry.version))
        });
        names.collect()
    }

    fn open(&self, info: &ArchiveInfo) -> Result<(Pack, Entries), PackError> {
        let path = self.data.join(ARCHIVE_DIRECTORY).join(&info.file);
        let shown = format!("{ARCHIVE_DIRECTORY}/{}", info.file);
        let (pack, entries) = Pack::open(&*self.disk, &path, &shown)?;
        if pack.sha256() == info.sha256 {
            Ok((pack, entries))
        } else {
            Err(PackError::Damaged("it is not the archive that was made"))
        }
    }

    pub(crate) fn table(&self) -> Table {
        self.with(Table::clone)
    }

    pub(crate) fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    fn with<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The archives, oldest first.
    #[must_use]
    pub fn files(&self) -> Vec<ArchiveInfo> {
        self.with(|table| table.files.clone())
    }

    /// What is known about a stream that the journal does not hold. Reads nothing.
    #[must_use]
    pub fn standing(&self, stream: &StreamName) -> Standing {
        self.with(|table| table.standing(stream.as_str()))
    }

    /// The archive that a stream is in.
    fn holder(&self, stream: &StreamName) -> Option<ArchiveInfo> {
        self.with(|table| {
            let mark = table.find(stream.as_str())?;
            table.files.get(mark.file as usize).cloned()
        })
    }

    /// All records of an archived stream; none if it is not archived.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, stream: &StreamName) -> Result<Vec<Record>, ReadError> {
        let Some(info) = self.holder(stream) else {
            return Ok(Vec::new());
        };
        let (pack, entries) = self
            .open(&info)
            .map_err(|error| unreadable(&info, &error))?;
        for entry in entries.iter() {
            let entry = entry.map_err(|error| unreadable(&info, &error))?;
            if entry.stream == stream.as_str() {
                return pack.read(entry.span());
            }
        }
        Ok(Vec::new())
    }

    /// Visits the rows of archived streams, the one that began last first, until `visit` returns
    /// false. With `before`, only those behind that place. Archives are opened one by one, as far
    /// as the visit goes.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn rows(
        &self,
        before: Option<(Timestamp, &StreamName)>,
        visit: &mut dyn FnMut(ArchivedRow) -> bool,
    ) -> Result<(), ReadError> {
        let mut closed = self.files();
        closed.sort_by_key(|info| info.began.1);
        let mut open: Vec<std::iter::Peekable<std::vec::IntoIter<ArchivedRow>>> = Vec::new();
        let key = |row: &ArchivedRow| (row.row.began, row.stream.clone());
        loop {
            let newest = open
                .iter_mut()
                .enumerate()
                .filter_map(|(index, rows)| Some((key(rows.peek()?), index)))
                .max();
            // An archive that may hold something newer than what is at hand comes first.
            let reaches = |info: &ArchiveInfo| {
                newest
                    .as_ref()
                    .is_none_or(|((at, _), _)| info.began.1 >= *at)
            };
            if let Some(info) = closed.pop_if(|info| reaches(info)) {
                if before.is_none_or(|(at, _)| info.began.0 <= at) {
                    open.push(self.rows_of(&info, before)?.into_iter().peekable());
                }
                continue;
            }
            let Some((_, index)) = newest else {
                return Ok(());
            };
            if let Some(row) = open[index].next()
                && !visit(row)
            {
                return Ok(());
            }
        }
    }

    /// The rows of one archive, newest first, without streams that a later archive holds too.
    fn rows_of(
        &self,
        info: &ArchiveInfo,
        before: Option<(Timestamp, &StreamName)>,
    ) -> Result<Vec<ArchivedRow>, ReadError> {
        let (_, entries) = self.open(info).map_err(|error| unreadable(info, &error))?;
        let mut rows = Vec::new();
        for entry in entries.iter() {
            let entry = entry.map_err(|error| unreadable(info, &error))?;
            let Some(row) = &entry.row else { continue };
            let stream = StreamName::new(&entry.stream);
            let behind = before.is_none_or(|(at, name)| (row.began, &stream) < (at, name));
            let here = self.holder(&stream).is_some_and(|at| at.file == info.file);
            if behind && here {
                rows.push(ArchivedRow {
                    archive: info.file.clone(),
                    row: Row {
                        began: row.began,
                        closed: row.closed,
                        text: row.text.get().to_owned(),
                    },
                    stream,
                });
            }
        }
        rows.sort_by(|a, b| (b.row.began, &b.stream).cmp(&(a.row.began, &a.stream)));
        Ok(rows)
    }

    /// The archived streams whose names begin with `prefix`, at most `limit`.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn named(&self, prefix: &str, limit: usize) -> Result<Vec<StreamName>, ReadError> {
        let mut found = Vec::new();
        for info in self.files() {
            let (_, entries) = self
                .open(&info)
                .map_err(|error| unreadable(&info, &error))?;
            for entry in entries.iter() {
                let entry = entry.map_err(|error| unreadable(&info, &error))?;
                let stream = StreamName::new(&entry.stream);
                if stream.as_str().starts_with(prefix) && !found.contains(&stream) {
                    found.push(stream);
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

fn unreadable(info: &ArchiveInfo, error: &PackError) -> ReadError {
    let what = format!("`{ARCHIVE_DIRECTORY}/{}`", info.file);
    match error {
        PackError::Io(error) => ReadError::Io {
            what,
            reason: error.to_string(),
        },
        PackError::Damaged(_) | PackError::Newer(_) => ReadError::Corrupt {
            what,
            offset: 0,
            reason: error.to_string(),
        },
    }
}
