//! The real clock, disk and randomness: the only file that touches them, and the only one that
//! knows which system it runs on.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the port that everybody else is sent to"
)]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Access, Clock, Disk, DiskFile, DiskLock, Entropy};
use crate::Timestamp;

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    start: Instant,
}

impl OsClock {
    /// The monotonic clock starts at zero here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for OsClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for OsClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp::from_micros(micros)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The system's generator; fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn next_u64(&mut self) -> u64 {
        getrandom::u64().expect("every supported system has a source of randomness once it is up")
    }
}

/// The system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

struct OsFile(File);

struct OsLock {
    path: PathBuf,
    /// Held for its lock; compared by identity where there is one.
    #[cfg_attr(not(unix), expect(dead_code, reason = "dropping it releases the lock"))]
    file: File,
}

/// Repeats a call that a signal interrupted, or that the system could not do just now.
pub(super) fn uninterrupted<T>(call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    super::passing::uninterrupted(call, |milliseconds| {
        std::thread::sleep(Duration::from_millis(milliseconds));
    })
}

impl Disk for OsDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create_new(true));
        let file = uninterrupted(|| options.open(path))?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        let write = access == Access::Write;
        let mut options = OpenOptions::new();
        options.read(true).write(write);
        let file = uninterrupted(|| options.open(path))?;
        Ok(Box::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        uninterrupted(|| system::rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        uninterrupted(|| fs::remove_file(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in uninterrupted(|| fs::read_dir(path))? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        uninterrupted(|| system::make_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        system::sync_dir(path)
    }

    fn check_private(&self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        system::check_private(&metadata)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create(true).truncate(false));
        let file = uninterrupted(|| options.open(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(OsLock {
                path: path.to_owned(),
                file,
            }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (at, rest) = (offset + filled as u64, &mut buffer[filled..]);
            match uninterrupted(|| system::read_at(&self.0, rest, at))? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let (at, rest) = (offset + written as u64, &bytes[written..]);
            match uninterrupted(|| system::write_at(&self.0, rest, at))? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                count => written += count,
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        uninterrupted(|| self.0.set_len(length))
    }

    // The standard library repeats an interrupted sync; any other error is final. On macOS it asks the
    // drive to empty its cache (F_FULLFSYNC), which `fsync` alone does not.
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl DiskLock for OsLock {
    fn still_ours(&self) -> io::Result<bool> {
        system::still_ours(self)
    }
}

/// Why a data directory at `path` seems to lie where locks and syncs mean little: on the file system of
/// another machine, or in a folder that is kept in step with one. A guess, for a warning.
#[must_use]
pub fn doubtful_place(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    // Only Linux has it; without it only names are looked at.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    super::place::doubt(&mounts, &path)
}

/// Only the owner may read or write what these options create.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
mod system {
    use std::fs::{self, DirBuilder, File, Metadata};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
    use std::path::Path;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    pub(super) fn make_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
        let opened = super::super::passing::with_a_descriptor(
            || File::open(path),
            |milliseconds| {
                drop(spare().take());
                std::thread::sleep(Duration::from_millis(milliseconds));
            },
        );
        let directory = opened?;
        directory.sync_all()?;
        *spare() = Some(directory);
        Ok(())
    }

    /// The directory that was synced last: its descriptor is kept for the next one, which has no other way
    /// where all are taken.
    fn spare() -> MutexGuard<'static, Option<File>> {
        static SPARE: Mutex<Option<File>> = Mutex::new(None);
        SPARE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check_private(directory: &Metadata) -> io::Result<()> {
        if directory.mode() & 0o022 == 0 {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "other users may write to it",
        ))
    }

    pub(super) fn still_ours(lock: &super::OsLock) -> io::Result<bool> {
        let held = lock.file.metadata()?;
        match fs::symlink_metadata(&lock.path) {
            Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(windows)]
mod system {
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::os::windows::fs::FileExt as _;
    use std::path::Path;
    use std::time::Duration;

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match file.seek_read(buffer, offset) {
            // Reading at the end is an error here (ERROR_HANDLE_EOF) where others read nothing.
            Err(error) if error.raw_os_error() == Some(38) => Ok(0),
            read => read,
        }
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.seek_write(bytes, offset)
    }

    pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
        super::super::passing::unheld(
            || fs::rename(from, to),
            |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds)),
        )
    }

    pub(super) fn make_dir(path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// The profile directory's own access list keeps others out.
    pub(super) fn check_private(_directory: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn still_ours(lock: &super::OsLock) -> io::Result<bool> {
        lock.path.try_exists()
    }
}
/// Lets this process have as many open files as its owner may allow it, and says how many that are;
/// `None` where the system has no such bound, or does not tell. A socket is an open file, too.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        // Refused (macOS takes no bound larger than its own): then it stays as it was.
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        }
    }
    #[cfg(not(unix))]
    None
}
