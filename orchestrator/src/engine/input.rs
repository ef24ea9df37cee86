//! Everything that can happen to a run from outside, and why it may be refused.

use std::collections::BTreeMap;

use phisync_state::Timestamp;
use phisync_workflows::schema::Violation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Delivery, Failure, FoundFile, PassOutcome, RawJson, RunId, TouchedDocument, TouchedFile,
    Trigger,
};

/// The outside world at the time of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// 64 random bits, for jitter.
    pub dice: u64,
}

/// A request for a new run, its inputs checked already.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its name.
    pub run: RunId,
    /// Checked inputs, defaults filled in.
    pub inputs: Map<String, Value>,
    /// Checked settings, defaults filled in: they stay as they are now, whatever the deployment does.
    pub config: Map<String, Value>,
    /// For searching.
    pub labels: BTreeMap<String, String>,
    /// Who asks.
    pub by: String,
    /// What made it start; `None`: the one who asks.
    pub trigger: Option<Trigger>,
    /// Whether it waits for others with the same concurrency key first.
    pub held: bool,
}

/// What a person does about an undo that failed for good, or about a run that stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Try again.
    Retry,
    /// Go on with the next.
    Skip,
    /// Undo nothing more.
    Abandon,
}

/// How a run ended that another one called.
#[derive(Clone, Debug)]
pub struct ChildEnd {
    /// Which.
    pub run: RunId,
    /// How.
    pub outcome: PassOutcome,
    /// Its outputs.
    pub output: Option<RawJson>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// How far a change of files has got.
#[derive(Clone, Debug)]
pub enum FilesEnd {
    /// It happens: its record is in the same batch.
    Decided {
        /// The transaction.
        transaction: String,
        /// What the step gives once it has happened.
        output: RawJson,
    },
    /// It has happened on every disk.
    Done,
    /// It never happened.
    Failed(Failure),
}

/// Something from outside, for one run that exists.
#[derive(Clone, Debug)]
pub enum Input {
    /// An agent takes a ready task.
    Claim {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// Who.
        agent: String,
        /// The epoch of the store, the upper part of the token.
        epoch: u64,
    },
    /// The holder reports a result.
    Complete {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// The result.
        output: RawJson,
        /// What was found on disk, as far as the core has asked for it.
        proof: Vec<FoundFile>,
    },
    /// The holder reports an error.
    Fail {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// What went wrong.
        error: Failure,
        /// The agent's own opinion whether trying again makes sense.
        retryable: Option<bool>,
        /// No attempt before this long from now, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// The holder gives the task back.
    Release {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// Whether the work had begun.
        begun: bool,
    },
    /// The holder asks people, and does not work until they have answered.
    Ask {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// What is asked.
        question: String,
        /// JSON Schema of the data that an answer has to carry.
        form: Option<RawJson>,
    },
    /// Somebody answers what the holder of a task asked. Whether they may was checked by the caller, who
    /// knows roles.
    Answer {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// Who.
        by: String,
        /// In their words.
        text: Option<String>,
        /// The data that the form asks for.
        form: Option<RawJson>,
        /// What they were shown.
        shown_hash: Option<String>,
    },
    /// What the holder said last about how far it is matters now.
    NoteProgress {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// What it said.
        progress: RawJson,
        /// When it said so.
        said_at: Timestamp,
    },
    /// The holder changes documents or files under its token.
    Write {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The holder's token.
        token: u64,
        /// The transaction.
        transaction: String,
        /// Documents, as they are left.
        documents: Vec<TouchedDocument>,
        /// Files.
        files: Vec<TouchedFile>,
    },
    /// The holder has been silent for too long, or is dead.
    LoseLease {
        /// The step's name.
        step: String,
        /// Whether it is the step's undo.
        undo: bool,
        /// The token that is revoked.
        token: u64,
        /// How it was noticed.
        why: String,
    },
    /// Somebody decides an approval. Whether they may was checked by the caller, who knows roles.
    Decide {
        /// The step's name.
        step: String,
        /// One of the approval's options.
        decision: String,
        /// Who.
        by: String,
        /// In their words.
        comment: Option<String>,
        /// The data that the form asks for.
        form: Option<RawJson>,
        /// What they were shown.
        shown_hash: Option<String>,
    },
    /// Time has passed: every deadline up to now is due.
    Tick,
    /// Somebody wants the run to end.
    Cancel {
        /// Who.
        by: String,
        /// In their words.
        reason: Option<String>,
    },
    /// Somebody wants nothing new to be dispatched.
    Pause {
        /// Who.
        by: String,
        /// In their words.
        reason: Option<String>,
    },
    /// Somebody wants a paused run to go on.
    Resume {
        /// Who.
        by: String,
    },
    /// The turn of a run has come that waited for others with the same concurrency key.
    Admit,
    /// Somebody sends the run a signal.
    Signal {
        /// Its name.
        name: String,
        /// What it says.
        data: RawJson,
        /// Who.
        by: String,
    },
    /// An event that a waiting step listens for.
    Deliver {
        /// The step's name.
        step: String,
        /// What came.
        what: Delivery,
    },
    /// The run that a step called has ended, or could not begin.
    ChildEnded {
        /// The step's name.
        step: String,
        /// How.
        end: ChildEnd,
    },
    /// The change of files that a step wants has got further.
    FilesEnded {
        /// The step's name.
        step: String,
        /// Which attempt.
        attempt: u32,
        /// How far.
        end: FilesEnd,
    },
    /// A person decides about a run that stalled: it is looked at again, fails by its own rules, or is closed
    /// as it stands.
    ResolveStall {
        /// What.
        action: Resolution,
        /// In their words.
        reason: String,
        /// Who.
        by: String,
    },
    /// A person decides about an undo that failed for good.
    Resolve {
        /// The step's name.
        step: String,
        /// What.
        action: Resolution,
        /// In their words.
        reason: String,
        /// Who.
        by: String,
    },
}

/// Why an input had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The run has no such step.
    #[error("run `{run}` has no step `{step}`")]
    NoSuchStep {
        /// The run.
        run: RunId,
        /// What was asked for.
        step: String,
    },
    /// The step has no such task (now).
    #[error("`{task}` is not {wanted}: it is {found}")]
    NotInState {
        /// The task, approval or incident.
        task: String,
        /// What the input needs.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// A fencing token that is not the current holder's.
    #[error("token {token} of `{task}` is stale: {current}")]
    StaleToken {
        /// The task.
        task: String,
        /// The token that came.
        token: u64,
        /// Who holds it now, in words.
        current: String,
    },
    /// The same token with another result.
    #[error("`{task}` is already {outcome} under token {token}, with another result")]
    AlreadyEnded {
        /// The task.
        task: String,
        /// The token that came.
        token: u64,
        /// `completed` or `failed`.
        outcome: &'static str,
    },
    /// A result that breaks the step's schema. The attempt stays open.
    #[error("the result of `{task}` does not match its schema")]
    BadOutput {
        /// The task.
        task: String,
        /// Everything that is wrong.
        violations: Vec<Violation>,
    },
    /// Nobody has looked yet at files that prove the result. Whoever can, does, and asks again.
    #[error("the result of `{task}` is proved by files: {}", .files.join(", "))]
    ProofWanted {
        /// The task.
        task: String,
        /// Which files.
        files: Vec<String>,
    },
    /// A result without the proof that the step asks for.
    #[error("the result of `{task}` lacks its proof; {left} more may be tried")]
    Unproven {
        /// The task.
        task: String,
        /// What does not hold.
        unmet: Vec<Violation>,
        /// How often another result may come before the attempt ends; 0: it has ended.
        left: u32,
    },
    /// A question that cannot be put to people.
    #[error("`{task}` cannot ask that: {reason}")]
    BadQuestion {
        /// The task.
        task: String,
        /// Why not.
        reason: String,
    },
    /// A decision about something else than what stands there now.
    #[error("the decision is about another content of `{step}`: look at it again")]
    OtherContent {
        /// The step.
        step: String,
    },
    /// An answer that the approval does not have.
    #[error("`{decision}` is no answer to `{step}`: {}", .options.join(", "))]
    NoSuchOption {
        /// The step.
        step: String,
        /// What was said.
        decision: String,
        /// What can be said.
        options: Vec<String>,
    },
    /// Data of an answer that breaks the form.
    #[error("the form of `{step}` is not filled in as it should be")]
    BadForm {
        /// The step.
        step: String,
        /// Everything that is wrong.
        violations: Vec<Violation>,
    },
    /// Somebody decides the other way after having decided.
    #[error("`{by}` has already decided `{step}` the other way")]
    AlreadyDecided {
        /// The step.
        step: String,
        /// Who.
        by: String,
    },
    /// Somebody who may not decide.
    #[error("`{by}` may not decide `{step}`: {reason}")]
    MayNotDecide {
        /// The step.
        step: String,
        /// Who.
        by: String,
        /// Why not.
        reason: String,
    },
    /// The run stands still.
    #[error("run `{run}` is paused: nothing new is dispatched")]
    Paused {
        /// The run.
        run: RunId,
    },
    /// The run is closed.
    #[error("run `{run}` is closed")]
    RunClosed {
        /// The run.
        run: RunId,
    },
}
