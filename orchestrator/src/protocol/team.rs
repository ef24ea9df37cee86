//! The team on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TokenCreated;

/// One line of `GET /v1/agents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentSummary {
    /// As declared or registered.
    pub name: String,
    /// Where it comes from: `declared` in agents.yaml, or `registered` while a server ran.
    #[serde(default = "declared")]
    pub origin: String,
    /// `unseen alive suspect dead`.
    pub verdict: String,
    /// Whether it takes nothing more until somebody says otherwise.
    #[serde(default)]
    pub drained: bool,
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

/// `GET /v1/agents/{name}`, and the answer to draining it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: AgentSummary,
    /// Who registered it last. Beside the origin `declared`: the file is followed, and this rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_by: Option<AgentRegistration>,
    /// The group it belongs to.
    pub pool: String,
    /// How often it may take a task, such as `30/m`; absent: whenever it has room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// For how long its rate lets it take nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting_ms: Option<u64>,
    /// Its last sign of life that this server heard, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// Whether it waits for a task right now.
    pub waits: bool,
    /// `deadline phi`.
    pub detector: String,
    /// The longest silence it is allowed, as declared.
    pub silence_ms: u64,
    /// The silence at which it becomes suspect, as the detector finds it now.
    pub suspect_after_ms: u64,
    /// The silence at which it becomes dead.
    pub dead_after_ms: u64,
    /// How regularly it is heard of; absent while too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rhythm: Option<Rhythm>,
    /// The last change of the verdict, with the numbers that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// Who drained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_by: Option<Drained>,
    /// What it holds.
    pub tasks: Vec<HeldTask>,
    /// What became of its last attempts.
    pub work: AgentWork,
}

/// How regularly an agent is heard of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rhythm {
    /// Mean gap between signs of life, in milliseconds.
    pub mean_ms: u64,
    /// Standard deviation of the gaps, with the least that is assumed.
    pub deviation_ms: u64,
    /// How many gaps there were.
    pub gaps: usize,
    /// Minus the decimal logarithm of the chance that it is merely late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phi: Option<f64>,
}

/// A change of verdict.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// `unseen alive suspect dead`.
    pub from: String,
    /// Likewise.
    pub to: String,
    /// When, RFC 3339.
    pub at: String,
    /// How long it had been silent.
    pub silent_ms: u64,
    /// The silence that made it dead then.
    pub limit_ms: u64,
    /// The rhythm from which the limit was found; absent where it was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rhythm: Option<Rhythm>,
}

/// Who drained an agent, and why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Drained {
    /// Who.
    pub by: String,
    /// Why, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

/// A task in an agent's hands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldTask {
    /// Its id.
    pub task: String,
    /// When it was claimed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How long its lease lasts without another heartbeat.
    pub lease_left_ms: u64,
}

/// What became of an agent's last attempts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentWork {
    /// So many attempts are looked back at, at most.
    pub window: usize,
    /// Whose result was accepted.
    pub completed: usize,
    /// That ended with an error.
    pub failed: usize,
    /// That ended with a lost lease.
    pub lost: usize,
    /// That were given back or cancelled.
    pub given_back: usize,
    /// Completed ones among all but those given back, from 0 to 1; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Half of the completed ones took no longer from the claim to the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 95 of 100 took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
}

/// `POST /v1/agents/{name}/drain`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/agents/{name}/undrain`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndrainRequest {}

fn declared() -> String {
    "declared".to_owned()
}

/// Who registered an agent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegistration {
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

/// `POST /v1/agents`: an agent in the words of agents.yaml. What is not said has the default that it has
/// there, also where the agent was registered before.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterAgentRequest {
    /// Its name.
    pub name: String,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The group it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How many tasks it may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The silence after which it counts as dead, as `90s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// `deadline phi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// How often it may take a task, as `30/m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// The answer to [`RegisterAgentRequest`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegistered {
    /// The agent as it is now.
    pub agent: AgentDetail,
    /// Its token, if it was not there before: the only time that it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenCreated>,
}

/// `POST /v1/agents/{name}/remove`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveAgentRequest {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the tasks that it holds are taken from it; without it an agent that holds some stays.
    #[serde(default)]
    pub at_once: bool,
}

/// The answer to [`RemoveAgentRequest`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentRemoved {
    /// Who is not in the team any more.
    pub name: String,
    /// What was taken from it and goes to others.
    pub lost: Vec<String>,
    /// How many tokens it had, which are good no more.
    pub tokens: usize,
}
