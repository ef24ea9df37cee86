//! Shared documents, as far as transactions change them: versions and contents.
//!
//! A document is a fold of its stream `doc/NAME`, so changing several of them is one batch. The
//! readable copies in `documents/` follow behind, once they are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use phisync_state::transaction::{
    Digest, DocumentChange, DocumentEvent, DocumentExpect, DocumentStep, TransactionId,
    document_stream,
};
use phisync_state::{Entry, Expected, FileId, Record, Timestamp, Version};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::engine::TouchedDocument;
use crate::protocol::{DocumentDetail, DocumentSummary};

use super::{Coordinator, Refusal, recovery};

/// The most bytes of a document.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Documents {
    by_name: BTreeMap<FileId, Document>,
    stale_views: BTreeSet<FileId>,
}

#[derive(Clone)]
struct Document {
    version: Version,
    /// JSON; none if it is deleted.
    content: Option<Arc<str>>,
    by: String,
    at: Timestamp,
}

/// A document's part of a decision.
pub(super) struct WrittenDocument {
    name: FileId,
    before: Version,
    content: Option<Arc<str>>,
    by: String,
    event: String,
}

impl WrittenDocument {
    pub(super) fn touched(&self) -> TouchedDocument {
        TouchedDocument {
            name: self.name.to_string(),
            version: self.before + 1,
        }
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            stream: document_stream(&self.name),
            expected: Expected::Version(self.before),
            events: vec![self.event.clone()],
        }
    }
}

impl Documents {
    pub(super) fn wrote(&mut self, written: WrittenDocument, at: Timestamp) {
        let document = Document {
            version: written.before + 1,
            content: written.content,
            by: written.by,
            at,
        };
        self.stale_views.insert(written.name.clone());
        self.by_name.insert(written.name, document);
    }

    /// Whether a document has this content now; `None`: it does not exist.
    pub(super) fn has(&self, name: &FileId, content: Option<&Arc<str>>) -> bool {
        let now = self.by_name.get(name);
        now.and_then(|document| document.content.as_ref()) == content
    }

    fn replay(&mut self, name: &FileId, event: DocumentEvent, version: Version, at: Timestamp) {
        let (content, by) = match event {
            DocumentEvent::Written { content, by, .. } => (Some(Arc::from(content.get())), by),
            DocumentEvent::Deleted { by, .. } => (None, by),
        };
        let document = Document {
            version,
            content,
            by,
            at,
        };
        // Written anew at every start: a copy that somebody edited is not believed.
        self.stale_views.insert(name.clone());
        self.by_name.insert(name.clone(), document);
    }
}

/// The name of a document.
///
/// # Errors
/// It is none.
pub(super) fn document_name(name: &str) -> Result<FileId, Refusal> {
    FileId::new(name).map_err(|_| Refusal::BadName {
        what: "name of a document",
        text: name.to_owned(),
        rule: "1 to 63 of [a-z0-9_-], beginning with [a-z0-9], no device of Windows",
    })
}

/// What was expected of a document that is not so.
pub(crate) fn unmet(expect: &DocumentExpect, version: Version, exists: bool) -> Option<String> {
    match expect {
        DocumentExpect::Anything => None,
        DocumentExpect::Absent => exists.then(|| "none".to_owned()),
        DocumentExpect::Present => (!exists).then(|| "one that exists".to_owned()),
        DocumentExpect::Version(expected) => {
            (*expected != version).then(|| format!("version {expected}"))
        }
    }
}

fn digest(content: Option<&Arc<str>>) -> Option<Digest> {
    content.map(|content| Digest::of(content.as_bytes()))
}

impl Coordinator {
    pub(super) fn replay_document(
        &mut self,
        name: &str,
        record: &Record,
    ) -> Result<(), phisync_state::ReadError> {
        // Names are checked at every door: under another one there is nothing.
        if let Ok(name) = FileId::new(name) {
            let event = recovery::decode(record)?;
            self.documents
                .replay(&name, event, record.version, record.at);
        }
        Ok(())
    }

    /// Has the readable copy of a document written anew, or removed; false if there never was one.
    pub(super) fn renew_document(&mut self, name: FileId) -> bool {
        let known = self.documents.by_name.contains_key(&name);
        if known {
            self.documents.stale_views.insert(name);
        }
        known
    }

    /// Reads a document again if another writer of the store has changed it.
    pub(super) fn refresh_document(&mut self, name: &FileId) -> Result<(), Refusal> {
        if self.store.version(&document_stream(name)) == self.document_version(name) {
            return Ok(());
        }
        self.reload_document(name)
    }

    pub(super) fn reload_document(&mut self, name: &FileId) -> Result<(), Refusal> {
        self.documents.by_name.remove(name);
        for record in self.store.read(&document_stream(name), 1)? {
            self.replay_document(name.as_str(), &record)?;
        }
        Ok(())
    }

    /// What changes of documents come to now; records nothing.
    pub(super) fn decide_documents(
        &self,
        changes: &[DocumentChange],
        transaction: Option<&TransactionId>,
        by: &str,
    ) -> Result<(Vec<DocumentStep>, Vec<WrittenDocument>), Refusal> {
        let mut steps = Vec::new();
        let mut written = Vec::new();
        for change in changes {
            let now = self.documents.by_name.get(&change.name);
            let before = now.map_or(0, |document| document.version);
            let exists = now.is_some_and(|document| document.content.is_some());
            if let Some(expected) = unmet(&change.expect, before, exists) {
                let (name, found) = (change.name.clone(), before);
                return Err(Refusal::OtherVersion {
                    name,
                    found,
                    expected,
                });
            }
            let long = |content: &Arc<str>| content.len() > DOCUMENT_BYTES_MAX;
            if change.content.as_ref().is_some_and(long) {
                return Err(Refusal::Unstorable("a document has at most 1 MiB"));
            }
            let (by, transaction) = (by.to_owned(), transaction.cloned());
            let event = match &change.content {
                Some(content) => DocumentEvent::Written {
                    content: RawValue::from_string(content.as_ref().to_owned())
                        .map_err(|_| Refusal::Unstorable("a document's content is JSON"))?,
                    by: by.clone(),
                    transaction,
                },
                None => DocumentEvent::Deleted {
                    by: by.clone(),
                    transaction,
                },
            };
            let event = serde_json::to_string(&event);
            let event = event.map_err(|_| Refusal::Unstorable("a document's content is JSON"))?;
            steps.push(DocumentStep {
                name: change.name.clone(),
                before,
                after: before + 1,
                sha256: digest(change.content.as_ref()),
            });
            written.push(WrittenDocument {
                name: change.name.clone(),
                before,
                content: change.content.clone(),
                by,
                event,
            });
        }
        Ok((steps, written))
    }

    /// The changes that take back what a transaction did to documents.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn revert_documents(&self, steps: &[DocumentStep]) -> Result<Vec<DocumentChange>, Refusal> {
        let mut changes = Vec::new();
        for step in steps {
            let earlier = match step.before {
                0 => None,
                version => {
                    let records = self.store.read(&document_stream(&step.name), version)?;
                    records.into_iter().next()
                }
            };
            let event = earlier.as_ref().map(recovery::decode::<DocumentEvent>);
            let content = match event.transpose()? {
                Some(DocumentEvent::Written { content, .. }) => Some(Arc::from(content.get())),
                Some(DocumentEvent::Deleted { .. }) | None => None,
            };
            changes.push(DocumentChange {
                name: step.name.clone(),
                content,
                expect: DocumentExpect::Version(step.after),
            });
        }
        Ok(changes)
    }

    /// One document.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn document(&self, name: &str) -> Result<DocumentDetail, Refusal> {
        let id = FileId::new(name).ok();
        let document = id.and_then(|id| Some((self.documents.by_name.get(&id)?, id)));
        let found = document.and_then(|(document, id)| {
            let content = document.content.clone()?;
            let raw = RawValue::from_string(content.as_ref().to_owned());
            let raw = raw.expect("a document's content was JSON when it was written");
            Some(DocumentDetail {
                name: id.to_string(),
                version: document.version,
                sha256: Digest::of(content.as_bytes()).to_string(),
                by: document.by.clone(),
                at: document.at.to_string(),
                content: raw,
            })
        });
        found.ok_or_else(|| Refusal::NotFound {
            what: "document",
            id: name.to_owned(),
        })
    }

    /// How often a document was written; 0: never.
    pub(super) fn document_version(&self, name: &FileId) -> Version {
        let document = self.documents.by_name.get(name);
        document.map_or(0, |document| document.version)
    }

    /// All documents.
    #[must_use]
    pub fn documents(&self) -> Vec<DocumentSummary> {
        let existing = self.documents.by_name.iter();
        let existing = existing.filter(|(_, document)| document.content.is_some());
        let summaries = existing.map(|(name, document)| DocumentSummary {
            name: name.to_string(),
            version: document.version,
            by: document.by.clone(),
            at: document.at.to_string(),
        });
        summaries.collect()
    }

    /// The documents whose readable copy is out of date, with what it should say; nothing for one
    /// that is deleted.
    pub fn take_stale_documents(&mut self) -> Vec<(FileId, Option<Value>)> {
        let stale = std::mem::take(&mut self.documents.stale_views);
        let view = |name: FileId| {
            let body = self.document(name.as_str()).ok();
            let body = body.map(|detail| json!(detail));
            (name, body)
        };
        stale.into_iter().map(view).collect()
    }
}
