//! What a transaction comes to, and why it cannot happen: what the first look gives.

use std::collections::BTreeMap;
use std::io;

use super::{
    Act, Decision, Digest, DocumentChange, Fault, Intent, PatchError, Place, Step, TransactionId,
    TreePath, UnderLock,
};
use crate::FileId;

/// The most bytes of all contents of one transaction, before and after.
pub(super) const TOTAL_BYTES_MAX: usize = 128 << 20;

/// What a transaction comes to, as the disk was.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) roots: BTreeMap<FileId, String>,
    pub(super) documents: Vec<DocumentChange>,
    pub(super) under: Vec<UnderLock>,
    /// Every content that the steps name.
    pub(super) contents: BTreeMap<Digest, Vec<u8>>,
    pub(super) reason: Option<String>,
}

/// Why a transaction cannot happen. It has not, and never will.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It makes no sense, whatever the disk holds.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty(Vec<Fault>),
    /// A working tree that nobody declared.
    #[error("no root `{0}` is declared")]
    NoRoot(FileId),
    /// The disk does not hold what the change relies on.
    #[error("`{path}` in `{root}`: {found}, and {expected} was expected")]
    Conflict {
        /// The working tree.
        root: FileId,
        /// The path in it.
        path: TreePath,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A patch that does not fit.
    #[error("`{path}` in `{root}`: {source}")]
    Patch {
        /// The working tree.
        root: FileId,
        /// The path in it.
        path: TreePath,
        /// Where and why.
        source: PatchError,
    },
    /// A name that cannot be changed.
    #[error("`{path}` in `{root}`: {why}")]
    Target {
        /// The working tree.
        root: FileId,
        /// The path in it.
        path: TreePath,
        /// Why not.
        why: String,
    },
    /// Too much at once.
    #[error("the contents before and after have more than {TOTAL_BYTES_MAX} bytes together")]
    TooLarge,
    /// The disk failed, or is full.
    #[error("cannot {verb} `{what}`: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        what: String,
        /// The system's words.
        source: io::Error,
    },
}

impl PrepareError {
    /// A stable code, as the language knows them.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. }
            | Self::Patch {
                source: PatchError::Misfit { .. },
                ..
            } => "files.conflict",
            Self::Faulty(_)
            | Self::NoRoot(_)
            | Self::Patch { .. }
            | Self::Target { .. }
            | Self::TooLarge
            | Self::Io { .. } => "files.prepare",
        }
    }
}

impl Plan {
    /// What is journalled before anything is written.
    #[must_use]
    pub fn intent(&self, by: &str, reverts: Option<TransactionId>) -> Intent {
        let stages = self.steps.iter().filter_map(|step| {
            let (Act::Put { stage, .. } | Act::Remove { stage, .. }) = &step.act else {
                return None;
            };
            Some(Place {
                root: step.place.root.clone(),
                path: stage.clone(),
            })
        });
        Intent {
            by: by.to_owned(),
            reason: self.reason.clone(),
            reverts,
            roots: self.roots.clone(),
            stages: stages.collect(),
        }
    }

    /// The names that change, as a system knows them that does not tell upper case from lower: two
    /// transactions at once must not share one.
    pub fn disk_names(&self) -> impl Iterator<Item = String> {
        let names = self.steps.iter();
        names.map(|step| step.place.disk_name(&self.roots))
    }

    /// The locks under which it is to be decided.
    #[must_use]
    pub fn under(&self) -> &[UnderLock] {
        &self.under
    }

    /// What happens to documents; decided where their versions are known.
    #[must_use]
    pub fn documents(&self) -> &[DocumentChange] {
        &self.documents
    }

    /// What is decided once everything is staged. Documents come in where their versions are known.
    #[must_use]
    pub fn decision(&self) -> Decision {
        Decision {
            files: self.steps.clone(),
            documents: Vec::new(),
            under: self.under.clone(),
        }
    }

    /// Whether no disk has to be touched.
    #[must_use]
    pub fn is_documents_only(&self) -> bool {
        self.steps.is_empty()
    }
}
