//! The walk that all five agents share: the regular files below a root, sorted by path.
//!
//! Symbolic links are counted and never followed; build output, dependencies and version control
//! are skipped by name. Every dimension is bounded, and a walk that met a bound says so. A file that
//! vanishes between being listed and being read is reported as a change of the tree.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Failure;
use super::language::{self, Language};

/// Directories that hold nothing anybody wrote for this tree.
const SKIPPED: [&str; 4] = [".git", ".phisync", "node_modules", "target"];

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Files listed at most.
    files: usize,
    /// Directories below the root at most, one in the other.
    depth: usize,
}

const BOUNDS: Bounds = Bounds {
    files: 20_000,
    depth: 40,
};
/// Larger files are listed but not read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// What one walk reads at most, in bytes.
const TOTAL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One regular file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the root, with `/` between the segments on every system.
    pub(super) path: String,
    pub(super) language: &'static Language,
    /// In bytes.
    pub(super) size: u64,
    /// Unix permission bits, `None` elsewhere.
    pub(super) mode: Option<u32>,
    location: PathBuf,
}

/// One directory below the root.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: String,
    /// Unix permission bits, `None` elsewhere.
    pub(super) mode: Option<u32>,
}

/// What stands below a root.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) entries: Vec<Entry>,
    pub(super) directories: Vec<Directory>,
    /// Symbolic links, sockets and the like: neither followed nor opened.
    pub(super) not_followed: usize,
    /// Whether a bound kept files out of `entries`.
    pub(super) truncated: bool,
}

/// What reading a file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// UTF-8 text.
    Text(String),
    /// Bytes that are no text.
    Binary(Vec<u8>),
    /// Too large, or not ours to read.
    Unread,
}

impl Tree {
    /// Lists the tree below `root`.
    ///
    /// # Errors
    /// `app.no_root` if `root` is not a directory that can be read, `transient.tree_changed` if a
    /// directory vanished meanwhile.
    pub(super) fn walk(root: &str) -> Result<Self, Failure> {
        Self::walk_within(root, BOUNDS)
    }

    fn walk_within(root: &str, bounds: Bounds) -> Result<Self, Failure> {
        let top = Path::new(root);
        if !top.is_dir() {
            return Err(Failure::lasting(
                "app.no_root",
                format!("`{root}` is not a directory"),
            ));
        }
        let mut tree = Self {
            entries: Vec::new(),
            directories: Vec::new(),
            not_followed: 0,
            truncated: false,
        };
        tree.descend(top, "", bounds)?;
        tree.entries.sort_by(|a, b| a.path.cmp(&b.path));
        tree.directories.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// `left.depth` shrinks on the way down; `left.files` counts for the whole walk.
    fn descend(&mut self, directory: &Path, prefix: &str, left: Bounds) -> Result<(), Failure> {
        let listing = fs::read_dir(directory)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| cannot("list", prefix, &error))?;
        let mut children: Vec<(String, PathBuf)> = listing
            .into_iter()
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, entry.path())
            })
            .collect();
        // Sorted before the bounds apply, so that the same tree is cut at the same place.
        children.sort();
        for (name, location) in children {
            let path = format!("{prefix}{name}");
            let metadata = match fs::symlink_metadata(&location) {
                Ok(metadata) => metadata,
                Err(error) => return Err(cannot("look at", &path, &error)),
            };
            let mode = permission_bits(&metadata);
            if metadata.is_dir() {
                if SKIPPED.contains(&name.as_str()) {
                    continue;
                }
                let Some(depth) = left.depth.checked_sub(1) else {
                    self.truncated = true;
                    continue;
                };
                self.descend(&location, &format!("{path}/"), Bounds { depth, ..left })?;
                self.directories.push(Directory { path, mode });
            } else if metadata.is_file() {
                if self.entries.len() == left.files {
                    self.truncated = true;
                    return Ok(());
                }
                self.entries.push(Entry {
                    language: language::of(&name),
                    path,
                    size: metadata.len(),
                    mode,
                    location,
                });
            } else {
                self.not_followed += 1;
            }
        }
        Ok(())
    }

    /// Reads every file in order and shows it to `visit`. Returns how many were left unread.
    pub(super) fn read(&self, mut visit: impl FnMut(&Entry, &Content)) -> Result<usize, Failure> {
        let mut budget = TOTAL_BYTES_MAX;
        let mut unread = 0;
        for entry in &self.entries {
            let content = entry.content(&mut budget)?;
            if content == Content::Unread {
                unread += 1;
            }
            visit(entry, &content);
        }
        Ok(unread)
    }

    /// SHA-256 over every path and content: two walks agree exactly if no file came, went or
    /// changed. Of a file that is not read, only the size counts. `except` leaves one path out.
    pub(super) fn fingerprint(&self, except: Option<&Path>) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        let mut budget = TOTAL_BYTES_MAX;
        for entry in &self.entries {
            if except.is_some_and(|except| same_file(except, &entry.location)) {
                continue;
            }
            let content = match entry.content(&mut budget)? {
                Content::Text(text) => sha256(text.as_bytes()),
                Content::Binary(bytes) => sha256(&bytes),
                Content::Unread => "unread".to_owned(),
            };
            // A path may hold a newline but no NUL, so no two listings give the same bytes.
            hash.update(format!("{}\0{}\0{content}\n", entry.path, entry.size));
        }
        Ok(hex(&hash.finalize()))
    }

    /// The sum of all sizes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }
}

impl Entry {
    fn content(&self, budget: &mut u64) -> Result<Content, Failure> {
        if self.size > FILE_BYTES_MAX || self.size > *budget {
            return Ok(Content::Unread);
        }
        let mut bytes = Vec::new();
        // The limit holds for a file that grew since it was listed, too.
        let read = fs::File::open(&self.location)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Content::Unread);
            }
            Err(error) => return Err(cannot("read", &self.path, &error)),
        }
        *budget -= self.size;
        if bytes.contains(&0) {
            return Ok(Content::Binary(bytes));
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(error) => Content::Binary(error.into_bytes()),
        })
    }
}

/// SHA-256 of `bytes`, 64 hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        (Ok(_) | Err(_), _) => false,
    }
}

/// What was there a moment ago and is gone is somebody at work; the rest stays wrong.
fn cannot(verb: &str, path: &str, error: &io::Error) -> Failure {
    let path = if path.is_empty() { "." } else { path };
    if error.kind() == io::ErrorKind::NotFound {
        Failure::passing(
            "transient.tree_changed",
            format!("`{path}` vanished while the tree was being read"),
        )
    } else {
        Failure::lasting("app.unreadable", format!("cannot {verb} `{path}`: {error}"))
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have no such bits and answer `None`"
)]
fn permission_bits(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn permission_bits(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tests::{make_tree, root_of};

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.entries
            .iter()
            .map(|entry| entry.path.as_str())
            .collect()
    }

    #[test]
    fn a_walk_is_sorted_and_leaves_out_what_nobody_wrote() {
        let dir = make_tree(&[
            ("b.rs", ""),
            ("a/z.md", ""),
            ("a.txt", ""),
            (".git/config", ""),
            ("deep/target/x.rs", ""),
            ("node_modules/m/index.js", ""),
            (".phisync/lock", ""),
        ]);
        let tree = Tree::walk(&root_of(&dir)).unwrap();
        assert_eq!(paths(&tree), ["a.txt", "a/z.md", "b.rs"]);
        assert!(!tree.truncated);
    }

    #[test]
    fn a_bound_cuts_the_same_tree_at_the_same_place_and_says_so() {
        let names: Vec<String> = (0..30).map(|n| format!("{n:02}.txt")).collect();
        let files: Vec<(&str, &str)> = names.iter().rev().map(|name| (name.as_str(), "")).collect();
        let dir = make_tree(&files);
        let walk = |files| {
            let depth = BOUNDS.depth;
            Tree::walk_within(&root_of(&dir), Bounds { files, depth }).unwrap()
        };
        assert_eq!(paths(&walk(3)), ["00.txt", "01.txt", "02.txt"]);
        assert!(walk(29).truncated);
        assert!(!walk(30).truncated);
    }

    #[test]
    fn directories_below_the_depth_bound_are_left_out() {
        let dir = make_tree(&[("0.txt", ""), ("a/1.txt", ""), ("a/b/2.txt", "")]);
        let walk = |depth| {
            let files = BOUNDS.files;
            Tree::walk_within(&root_of(&dir), Bounds { files, depth }).unwrap()
        };
        assert_eq!(paths(&walk(1)), ["0.txt", "a/1.txt"]);
        assert!(walk(1).truncated);
        assert!(!walk(2).truncated);
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_counted_and_not_followed() {
        let dir = make_tree(&[("real.txt", "x")]);
        std::os::unix::fs::symlink("..", dir.path().join("up")).unwrap();
        std::os::unix::fs::symlink("real.txt", dir.path().join("alias.txt")).unwrap();
        let tree = Tree::walk(&root_of(&dir)).unwrap();
        assert_eq!(paths(&tree), ["real.txt"]);
        assert_eq!(tree.not_followed, 2);
    }

    #[test]
    fn the_fingerprint_sees_contents_names_and_absence() {
        let dir = make_tree(&[("a.txt", "one"), ("b.txt", "two")]);
        let print = |except: Option<&Path>| {
            Tree::walk(&root_of(&dir))
                .unwrap()
                .fingerprint(except)
                .unwrap()
        };
        let before = print(None);
        assert_eq!(before, print(None));

        fs::write(dir.path().join("b.txt"), "2wo").unwrap();
        assert_ne!(before, print(None), "same size, other content");

        fs::write(dir.path().join("b.txt"), "two").unwrap();
        fs::write(dir.path().join("c.txt"), "").unwrap();
        assert_ne!(before, print(None), "another file");
        assert_eq!(before, print(Some(&dir.path().join("c.txt"))));
    }

    #[test]
    fn a_file_that_vanishes_after_the_listing_is_a_change_of_the_tree() {
        let dir = make_tree(&[("a.txt", "one")]);
        let tree = Tree::walk(&root_of(&dir)).unwrap();
        fs::remove_file(dir.path().join("a.txt")).unwrap();
        let failure = tree.fingerprint(None).unwrap_err();
        assert_eq!(failure.code, "transient.tree_changed");
        assert_eq!(failure.exit, 75);
    }

    #[test]
    fn a_file_above_the_limit_is_listed_and_not_read() {
        let size = usize::try_from(FILE_BYTES_MAX).unwrap();
        let dir = make_tree(&[
            ("fits.txt", &"x".repeat(size)),
            ("large.txt", &"x".repeat(size + 1)),
        ]);
        let tree = Tree::walk(&root_of(&dir)).unwrap();
        let mut read = Vec::new();
        let unread = tree
            .read(|entry, content| {
                if *content != Content::Unread {
                    read.push(entry.path.clone());
                }
            })
            .unwrap();
        assert_eq!(read, ["fits.txt"]);
        assert_eq!(unread, 1);
    }

    #[test]
    fn a_root_that_is_no_directory_is_refused_by_name() {
        let failure = Tree::walk("no/such/place").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "app.no_root: `no/such/place` is not a directory"
        );
        assert_eq!(failure.exit, 1);
    }
}
