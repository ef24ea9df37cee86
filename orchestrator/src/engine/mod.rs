//! The engine: what an input means for one run. Pure: no clock, no disk, no randomness.
//!
//! [`decide`] turns an input into facts ([`RunEvent`]s); [`apply`] folds a fact into a
//! [`RunState`]. Replaying a run's events gives its state again, byte for byte. Times and dice
//! come in with the input ([`Moment`]) and leave in events, so a fold never needs them again.
//! Who stores the facts, and who answers whom, is the `coordinator`'s business.

mod apply;
mod approval;
mod block;
mod blocks;
mod call;
mod decide;
mod ending;
mod event;
mod fencing;
mod files;
mod fork;
mod handoff;
mod id;
mod input;
mod listen;
mod pass;
mod pause;
mod proof;
mod question;
mod raw;
mod retry;
mod rewind;
mod run;
mod saga;
mod scope;
mod settle;
mod status;
mod step;
mod task;
mod timing;
mod trace;
mod trigger;
mod waiting;
mod waker;
mod walk;
mod watchdog;
mod who;

pub use apply::apply;
pub use block::{Block, Many, PassEnd, Progress};
pub use decide::{Decision, decide, start};
pub use event::{
    BlockWork, CancelReason, Failure, PassOutcome, RunEvent, Then, TouchedDocument, TouchedFile,
    Undo,
};
pub use files::{FilesOrder, FilesStage, FilesWork, OrderedChange, OrderedOp};
pub use fork::{Fact, ForkRefusal, fork, retry, unwind};
pub use handoff::{Past, Reached, Touch, Touched, Trail, handoff};
pub use id::{BadTaskId, RunId, TaskId};
pub use input::{ChildEnd, FilesEnd, Input, Moment, Rejection, Resolution, Start};
pub use listen::{Delivery, Listening, Source, Subscription, value_at};
pub use pass::{Pass, PassId, PassStatus, Slot};
pub use pause::Pause;
pub use proof::{Finding, FoundFile, Refusals, Unmet};
pub use question::{Question, QuestionAnswer};
pub use raw::RawJson;
pub use rewind::{Effect, Rewind, Rewound, effects, fold, rewind, standing, undo_start};
pub use run::{RunState, Undoing};
pub use status::{Phase, RunStatus, StepStatus, TaskStatus};
pub use step::{Approval, Ended, Holder, StepState, TaskState, UndoOf, Verdict};
pub(crate) use task::rules;
pub use trace::{Transition, apply_traced};
pub use trigger::Trigger;
pub use waker::Waker;
pub use walk::{Stage, Walk};
pub use watchdog::{Stall, watch, watch_all};
