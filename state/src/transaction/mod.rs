//! Several files and documents changed as one: two-phase commit.
//!
//! ```text
//! Transaction --survey--> Plan --Began--> stage --> Decision --Decided--> finish --Finished--> sweep --Swept-->
//!               reads only       journal  writes    (vote)     journal    renames   journal     removes
//! ```
//!
//! Whoever drives this keeps one order: an event is appended **and durable** before the next arrow.
//! [`Workspace::survey`] looks and changes nothing, so most refusals leave no trace. The `Began`
//! event names every file that staging may leave behind; [`Workspace::stage`] writes new contents
//! beside their targets, keeps pre-images in `blobs/`, syncs all of it, compares every target once
//! more and hands out the [`Decision`]. Its event is the commit point: one record, which may be
//! appended in one batch with whatever else must happen with it (the new contents of documents,
//! the `StepCompleted` of a run). From there [`Workspace::advance`] does what is left, in the living
//! and in recovery alike: it looks at the disk, does what is not done, and may be interrupted
//! anywhere and run again. A transaction without a decision never happened (presumed abort).
//!
//! Nothing here appends, waits or knows a thread; `runtime/transactions.rs` of the orchestrator and
//! the crash tests do. The hole: a reader of the files themselves can see a moment between two
//! exchanges; one who goes through phisync cannot.

mod blobs;
mod description;
mod digest;
mod event;
mod finish;
mod id;
mod patch;
mod path;
mod plan;
mod reader;
mod revert;
mod stage;
mod survey;
mod workspace;

pub use blobs::Blobs;
pub use description::{
    CHANGES_MAX, Change, DocumentChange, DocumentExpect, Expect, FILE_BYTES_MAX, Fault, FileChange,
    FileOp, Transaction, UnderLock,
};
pub use digest::{Digest, DigestError};
pub use event::{
    Act, Decision, DocumentEvent, DocumentStep, Image, Intent, Kept, Phase, Place, Step,
    TransactionEvent, TransactionState, document_stream,
};
pub use finish::FinishError;
pub use id::TransactionId;
pub use patch::{Patch, PatchError};
pub use path::{PATH_BYTES_MAX, TreePath, TreePathError};
pub use plan::{Plan, PrepareError};
pub use reader::{ReaderFault, read};
pub use revert::{RevertError, revert};
pub use workspace::{Roots, RootsError, Workspace};
