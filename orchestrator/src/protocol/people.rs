//! What waits for people: approvals and incidents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::runs::Failure;

/// Who wants to know something of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// The workflow: a step of its own.
    #[default]
    Approval,
    /// The agent that holds a task.
    Question,
}

/// One line of `GET /v1/approvals`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalSummary {
    /// `RUN.STEP`; of a question the task's id.
    pub id: String,
    /// `approval`, or the `question` of an agent.
    #[serde(default)]
    pub kind: Asks,
    /// The run.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// The step.
    pub step: String,
    /// `waiting`, or how it ended: `completed failed cancelled`; of a question `asking`, `answered`, or how
    /// the task stands.
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// The next to expire first.
    pub approvals: Vec<ApprovalSummary>,
}

/// `POST /v1/approvals/{id}/decide`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSummary {
    /// `RUN.STEP`; of a run that stalled `RUN`.
    pub id: String,
    /// `undo`: a step could not be undone. `stall`: the run is open, and nothing wakes it; `retry`
    /// looks again, `abandon` closes it as it stands.
    #[serde(default = "undo")]
    pub kind: String,
    /// The run.
    pub run: String,
    /// The step that could not be undone, or that stalled; empty: the run itself.
    pub step: String,
    /// Why.
    pub error: Failure,
}

/// `GET /v1/incidents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentList {
    /// By run.
    pub incidents: Vec<IncidentSummary>,
}

/// `POST /v1/incidents/{id}/resolve`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// `retry skip abandon`.
    #[schemars(extend("enum" = ["retry", "skip", "abandon"]))]
    pub action: String,
    /// Why, for people; more than blanks.
    #[schemars(extend("pattern" = r"\S"))]
    pub reason: String,
}

/// The kind of every incident of servers that knew one kind only.
fn undo() -> String {
    "undo".to_owned()
}
