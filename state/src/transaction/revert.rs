//! Taking a transaction back: another transaction, whose every change expects what the first left.
//!
//! So it never destroys later work: who changed a file since then makes it a conflict.

use std::io;

use super::{
    Act, Blobs, Change, Decision, Digest, Expect, FileChange, FileOp, Image, Place, Step,
    Transaction, TransactionId,
};

/// Why a transaction cannot be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// What was there before is not kept any more.
    #[error("the content `{0}` that was there before is not kept any more")]
    Gone(Digest),
    /// The blobs cannot be read.
    #[error("cannot read the blob `{digest}`: {source}")]
    Io {
        /// Which.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
}

/// The changes that take back what `decision` did to files. Documents are the caller's: their
/// earlier contents lie in their streams.
///
/// # Errors
/// See [`RevertError`].
pub fn revert(
    id: &TransactionId,
    decision: &Decision,
    blobs: &Blobs,
) -> Result<Transaction, RevertError> {
    let mut changes = Vec::new();
    for Step { place, act } in decision.files.iter().rev() {
        let (op, expect) = match act {
            Act::Put {
                before: Some(before),
                after,
                ..
            } => (write(before, blobs)?, Expect::Content(after.sha256.clone())),
            Act::Put {
                before: None,
                after,
                ..
            } => (FileOp::Delete, Expect::Content(after.sha256.clone())),
            Act::Remove { before, .. } => (write(before, blobs)?, Expect::Absent),
            Act::MakeDir { existed: false } => (FileOp::RemoveDir, Expect::Anything),
            // A directory that a revert removed is made again by the revert of the revert.
            Act::RemoveDir {} => (FileOp::MakeDir, Expect::Anything),
            Act::Same { .. } | Act::MakeDir { existed: true } => continue,
        };
        let Place { root, path } = place.clone();
        changes.push(Change::File(FileChange {
            root,
            path,
            op,
            expect,
        }));
    }
    Ok(Transaction {
        changes,
        under: Vec::new(),
        reason: Some(format!("takes back {id}")),
    })
}

fn write(image: &Image, blobs: &Blobs) -> Result<FileOp, RevertError> {
    let digest = &image.sha256;
    let content = blobs.get(digest).map_err(|source| RevertError::Io {
        digest: digest.clone(),
        source,
    })?;
    Ok(FileOp::Write {
        content: content.ok_or_else(|| RevertError::Gone(digest.clone()))?,
        mode: image.mode,
    })
}
