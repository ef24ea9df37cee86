//! What people do to a run that exists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `POST /v1/runs/{id}/cancel`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/pause`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/resume`: nothing to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {}

/// `POST /v1/runs/{id}/retry`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Begin again with this step; without it, with whatever has not succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Also past steps that cannot be undone.
    #[serde(default)]
    pub confirm: bool,
    /// Name of the new run.
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `POST /v1/runs/{id}/fork`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkRequest {
    /// Keep everything up to this sequence of the store.
    pub at: u64,
    /// Also before steps that cannot be undone.
    #[serde(default)]
    pub confirm: bool,
    /// Name of the new run.
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// `POST /v1/runs/{id}/signal`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// The signal's name, as `deploy.approved`.
    #[schemars(extend("pattern" = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*$", "maxLength" = 100))]
    pub name: String,
    /// What it says; `null` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// `POST /v1/runs/{id}/pause`, `resume` and `signal`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// The run.
    pub id: String,
    /// `running completed failed cancelled`.
    #[schemars(extend("enum" = ["running", "completed", "failed", "cancelled"]))]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// Who wanted it.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub at: String,
}
