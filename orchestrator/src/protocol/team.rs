//! The team on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of `GET /v1/agents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
    /// Milliseconds since what it says of its progress last changed, of the task where that is longest;
    /// absent if it says nothing. An agent that lives and stands still is stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_ms: Option<u64>,
}

/// `GET /v1/agents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentList {
    /// By name.
    pub agents: Vec<AgentSummary>,
}
