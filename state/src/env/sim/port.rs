//! The simulated disk behind the same port as the real one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use super::super::{Access, Disk, DiskFile, DiskLock};
use super::survive::{Change, Name, NameChange, index};
use super::{Kind, SimDisk, State};

/// What is reported after an operation was done.
fn report(then: Option<io::Error>) -> io::Result<()> {
    then.map_or(Ok(()), Err)
}

impl SimDisk {
    /// The disk, as soon as operations of this kind on this file are let through.
    pub(super) fn enter(&self, kind: Kind, path: &Path) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if state.holds(kind, path) {
            state.waiting += 1;
            self.shared.changed.notify_all();
            state = self.wait_while(state, |state| state.holds(kind, path) && !state.off);
            state.waiting -= 1;
        }
        state
    }

    fn handle(&self, id: u64, path: &Path) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            id,
            path: path.to_owned(),
        })
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.enter(Kind::Create, path);
        let then = state.begin_whole(Kind::Create, path)?;
        let id = state.new_file(path)?;
        report(then)?;
        Ok(self.handle(id, path))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.enter(Kind::Open, path);
        report(state.begin_whole(Kind::Open, path)?)?;
        let id = state.file(path)?;
        Ok(self.handle(id, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.enter(Kind::Rename, from);
        let then = state.begin_whole(Kind::Rename, from)?;
        let id = state.file(from)?;
        if let Some(parent) = to.parent() {
            state.directory(parent)?;
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        state.rename_entry(NameChange::Moved(from, to, Name::File(id)));
        report(then)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(Kind::Remove, path);
        let then = state.begin_whole(Kind::Remove, path)?;
        state.file(path)?;
        state.rename_entry(NameChange::Gone(path.to_owned()));
        report(then)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.enter(Kind::ReadDir, path);
        report(state.begin_whole(Kind::ReadDir, path)?)?;
        state.directory(path)?;
        let children = state
            .names
            .keys()
            .filter(|child| child.parent() == Some(path));
        let names = children.filter_map(|child| child.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(Kind::MakeDir, path);
        let then = state.begin_whole(Kind::MakeDir, path)?;
        state.put_new(path, Name::Directory)?;
        report(then)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(Kind::SyncDir, path);
        let then = state.begin_whole(Kind::SyncDir, path)?;
        state.directory(path)?;
        state.sync_names(Some(path));
        report(then)
    }

    fn check_private(&self, path: &Path) -> io::Result<()> {
        let state = self.state();
        state.alive()?;
        state.directory(path)
    }

    #[cfg(feature = "seeded-bugs")]
    fn bug(&self) -> Option<crate::seeded::Bug> {
        self.state().bug
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.enter(Kind::Lock, path);
        let then = state.begin_whole(Kind::Lock, path)?;
        let id = match state.file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.new_file(path)?,
            found => found?,
        };
        report(then)?;
        if !state.locks.insert(id) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
            id,
        })))
    }
}

struct SimFile {
    disk: SimDisk,
    id: u64,
    path: PathBuf,
}

impl SimFile {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.enter(Kind::Sync, &self.path);
        let begun = state.begin_whole(Kind::Sync, &self.path);
        if !state.off {
            let changes = std::mem::take(&mut state.inode(self.id).unsynced);
            if begun.is_ok() {
                let durable = &mut state.inode(self.id).durable;
                changes.iter().for_each(|(_, change)| change.apply(durable));
            }
        }
        let then = begun?;
        // A sync of a file commits the one log of names too, where there is one.
        state.sync_names(None);
        report(then)
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.inode(self.id).live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.enter(Kind::Read, &self.path);
        report(state.begin_whole(Kind::Read, &self.path)?)?;
        let content = &state.inode(self.id).live;
        let rest = content.get(index(offset)..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.enter(Kind::Write, &self.path);
        let mut course = state.begin(Kind::Write, &self.path)?;
        let length = state.inode(self.id).live.len() as u64;
        let reach = index(
            length
                .saturating_add(state.room())
                .saturating_sub(offset)
                .min(1 << 40),
        );
        if reach < bytes.len() && reach < course.upto {
            course.upto = reach;
            course.then = Some(io::ErrorKind::StorageFull.into());
        }
        let written = bytes[..course.upto.min(bytes.len())].to_vec();
        if !written.is_empty() {
            state.change(self.id, Change::Write(offset, written));
        }
        report(course.then)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.enter(Kind::Resize, &self.path);
        let then = state.begin_whole(Kind::Resize, &self.path)?;
        let before = state.inode(self.id).live.len() as u64;
        if length.saturating_sub(before) > state.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change(self.id, Change::SetLen(length));
        report(then)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    id: u64,
}

impl DiskLock for SimLock {
    fn still_ours(&self) -> io::Result<bool> {
        let state = self.disk.state();
        Ok(state.names.get(&self.path) == Some(&Name::File(self.id)))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.shared.state.lock() {
            state.locks.remove(&self.id);
        }
    }
}
