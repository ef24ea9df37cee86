//! Runs on the wire: how they start, where they stand, what happened and what they wait for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a second start with the key of an open run means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOpen {
    /// The answer is the open run.
    #[default]
    Attach,
    /// It is refused.
    Reject,
}

/// What a start with the key of a closed run means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnClosed {
    /// A new run takes the key.
    #[default]
    Start,
    /// It is refused.
    Reject,
}

/// `POST /v1/runs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The run.
    pub id: String,
    /// Where it stands: `running completed failed cancelled`.
    #[schemars(extend("enum" = ["running", "completed", "failed", "cancelled"]))]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's version.
    pub version: String,
    /// `running completed failed cancelled`.
    #[schemars(extend("enum" = ["running", "completed", "failed", "cancelled"]))]
    pub status: String,
    /// `forward failing cancelling finishing handling compensating cleaning closed`.
    #[schemars(extend("enum" = ["forward", "failing", "cancelling", "finishing", "handling", "compensating", "cleaning", "closed"]))]
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
    #[schemars(extend("enum" = ["none", "done", "partial", "abandoned"]))]
    pub undo: String,
}

/// `GET /v1/runs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Ask with `cursor=` this for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/runs/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The definition's hash.
    pub definition: String,
    /// How many events it has.
    pub events: u64,
    /// That it went back, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewound: Option<super::RewoundTo>,
    /// When it must have ended.
    pub deadline: String,
    /// Checked inputs.
    pub inputs: Map<String, Value>,
    /// The settings of the deployment that it began with.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// Why it stands still, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_still: Option<String>,
    /// Its steps, in file order.
    pub steps: Vec<StepDetail>,
    /// The outputs, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Value>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One step of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepDetail {
    /// The step.
    pub id: String,
    /// The word that makes it a step of its kind: `task`, `approval`, `foreach` and so on.
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventList {
    /// In order.
    pub events: Vec<EventRecord>,
    /// Ask with `from=` this for what follows.
    pub next: u64,
    /// Whether nothing follows any more.
    pub closed: bool,
}

/// `GET /v1/runs/{id}/why`: what a thing waits for, and why that is open.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// `run ID`, `step NAME`, `task NAME#ATTEMPT`, `undo NAME#ATTEMPT`.
    pub subject: String,
    /// Its state.
    pub state: String,
    /// `needs steps agent lease timer person event run files undo incident`; of a run that stands still
    /// `resume` or `turn`; `none` when final.
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
