//! Several files changed as one, by two-phase commit.

use std::time::Duration;

use super::Template;

/// Changes of files that happen all or not at all.
#[derive(Clone, Debug)]
pub struct FilesSpec {
    /// The trees, in file order.
    pub participants: Vec<Participant>,
    /// What is changed, in file order.
    pub changes: Vec<FileChange>,
    /// Globs of the paths that may be changed; empty: the written ones.
    pub allow: Vec<String>,
    /// Whether others are kept out meanwhile.
    pub lock: FileLock,
    /// How long the preparation may take.
    pub prepare_timeout: Duration,
    /// What it means that an expectation does not hold.
    pub on_conflict: OnConflict,
    /// It puts back what the step that it undoes has changed, wherever that was: there are no
    /// participants and no changes.
    pub reverts: bool,
}

/// A tree of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Its name; `root` for a plain `root:`.
    pub name: String,
    /// Where it is, relative to the project's folder.
    pub root: String,
}

/// One change.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The place of its tree in [`FilesSpec::participants`].
    pub participant: usize,
    /// Relative to the tree's root.
    pub path: Template,
    /// What is done.
    pub op: FileOp,
    /// What must hold before.
    pub expect: Option<FileExpect>,
    /// Permission bits of what is written, `None`: as they are.
    pub mode: Option<u32>,
}

/// What is done to a file.
#[derive(Clone, Debug)]
pub enum FileOp {
    /// Its content is this.
    Write(Template),
    /// A unified diff is applied.
    Patch(Template),
    /// It goes away.
    Delete,
    /// It moves to this path in the same tree.
    Move(Template),
    /// A folder.
    MakeDir,
}

/// What must hold of a file before it is changed.
#[derive(Clone, Debug)]
pub enum FileExpect {
    /// Its bytes have this digest.
    Sha256(Template),
    /// It is there, or it is not.
    Exists(bool),
}

/// Whether others are kept out while files change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLock {
    /// The listed paths are locked.
    Exclusive,
    /// Only the expectations protect.
    None,
}

/// What an expectation that does not hold means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The step fails with `files.conflict`.
    Fail,
    /// It counts as an attempt.
    Retry,
}

impl FilesSpec {
    pub(super) fn for_each_template(&self, visit: &mut dyn FnMut(&Template)) {
        for change in &self.changes {
            visit(&change.path);
            match &change.op {
                FileOp::Write(template) | FileOp::Patch(template) | FileOp::Move(template) => {
                    visit(template);
                }
                FileOp::Delete | FileOp::MakeDir => {}
            }
            if let Some(FileExpect::Sha256(template)) = &change.expect {
                visit(template);
            }
        }
    }
}
