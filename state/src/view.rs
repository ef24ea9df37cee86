//! Views: readable JSON files that are derived from the journal and never the truth.
//!
//! ```text
//! {"phisync_view":1,"seq":12,"sha256":"<64 hex>","body":{...}}
//! ```
//!
//! The hash is over the sequence in decimal, a line feed and the body's bytes, so a damaged or
//! hand-edited view shows. Views are written behind by a thread of their own: whoever puts one
//! never waits for the disk, and of several versions of one view only the newest is written. They
//! are replaced whole but not synced: what a crash loses is rebuilt. What a body says is unknown
//! here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::env::{Disk, replace_file};
use crate::id::{self, FileIdError};
use crate::journal::frame::sha256_hex;
use crate::{FileId, Seq};

/// The directory of the views, below the data directory.
pub const VIEW_DIRECTORY: &str = "state";
/// What a view being written ends with; no name of a view can.
const TEMPORARY: &str = ".json.tmp";
/// What a directory ends with that was in the place of a view.
const ASIDE: &str = "json.aside";
/// The most characters of a view's name: a prefix and an id.
const NAME_MAX: usize = 100;
/// The most views that wait to be written.
const PENDING_MAX: usize = 1024;

/// The directory of the views of documents, below the data directory.
pub(crate) const DOCUMENT_DIRECTORY: &str = "documents";

/// A view's file: its directory, and its name without extension, which has the grammar of
/// [`crate::FileId`] and up to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewName {
    directory: &'static str,
    name: Arc<str>,
}

impl ViewName {
    /// Checks a name, as `workflow-r-7f3`.
    ///
    /// # Errors
    /// See [`FileIdError`].
    pub fn new(name: &str) -> Result<Self, FileIdError> {
        id::check(name, NAME_MAX)?;
        Ok(Self {
            directory: VIEW_DIRECTORY,
            name: Arc::from(name),
        })
    }

    /// The view of a shared document.
    #[must_use]
    pub fn document(name: &FileId) -> Self {
        Self {
            directory: DOCUMENT_DIRECTORY,
            name: Arc::from(name.as_str()),
        }
    }

    /// The view in a file, by the file's name relative to the data directory.
    #[must_use]
    pub fn of_file(shown: &str) -> Option<Self> {
        let (directory, file) = shown.split_once('/')?;
        let name = file.strip_suffix(".json")?;
        match directory {
            DOCUMENT_DIRECTORY => Some(Self::document(&FileId::new(name).ok()?)),
            VIEW_DIRECTORY => Self::new(name).ok(),
            _ => None,
        }
    }

    /// The document that it shows, if it shows one.
    #[must_use]
    pub fn shows_document(&self) -> Option<FileId> {
        let document = self.directory == DOCUMENT_DIRECTORY;
        FileId::new(&self.name).ok().filter(|_| document)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Where the view lies below a data directory.
    #[must_use]
    pub fn path(&self, data: &Path) -> PathBuf {
        data.join(self.directory)
            .join(format!("{}.json", self.name))
    }
}

/// A view that is what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewInfo<'a> {
    /// The last record it reflects.
    pub seq: Seq,
    /// The JSON that was put.
    pub body: &'a str,
}

/// Why a file is not a view as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewDamage {
    /// It does not look like a view.
    #[error("it is not a view")]
    Malformed,
    /// A newer program wrote it.
    #[error("it has format {0}, which needs a newer program")]
    Newer(u64),
    /// It was changed after it was written.
    #[error("its hash does not match")]
    Changed,
}

const FORMAT: u64 = 1;

/// A view's bytes.
#[must_use]
pub fn encode(seq: Seq, body: &str) -> Vec<u8> {
    let hash = hash(seq, body);
    format!(
        "{{\"phisync_view\":{FORMAT},\"seq\":{},\"sha256\":\"{hash}\",\"body\":{body}}}\n",
        seq.0
    )
    .into_bytes()
}

fn hash(seq: Seq, body: &str) -> String {
    sha256_hex(format!("{}\n{body}", seq.0).as_bytes())
}

/// Whether bytes are a view as it was written, and what it holds.
///
/// # Errors
/// See [`ViewDamage`].
pub fn check(bytes: &[u8]) -> Result<ViewInfo<'_>, ViewDamage> {
    let text = std::str::from_utf8(bytes).map_err(|_| ViewDamage::Malformed)?;
    let (format, rest) = field(text, "{\"phisync_view\":", ',').ok_or(ViewDamage::Malformed)?;
    let format: u64 = format.parse().map_err(|_| ViewDamage::Malformed)?;
    if format > FORMAT {
        return Err(ViewDamage::Newer(format));
    }
    let (seq, rest) = field(rest, ",\"seq\":", ',').ok_or(ViewDamage::Malformed)?;
    let seq = Seq(seq.parse().map_err(|_| ViewDamage::Malformed)?);
    let (_, rest) = field(rest, ",\"sha256\":\"", '"').ok_or(ViewDamage::Malformed)?;
    let body = rest
        .strip_prefix("\",\"body\":")
        .and_then(|rest| rest.strip_suffix("}\n"))
        .ok_or(ViewDamage::Malformed)?;
    // Everything at once: there is one spelling.
    if encode(seq, body) == bytes {
        Ok(ViewInfo { seq, body })
    } else {
        Err(ViewDamage::Changed)
    }
}

/// What stands between a prefix and an end, and the rest from the end on.
fn field<'a>(text: &'a str, prefix: &str, end: char) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(prefix)?;
    Some(rest.split_at(rest.find(end)?))
}

/// Why views are behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write the view `{name}`: {reason}")]
pub struct ViewError {
    /// The first view that could not be written.
    pub name: String,
    /// The system's words.
    pub reason: String,
}

/// Writes views behind.
pub struct ViewWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Makes a view's JSON text when it is written.
type Body = Box<dyn FnOnce() -> String + Send>;

#[derive(Default)]
struct Queue {
    /// The newest version of each view; `None` removes it.
    pending: BTreeMap<ViewName, Option<(Seq, Body)>>,
    writing: bool,
    closing: bool,
    failed: Option<ViewError>,
}

impl ViewWriter {
    /// Starts the thread; views go below the data directory, which must exist. What an interrupted
    /// writer left is swept.
    ///
    /// # Errors
    /// The system's, if the views' directory or the thread cannot be created.
    pub fn start(disk: Arc<dyn Disk>, data: &Path) -> io::Result<Self> {
        for directory in [VIEW_DIRECTORY, DOCUMENT_DIRECTORY] {
            prepare(&*disk, &data.join(directory))?;
        }
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
        });
        let (of_thread, data) = (Arc::clone(&shared), data.to_owned());
        let thread = std::thread::Builder::new()
            .name("views".to_owned())
            .spawn(move || of_thread.run(&*disk, &data))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands in a view's newest version; `body` makes its JSON text, on the views' own thread and
    /// only if this version is written. False if too many other views wait: this version is then
    /// left out, and the file stays behind until the next one.
    pub fn put(
        &self,
        name: &ViewName,
        seq: Seq,
        body: impl FnOnce() -> String + Send + 'static,
    ) -> bool {
        self.shared.queue(name, Some((seq, Box::new(body))))
    }

    /// Removes a view. False as for [`Self::put`].
    pub fn remove(&self, name: &ViewName) -> bool {
        self.shared.queue(name, None)
    }

    /// Waits until everything handed in so far is written.
    ///
    /// # Errors
    /// The first failure since the last flush; later views were tried all the same.
    pub fn flush(&self) -> Result<(), ViewError> {
        let mut queue = self.shared.lock();
        while queue.writing || !queue.pending.is_empty() {
            queue = self.shared.wait(queue);
        }
        queue.failed.take().map_or(Ok(()), Err)
    }
}

impl Drop for ViewWriter {
    /// Writes what is pending.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the views panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("nothing panics while the queue is locked")
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        self.changed
            .wait(queue)
            .expect("nothing panics while the queue is locked")
    }

    fn queue(&self, name: &ViewName, version: Option<(Seq, Body)>) -> bool {
        let mut queue = self.lock();
        if queue.pending.len() >= PENDING_MAX && !queue.pending.contains_key(name) {
            return false;
        }
        queue.pending.insert(name.clone(), version);
        drop(queue);
        self.changed.notify_all();
        true
    }

    fn run(&self, disk: &dyn Disk, data: &Path) {
        let mut queue = self.lock();
        loop {
            // All at once, so that a view that changes often does not keep others waiting.
            let batch = std::mem::take(&mut queue.pending);
            if batch.is_empty() {
                if queue.closing {
                    return;
                }
                queue = self.wait(queue);
                continue;
            }
            queue.writing = true;
            drop(queue);
            let mut failed = None;
            for (name, version) in batch {
                if let Err(error) = write(disk, data, &name, version) {
                    tracing::warn!(view = &*name.name, %error, "a view stays behind");
                    failed.get_or_insert(ViewError {
                        name: name.name.as_ref().to_owned(),
                        reason: error.to_string(),
                    });
                }
            }
            queue = self.lock();
            queue.writing = false;
            if queue.failed.is_none() {
                queue.failed = failed;
            }
            self.changed.notify_all();
        }
    }
}

/// Makes the directory, and sweeps what an interrupted writer left in it.
fn prepare(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    match disk.make_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let names = disk.read_dir(directory)?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
        if let Err(error) = disk.remove(&directory.join(name)) {
            tracing::warn!(name, %error, "an unfinished view stays");
        }
    }
    Ok(())
}

fn write(
    disk: &dyn Disk,
    data: &Path,
    name: &ViewName,
    version: Option<(Seq, Body)>,
) -> io::Result<()> {
    let path = name.path(data);
    match version {
        Some((seq, body)) => {
            let bytes = encode(seq, &body());
            let temporary = path.with_extension(&TEMPORARY[1..]);
            let replace = || replace_file(disk, &path, &temporary, &bytes, false);
            replace().or_else(|error| {
                put_aside(disk, &path, error)?;
                replace()
            })
        }
        None => match disk.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.or_else(|error| put_aside(disk, &path, error)),
        },
    }
}

/// Gives a directory that somebody made in the place of a view another name: it is not ours to delete.
fn put_aside(disk: &dyn Disk, path: &Path, error: io::Error) -> io::Result<()> {
    if disk.read_dir(path).is_err() {
        return Err(error);
    }
    tracing::warn!(place = %path.display(), "a directory was in the place of a view; it is kept beside");
    disk.rename(path, &path.with_extension(ASIDE))
}

#[cfg(test)]
mod tests {
    use super::{ViewDamage, ViewInfo, check, encode};
    use crate::Seq;

    #[test]
    fn any_flipped_byte_of_a_view_shows() {
        let body = r#"{"status":"running"}"#;
        let mut bytes = encode(Seq(12), body);
        assert_eq!(check(&bytes), Ok(ViewInfo { seq: Seq(12), body }));
        for index in 0..bytes.len() {
            bytes[index] ^= 0x01;
            assert!(check(&bytes).is_err(), "byte {index}");
            bytes[index] ^= 0x01;
        }
        assert_eq!(check(&bytes[..bytes.len() - 1]), Err(ViewDamage::Malformed));
    }
}
