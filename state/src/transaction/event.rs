//! What a journal says of a transaction. Format version 1.
//!
//! The stream `tx/ID` of one transaction: begun (the stages may lie about), decided (it happens) or
//! aborted, finished (it has happened on every disk), swept (nothing of it lies about). A document's
//! stream `doc/NAME` gets its new content in the very batch that decides. Fields are added, never
//! changed; a new one has a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Digest, TransactionId, TreePath, UnderLock};
use crate::{FileId, StreamName, Version};

/// A fact of the stream `tx/ID`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionEvent {
    /// It is being prepared. Without a decision it never happened.
    Began(Intent),
    /// It happens, whatever comes.
    Decided(Decision),
    /// It never happened, and its stages are gone.
    Aborted {
        /// A code of the list in `docs/transactions.md`.
        code: String,
        /// Why.
        reason: String,
    },
    /// Every name stands for what was decided, durably.
    Finished {
        /// What strangers had put there meanwhile, and where it is kept.
        #[serde(default)]
        kept: Vec<Kept>,
    },
    /// Nothing of it lies about any more.
    Swept {},
}

/// Who wants what, and what may lie about because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Who asked.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The transaction that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<TransactionId>,
    /// The working trees and where they lay when it began.
    #[serde(default)]
    pub roots: BTreeMap<FileId, String>,
    /// Names that unfinished work may have left.
    #[serde(default)]
    pub stages: Vec<Place>,
}

/// A path in a working tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The working tree.
    #[serde(rename = "in")]
    pub root: FileId,
    /// The path in it.
    pub path: TreePath,
}

impl Place {
    /// The name as a system knows it that does not tell upper case from lower.
    pub(super) fn disk_name(&self, roots: &BTreeMap<FileId, String>) -> String {
        let root = roots.get(&self.root).map_or("", String::as_str);
        format!("{root}/{}", self.path).to_lowercase()
    }
}

impl Decision {
    /// As [`super::Plan::disk_names`].
    pub fn disk_names(&self, intent: &Intent) -> impl Iterator<Item = String> {
        let steps = self.files.iter();
        steps.map(|step| step.place.disk_name(&intent.roots))
    }
}

/// Everything that follows from a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What happens to files, in order.
    #[serde(default)]
    pub files: Vec<Step>,
    /// What happened to documents in the same batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentStep>,
    /// The locks under which it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub under: Vec<UnderLock>,
}

/// What happens to one name in a working tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// The kinds of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// The name stands for the content `after`.
    Put {
        /// What it stood for; nothing for a new file.
        #[serde(default)]
        before: Option<Image>,
        /// What it stands for.
        after: Image,
        /// Where the new content waits, and the old one after the exchange.
        stage: TreePath,
    },
    /// The name goes.
    Remove {
        /// What it stood for.
        before: Image,
        /// The name under which it waits to be removed.
        stage: TreePath,
    },
    /// The name stands for this content already.
    Same {
        /// The content.
        after: Image,
    },
    /// A directory comes to be.
    MakeDir {
        /// Whether it was there before.
        existed: bool,
    },
    /// A directory goes if it is empty.
    RemoveDir {},
}

/// A file's content at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its hash.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// Its permission bits, where the system has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// What happened to one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentStep {
    /// The document.
    pub name: FileId,
    /// Its version before.
    pub before: Version,
    /// Its version after.
    pub after: Version,
    /// The hash of its content after; none if it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// A stranger's file that stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Whose name it had.
    #[serde(flatten)]
    pub place: Place,
    /// Its new name, in the same tree.
    pub kept: TreePath,
}

/// A fact of the stream `doc/NAME`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentEvent {
    /// It has this content now.
    Written {
        /// JSON.
        content: Box<RawValue>,
        /// Who wrote it.
        by: String,
        /// As part of which transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transaction: Option<TransactionId>,
    },
    /// It is gone.
    Deleted {
        /// Who deleted it.
        by: String,
        /// As part of which transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transaction: Option<TransactionId>,
    },
}

/// The stream of a document.
#[must_use]
pub fn document_stream(name: &FileId) -> StreamName {
    StreamName::new(format!("doc/{name}"))
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Begun and not decided.
    Began,
    /// Decided, and perhaps not everywhere on disk.
    Decided,
    /// On disk everywhere; leftovers may lie about.
    Finished,
    /// On disk everywhere, and nothing lies about.
    Swept,
    /// Never happened.
    Aborted,
}

impl Phase {
    /// As people and programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Began => "preparing",
            Self::Decided => "decided",
            Self::Finished | Self::Swept => "committed",
            Self::Aborted => "aborted",
        }
    }
}

/// The fold of a transaction's stream.
#[derive(Clone, Debug)]
pub struct TransactionState {
    /// Which.
    pub id: TransactionId,
    /// Where it stands.
    pub phase: Phase,
    /// How many events it has.
    pub version: Version,
    /// Who wants what.
    pub intent: Intent,
    /// What happens, once decided.
    pub decision: Option<Decision>,
    /// What strangers had put in the way.
    pub kept: Vec<Kept>,
    /// Code and words of an abort.
    pub aborted: Option<(String, String)>,
}

impl TransactionState {
    /// A transaction that begins.
    #[must_use]
    pub fn begin(id: TransactionId, intent: Intent) -> Self {
        Self {
            id,
            phase: Phase::Began,
            version: 1,
            intent,
            decision: None,
            kept: Vec::new(),
            aborted: None,
        }
    }

    /// Folds one more fact; the first is given to [`Self::begin`].
    pub fn apply(&mut self, event: &TransactionEvent) {
        self.version += 1;
        match event {
            TransactionEvent::Began(intent) => self.intent = intent.clone(),
            TransactionEvent::Decided(decision) => {
                self.phase = Phase::Decided;
                self.decision = Some(decision.clone());
            }
            TransactionEvent::Aborted { code, reason } => {
                self.phase = Phase::Aborted;
                self.aborted = Some((code.clone(), reason.clone()));
            }
            TransactionEvent::Finished { kept } => {
                self.phase = Phase::Finished;
                self.kept.clone_from(kept);
            }
            TransactionEvent::Swept {} => self.phase = Phase::Swept,
        }
    }

    /// The fold of a whole stream; `None` if it does not begin as one.
    pub fn replay<'e>(
        id: TransactionId,
        events: impl IntoIterator<Item = &'e TransactionEvent>,
    ) -> Option<Self> {
        let mut events = events.into_iter();
        let Some(TransactionEvent::Began(intent)) = events.next() else {
            return None;
        };
        let mut state = Self::begin(id, intent.clone());
        events.for_each(|event| state.apply(event));
        Some(state)
    }

    /// Whether something is left to do.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Began | Phase::Decided | Phase::Finished)
    }
}
