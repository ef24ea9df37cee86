//! What crosses the wire between the server and people: the JSON of `/v1`, version 1.
//!
//! The wire of agents (tasks, polls, reports) stands in `phisync_agents::protocol`. Requests
//! refuse unknown fields; answers may gain fields. Times are RFC 3339 in UTC.

mod snapshots;

pub use snapshots::{SnapshotList, SnapshotSummary, SnapshotTaken, TakenSummary};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use crate::coordinator::{OnClosed, OnOpen};
mod shared;

pub use shared::{
    AcquireRequest, Acquired, ChangedDocument, ChangedFile, DocumentDetail, DocumentList,
    DocumentSummary, KeptFile, LockList, LockSummary, LockTokenRequest, TransactionDetail,
    TransactionList, TransactionSummary,
};

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `GET /healthz`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `read_only` while the disk takes nothing.
    pub status: String,
    /// Why it is not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What durable means here: `sync`, `interval` or `none`.
    pub mode: String,
    /// How often somebody knew a head that this journal never had.
    #[serde(default)]
    pub alarms: u64,
    /// The last durable record.
    pub head_seq: u64,
    /// The chain hash after it.
    pub head_hash: String,
    /// The program's version.
    pub version: String,
    /// Which of all servers answers: a new word with every start.
    pub instance: String,
}

/// `GET /v1/me`: who the token says is calling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Me {
    /// `admin operator person agent viewer`.
    pub role: String,
    /// The agent or person whose token it is, or whom the owner acts as; lower-case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `POST /v1/workflows`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// The workflow's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The definition's hash.
    pub hash: String,
}

/// `POST /v1/runs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// A registered workflow, the newest version of that name. One of this and `definition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The YAML text of one workflow; it is registered if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Values of the workflow's inputs.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// The run's name; chosen by the server without it. Taken: 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which business it is about: at most one open run of the workflow has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// If an open run has the key: `attach` (the answer is that run) or `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_open: Option<OnOpen>,
    /// If a closed run has the key: `start` (another one) or `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_closed: Option<OnClosed>,
    /// For searching.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Answer with the outcome if the run closes within this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<f64>,
}

/// `POST /v1/runs`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// The run.
    pub id: String,
    /// Where it stands: `running completed failed cancelled`.
    pub status: String,
    /// Sequence of its last record.
    pub seq: u64,
    /// The outputs, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Whether nothing was started: the key of the start named this open run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attached: bool,
}

/// Why something failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// A code of the language's list.
    pub code: String,
    /// For people.
    pub message: String,
    /// The step that failed, in a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// More, if the one who failed gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// One line of `GET /v1/runs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's version.
    pub version: String,
    /// `running completed failed cancelled`.
    pub status: String,
    /// `forward failing cancelling compensating closed`.
    pub phase: String,
    /// When it started.
    pub started_at: String,
    /// When it closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// Who started it.
    pub by: String,
    /// For searching.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Why it failed or fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// `none done partial abandoned`.
    pub undo: String,
}

/// `GET /v1/runs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunList {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Ask with `cursor=` this for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/runs/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The definition's hash.
    pub definition: String,
    /// How many events it has.
    pub events: u64,
    /// When it must have ended.
    pub deadline: String,
    /// Checked inputs.
    pub inputs: Map<String, Value>,
    /// Its steps, in file order.
    pub steps: Vec<StepDetail>,
    /// The outputs, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Value>,
}

/// One step of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StepDetail {
    /// The step.
    pub id: String,
    /// `task approval fail`.
    pub kind: String,
    /// `pending ready running waiting completed failed skipped cancelled compensating compensated
    /// compensation_failed`.
    pub status: String,
    /// Attempts so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// The agent of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When it became ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it got its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What it waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Of a step with many rounds (`id` is then `STEP.*`): how many stand at each status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rounds: BTreeMap<String, u32>,
}

/// One event of `GET /v1/runs/{id}/events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its place in the store.
    pub seq: u64,
    /// Its place in the run, from 1.
    pub version: u64,
    /// When.
    pub at: String,
    /// The transitions it made, as lines of the transition log.
    pub log: Vec<String>,
    /// The event, as it stands in the journal.
    pub event: Box<RawValue>,
}

/// `GET /v1/runs/{id}/events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventList {
    /// In order.
    pub events: Vec<EventRecord>,
    /// Ask with `from=` this for what follows.
    pub next: u64,
    /// Whether nothing follows any more.
    pub closed: bool,
}

/// `GET /v1/runs/{id}/why`: what a thing waits for, and why that is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// `run ID`, `step NAME`, `task NAME#ATTEMPT`, `undo NAME#ATTEMPT`.
    pub subject: String,
    /// Its state.
    pub state: String,
    /// `needs steps agent lease timer person undo incident`, or `none` when final.
    pub waker: String,
    /// In words.
    pub text: String,
    /// Until when, if a clock ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What must happen first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Why>,
}

/// `POST /v1/runs/{id}/cancel`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/pause`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/resume`: nothing to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {}

/// `POST /v1/runs/{id}/retry`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Begin again with this step; without it, with whatever has not succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Also past steps that cannot be undone.
    #[serde(default)]
    pub confirm: bool,
    /// Name of the new run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `POST /v1/runs/{id}/fork`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkRequest {
    /// Keep everything up to this sequence of the store.
    pub at: u64,
    /// Also before steps that cannot be undone.
    #[serde(default)]
    pub confirm: bool,
    /// Name of the new run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `POST /v1/runs/{id}/signal`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// The signal's name, as `deploy.approved`.
    pub name: String,
    /// What it says; `null` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// `POST /v1/runs/{id}/pause`, `resume` and `signal`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The run.
    pub id: String,
    /// `running completed failed cancelled`.
    pub status: String,
    /// The version of its stream.
    pub seq: u64,
    /// Why it stands still, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Whether it is paused and no agent works on it any more.
    pub quiet: bool,
    /// Tasks that agents hold.
    pub held: Vec<String>,
}

/// Why a run stands still.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paused {
    /// Who wanted it.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub at: String,
}

/// `POST /v1/events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// The event's name, as `deploy.finished`.
    pub event: String,
    /// What it says; `null` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// Sent again with the same key, it is the same event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// `POST /v1/events`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventSent {
    /// Its name.
    pub event: String,
    /// Its number among all of that name.
    pub number: u64,
}

/// One line of `GET /v1/schedules`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleSummary {
    /// The workflow.
    pub workflow: String,
    /// The schedule's id.
    pub id: String,
    /// The cron expression, or `every 600s`.
    pub timing: String,
    /// Whose clocks.
    pub timezone: String,
    /// `skip queue replace allow`.
    pub overlap: String,
    /// Whether the workflow wants it to start anything.
    pub enabled: bool,
    /// Why it starts nothing, if somebody paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// The next instant, if it starts anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// The last run that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
}

/// `GET /v1/schedules`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleList {
    /// By workflow and id.
    pub schedules: Vec<ScheduleSummary>,
}

/// `GET /v1/schedules/{name}/{id}`, and the answer of what is done to one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: ScheduleSummary,
    /// The next instants on its own clocks, as many as were asked for.
    pub next: Vec<String>,
    /// Instants that wait for a run to close.
    pub waiting: Vec<String>,
    /// Runs of it that are open.
    pub open_runs: Vec<String>,
    /// What it did last, newest first.
    pub past: Vec<SchedulePast>,
}

/// Something that a schedule did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SchedulePast {
    /// The instant; absent if it was set off by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<String>,
    /// When.
    pub at: String,
    /// The run that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// `POST /v1/schedules/{name}/{id}/backfill`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillRequest {
    /// The first instant that counts, RFC 3339.
    pub from: String,
    /// The last one, RFC 3339.
    pub to: String,
}

/// One line of `GET /v1/agents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentSummary {
    /// As declared.
    pub name: String,
    /// `unseen alive suspect dead`.
    pub verdict: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Tasks at once.
    pub concurrency: u32,
    /// Task ids it holds.
    pub holds: Vec<String>,
    /// Milliseconds since its last sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
}

/// `GET /v1/agents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentList {
    /// By name.
    pub agents: Vec<AgentSummary>,
}

/// One line of `GET /v1/approvals`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalSummary {
    /// `RUN.STEP`.
    pub id: String,
    /// The run.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// The step.
    pub step: String,
    /// `waiting`, or how it ended: `completed failed cancelled`.
    pub status: String,
    /// What is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<Value>,
    /// Hash of both; a decision names it.
    pub shown_hash: String,
    /// What can be answered.
    #[serde(default)]
    pub options: Vec<String>,
    /// The schema of the data that an answer carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// Roles that may decide.
    pub roles: Vec<String>,
    /// People that may decide.
    pub users: Vec<String>,
    /// Agents that may decide.
    pub agents: Vec<String>,
    /// Names that may not: who did the work.
    pub excluded: Vec<String>,
    /// Approvals needed.
    pub quorum: u32,
    /// Who has approved so far.
    pub approved_by: Vec<String>,
    /// Since when.
    pub requested_at: String,
    /// Until when.
    pub deadline: String,
}

/// `GET /v1/approvals`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalList {
    /// The next to expire first.
    pub approvals: Vec<ApprovalSummary>,
}

/// `POST /v1/approvals/{id}/decide`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// One of the approval's options; `approve` or `reject` unless it has others.
    pub decision: String,
    /// What was shown; a decision about something else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_hash: Option<String>,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The data that the approval's form asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Box<RawValue>>,
}

/// One line of `GET /v1/incidents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentSummary {
    /// `RUN.STEP`.
    pub id: String,
    /// The run.
    pub run: String,
    /// The step that could not be undone.
    pub step: String,
    /// Why.
    pub error: Failure,
}

/// `GET /v1/incidents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentList {
    /// By run.
    pub incidents: Vec<IncidentSummary>,
}

/// `POST /v1/incidents/{id}/resolve`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// `retry skip abandon`.
    pub action: String,
    /// Why, for people.
    pub reason: String,
}

/// One workflow of `GET /v1/workflows`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkflowList {
    /// The newest version of each, by name.
    pub workflows: Vec<Registered>,
}

/// `POST /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// `agent person viewer operator admin`.
    pub role: String,
    /// The agent's or person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it is good for, in seconds; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `POST /v1/tokens` and `POST /v1/tokens/{id}/rotate`, the answer: the only time that the secret is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenCreated {
    /// Public part.
    pub id: String,
    /// The whole token.
    pub token: String,
}

/// One line of `GET /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Public part.
    pub id: String,
    /// Its role.
    pub role: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Until when it is good, if not until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// `GET /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenList {
    /// By id.
    pub tokens: Vec<TokenSummary>,
}
