//! The facts of a run, as they stand in the journal.
//!
//! This is a format: version 1. Fields are only ever added, with a default; `tests/fixtures`
//! holds journals that every later version must replay. Events are externally tagged
//! (`{"task_claimed":{...}}`), because payloads stay raw text and serde cannot keep raw text
//! inside an internally tagged enum.
//!
//! [`RunEvent`] is one long enum on purpose: the page of formats is written from it, and a reader
//! finds every fact of a run in one place. What its fields are made of stands in `event/`.

mod ending;
mod field;
mod subject;
mod work;

use std::collections::BTreeMap;

use phisync_state::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FilesOrder, RawJson, RunId, Source, Subscription, Trigger, Unmet};
use field::{is_false, is_one, one, present};

pub use ending::{CancelReason, Failure, PassOutcome, Then, Undo};
pub use work::{BlockWork, TouchedDocument, TouchedFile};

/// One fact of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// The run exists.
    RunStarted {
        /// Its name.
        run: RunId,
        /// The workflow's name.
        workflow: String,
        /// SHA-256 of the definition it is pinned to.
        definition: String,
        /// Checked inputs, defaults filled in.
        inputs: Map<String, Value>,
        /// For searching.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        /// Who asked for it.
        by: String,
        /// When.
        at: Timestamp,
        /// When it must have ended.
        deadline: Timestamp,
        /// What made it start; absent: somebody who asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trigger: Option<Trigger>,
        /// The deployment's settings as they were then, checked, defaults filled in.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        config: Map<String, Value>,
    },
    /// Nothing new is dispatched from now on.
    RunPaused {
        /// Who.
        by: String,
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The pause is over: clocks that stood still go on.
    RunResumed {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// The run went back: only so many of its facts still count, and those from this one on.
    RunRewound {
        /// How many, from the first on.
        to: u64,
        /// Who.
        by: String,
        /// In their words.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The run waits for others with the same concurrency key: none of its steps begins.
    RunHeld {
        /// When.
        at: Timestamp,
    },
    /// Its turn has come.
    RunAdmitted {
        /// When.
        at: Timestamp,
    },
    /// Somebody sent the run a signal.
    SignalReceived {
        /// Its name.
        name: String,
        /// What it says.
        data: RawJson,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A step waits for events or signals.
    EventAwaited {
        /// The step.
        step: String,
        /// For which.
        subscription: Subscription,
        /// When.
        at: Timestamp,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A waiting step heard one: it will not hear it again.
    EventDelivered {
        /// The step.
        step: String,
        /// Where it came from.
        source: Source,
        /// Its number among all of its source.
        number: u64,
        /// What it says.
        data: RawJson,
        /// When.
        at: Timestamp,
    },
    /// A step sent an event to everybody; it stands in the event's stream in the same batch.
    EventEmitted {
        /// The step.
        step: String,
        /// The event's name.
        event: String,
        /// What it says.
        data: RawJson,
        /// Tells whether it was sent before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The run that gets it as a signal; absent: everybody may hear it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The signal that a step sent reached nobody.
    SignalLost {
        /// The step.
        step: String,
        /// The signal's name.
        signal: String,
        /// The run that it was for, as it was written.
        to: String,
        /// Why it is lost.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// A condition was false.
    StepSkipped {
        /// The step.
        step: String,
        /// When.
        at: Timestamp,
    },
    /// A step that is not done by an agent succeeded.
    StepCompleted {
        /// The step.
        step: String,
        /// Its output.
        output: RawJson,
        /// When.
        at: Timestamp,
    },
    /// A step failed without an attempt of an agent: a bad expression, a `fail`, a refusal.
    StepFailed {
        /// The step.
        step: String,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
    },
    /// A step will not run, or not on.
    StepCancelled {
        /// The step.
        step: String,
        /// Why.
        reason: CancelReason,
        /// When.
        at: Timestamp,
    },
    /// A step that runs bodies begins.
    BlockStarted {
        /// The step.
        step: String,
        /// Which time, from 1.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        attempt: u32,
        /// What it works on.
        work: BlockWork,
        /// When.
        at: Timestamp,
        /// When it must have ended for good; told the first time only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A block will fail; what is open in it is being cancelled.
    BlockFailing {
        /// The step.
        step: String,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
    },
    /// A block is told to stop; what is open in it is being cancelled.
    BlockCancelling {
        /// The step.
        step: String,
        /// Why.
        reason: CancelReason,
        /// When.
        at: Timestamp,
    },
    /// A block failed and begins anew.
    BlockRetried {
        /// The step.
        step: String,
        /// Why it failed.
        error: Failure,
        /// When.
        at: Timestamp,
        /// When it begins.
        due: Timestamp,
    },
    /// The run that a step called has ended, or could not begin.
    ChildEnded {
        /// The step.
        step: String,
        /// The run.
        run: RunId,
        /// How.
        outcome: PassOutcome,
        /// Its outputs.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        output: Option<RawJson>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
        /// When.
        at: Timestamp,
    },
    /// A step wants files changed, all or none.
    FilesWanted {
        /// The step.
        step: String,
        /// Which time, from 1.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        attempt: u32,
        /// What, evaluated.
        order: FilesOrder,
        /// When.
        at: Timestamp,
        /// When it must have been decided.
        deadline: Timestamp,
    },
    /// The files change, whatever comes; the transaction's record stands in the same batch.
    FilesDecided {
        /// The step.
        step: String,
        /// The transaction.
        transaction: String,
        /// What the step gives once every disk is done.
        output: RawJson,
        /// When.
        at: Timestamp,
    },
    /// The files did not change, and it is tried again.
    FilesRetried {
        /// The step.
        step: String,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
        /// When it begins anew.
        due: Timestamp,
    },
    /// A step waits for a time.
    TimerSet {
        /// The step.
        step: String,
        /// When.
        at: Timestamp,
        /// Until when.
        due: Timestamp,
    },
    /// A body is entered. Its name is the owner's, a slash, the part, and a dot and the round if it
    /// repeats: `each/do.3`, `pay/handler`, `/finally`.
    PassOpened {
        /// Its name.
        pass: String,
        /// When.
        at: Timestamp,
    },
    /// A step of a body failed, and so will the body; what is open in it is being cancelled.
    PassFailing {
        /// Its name.
        pass: String,
        /// The step.
        step: String,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
    },
    /// A body is told to stop; what is open in it is being cancelled.
    PassStopping {
        /// Its name.
        pass: String,
        /// Why.
        reason: CancelReason,
        /// When.
        at: Timestamp,
    },
    /// Every step of a body has ended.
    PassEnded {
        /// Its name.
        pass: String,
        /// How.
        outcome: PassOutcome,
        /// What it gives the block.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        output: Option<RawJson>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
        /// What the next iteration of a loop gets; absent: there is none.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        next: Option<RawJson>,
        /// When the next iteration begins, if not at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
        /// Whether a loop may go on no more though it should.
        #[serde(default, skip_serializing_if = "is_false")]
        exhausted: bool,
        /// When.
        at: Timestamp,
    },
    /// A task entered the queue for its first attempt.
    TaskReady {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// What the agent gets.
        input: RawJson,
        /// Instructions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// What comes along with the input.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<RawJson>,
        /// Idempotency key, the same for all attempts; absent: the task's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// When.
        at: Timestamp,
        /// When somebody must have taken it.
        queue_deadline: Timestamp,
        /// When it must have ended for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_deadline: Option<Timestamp>,
    },
    /// An agent took it.
    TaskClaimed {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Number of this attempt, from 1.
        attempt: u32,
        /// Who.
        agent: String,
        /// Fencing token: larger than every earlier one of the task.
        token: u64,
        /// When.
        at: Timestamp,
        /// When the attempt must have ended.
        run_deadline: Timestamp,
    },
    /// The holder's result was accepted.
    TaskCompleted {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// The result as it came.
        output: RawJson,
        /// The step's output where `yield` maps the result.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        yielded: Option<RawJson>,
        /// When.
        at: Timestamp,
    },
    /// An attempt, or the wait for one, ended with an error.
    TaskFailed {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token; absent when nobody held it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<u64>,
        /// Why.
        error: Failure,
        /// What follows.
        then: Then,
        /// When.
        at: Timestamp,
    },
    /// The holder gave it back.
    TaskReleased {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// Whether the work had begun, so that the world may have changed.
        #[serde(default, skip_serializing_if = "is_false")]
        begun: bool,
        /// When.
        at: Timestamp,
        /// When somebody must have taken it.
        queue_deadline: Timestamp,
    },
    /// The holder asks people. Nobody holds the task until somebody answers.
    TaskAsked {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// What is asked.
        question: String,
        /// JSON Schema of the data that an answer has to carry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        form: Option<RawJson>,
        /// SHA-256 of both: an answer says which question it is about.
        shown_hash: String,
        /// When.
        at: Timestamp,
        /// Until when.
        deadline: Timestamp,
    },
    /// Somebody answered; the task is offered again, with the answer.
    TaskAnswered {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Who.
        by: String,
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The data that the form asks for.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        form: Option<RawJson>,
        /// When.
        at: Timestamp,
        /// When somebody must have taken it.
        queue_deadline: Timestamp,
    },
    /// The holder's result lacked the proof that `accept` asks for; the attempt goes on.
    TaskUnproven {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// What did not hold.
        unmet: Vec<Unmet>,
        /// When.
        at: Timestamp,
    },
    /// How far the holder had said it was, when that began to matter: it fell silent, or gave up.
    TaskProgressed {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// What it said last.
        progress: RawJson,
        /// When it said so.
        said_at: Timestamp,
        /// When this was noted.
        at: Timestamp,
    },
    /// The holder changed documents or files under its token. In the batch that made the change happen.
    TaskWrote {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Under which token.
        token: u64,
        /// The transaction.
        transaction: String,
        /// Documents, as they were left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        documents: Vec<TouchedDocument>,
        /// Files.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<TouchedFile>,
        /// When.
        at: Timestamp,
    },
    /// The back-off is over.
    TaskRetried {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// When.
        at: Timestamp,
        /// When somebody must have taken it.
        queue_deadline: Timestamp,
    },
    /// The holder is asked to stop, in the answer to its next heartbeat.
    TaskCancelRequested {
        /// The step.
        step: String,
        /// Whether it undoes the step.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// Why.
        reason: CancelReason,
    },
    /// A decision is wanted.
    ApprovalRequested {
        /// The step.
        step: String,
        /// What is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// What is shown.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        show: Option<RawJson>,
        /// SHA-256 of prompt and show: a decision says which one it is about.
        shown_hash: String,
        /// Names that may not decide: who did the work.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        excluded: Vec<String>,
        /// When.
        at: Timestamp,
        /// Until when.
        deadline: Timestamp,
        /// When others may decide, too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        escalates_at: Option<Timestamp>,
    },
    /// Somebody decided.
    ApprovalDecided {
        /// The step.
        step: String,
        /// Yes or no.
        approved: bool,
        /// The option, where it is neither `approve` nor `reject`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
        /// Who.
        by: String,
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The data that the form asks for.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        form: Option<RawJson>,
        /// When.
        at: Timestamp,
    },
    /// Nobody has decided yet: from now on others may, too.
    ApprovalEscalated {
        /// The step.
        step: String,
        /// When.
        at: Timestamp,
    },
    /// The run will fail; what is open is being cancelled.
    RunFailing {
        /// The step that failed; absent: the run itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
    },
    /// The run will complete with these outputs; what is open is being cancelled.
    RunFinishing {
        /// The step that finished it; absent: all steps have ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// The outputs.
        outputs: RawJson,
        /// Whether the run had failed, and `on_failure` made it good.
        #[serde(default, skip_serializing_if = "is_false")]
        recovered: bool,
        /// When.
        at: Timestamp,
    },
    /// A state is visited.
    StateEntered {
        /// Its name.
        state: String,
        /// For the how-many-th time, from 1.
        visit: u32,
        /// When.
        at: Timestamp,
        /// When its time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A state is left; what is open in it is being cancelled.
    StateLeft {
        /// Its name.
        state: String,
        /// Which visit, from 1.
        visit: u32,
        /// Which state is next.
        to: String,
        /// What took the token away: an outcome, an option, `timeout`, an event or a signal.
        by: String,
        /// Variables that the transition writes.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        set: Option<RawJson>,
        /// When.
        at: Timestamp,
    },
    /// Somebody cancelled the run; what is open is being cancelled.
    RunCancelling {
        /// Who.
        by: String,
        /// In their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The undoing begins, in this order.
    UndoStarted {
        /// The block whose steps they are; absent: the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<String>,
        /// Steps, first to undo first.
        steps: Vec<String>,
        /// Steps that another run has undone before, which tried to undo the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        already: Vec<String>,
        /// Why the block failed; a run says that by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
        /// When.
        at: Timestamp,
    },
    /// An undo failed for good: a person decides.
    IncidentOpened {
        /// The step that could not be undone.
        step: String,
        /// Why.
        error: Failure,
        /// When.
        at: Timestamp,
    },
    /// A person decided.
    IncidentResolved {
        /// The step.
        step: String,
        /// What.
        action: super::Resolution,
        /// In their words.
        reason: String,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Something is open and has nobody to wake it: a defect, about which a person decides.
    StallFound {
        /// The step; absent: the run itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// What was found, in words.
        found: String,
        /// When.
        at: Timestamp,
    },
    /// A person decided.
    StallResolved {
        /// What.
        action: super::Resolution,
        /// In their words.
        reason: String,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Closed well.
    RunCompleted {
        /// The outputs.
        outputs: RawJson,
        /// When.
        at: Timestamp,
    },
    /// Closed badly.
    RunFailed {
        /// How far it was undone.
        undo: Undo,
        /// When.
        at: Timestamp,
    },
    /// Closed because somebody wanted it.
    RunCancelled {
        /// How far it was undone.
        undo: Undo,
        /// When.
        at: Timestamp,
    },
}
