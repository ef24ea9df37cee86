//! What crosses the wire between the server and an agent: the JSON bodies of `/v1/tasks/*`.
//!
//! A request with a field that is not listed here is refused, so that a misspelt field never passes
//! for an absent one; an answer may gain fields. These types carry no rules: who may send what, and
//! when, is the server's business.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Version of these types, as `/v1` in the paths.
pub const PROTOCOL: u32 = 1;

/// The most bytes of what one heartbeat says of progress.
pub const PROGRESS_BYTES_MAX: usize = 4096;

/// One attempt of a task, handed to the agent that claimed it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Id of the task, the same in every attempt.
    pub id: String,
    /// Id of the run it belongs to.
    pub run: String,
    /// Name of the run's workflow.
    pub workflow: String,
    /// Id of the step.
    pub step: String,
    /// Number of this claim, from 1.
    pub attempt: u32,
    /// Fencing token of this claim; goes back with everything said about the task.
    pub token: u64,
    /// What kind of work is asked for.
    #[serde(rename = "type")]
    pub task_type: String,
    /// Instructions, for agents that read text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What to work on.
    pub input: Box<RawValue>,
    /// What comes along with the input: references of artefacts, names of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    /// Names of the secrets that the work needs. Their values are known where the agent runs, and
    /// never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// JSON schema that the output must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// Length of the lease, in milliseconds; each heartbeat starts it over.
    pub lease_ms: u64,
    /// When the lease ends by the server's wall clock, RFC 3339. For people: a client counts
    /// `lease_ms` on its own monotonic clock.
    pub lease_expires_at: String,
    /// When this attempt ends however often it is renewed, RFC 3339.
    pub deadline: String,
    /// Key for effects outside, the same in every attempt.
    pub key: String,
    /// What earlier holders left behind: how their attempts ended (`attempts`), how far the last one was
    /// (`progress`), what people answered (`answers`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Value>,
}

/// Asks for tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    /// Capabilities to serve now; none: all that the agent is registered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// Most tasks to hand out; none: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Longest wait for a task, in seconds; none: do not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<f64>,
}

/// Answers a poll.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PollResponse {
    /// What was claimed for the agent.
    pub tasks: Vec<Task>,
}

/// Renews a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// Fencing token of the claim.
    pub token: u64,
    /// How far the work is: any JSON of at most 4096 bytes. A successor gets to know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
}

/// Answers a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatResponse {
    /// Length of the renewed lease, in milliseconds.
    pub lease_ms: u64,
    /// When it ends by the server's wall clock, RFC 3339.
    pub lease_expires_at: String,
    /// Whether the work is no longer wanted: stop, and fail with code `cancelled`.
    pub cancel_requested: bool,
}

/// Reports a result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRequest {
    /// Fencing token of the claim.
    pub token: u64,
    /// The result.
    pub output: Box<RawValue>,
    /// Claims the next tasks in the same round trip; with `wait_s` the answer waits for one. An error
    /// is answered at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<PollRequest>,
}

/// Answers a completion.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CompleteResponse {
    /// Sequence of the journal record that holds the result.
    pub seq: u64,
    /// What the poll claimed; absent without a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
}

/// Reports many results at once, 64 at most. All that are accepted are one record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteManyRequest {
    /// The results, each of another task.
    pub results: Vec<TaskResult>,
    /// Claims the next tasks in the same round trip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<PollRequest>,
}

/// The result of one task among many.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskResult {
    /// Id of the task.
    pub task: String,
    /// Fencing token of the claim.
    pub token: u64,
    /// The result.
    pub output: Box<RawValue>,
}

/// Answers many results, one by one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CompleteManyResponse {
    /// Sequence of the journal record that holds the results, or of a later one.
    pub seq: u64,
    /// What became of each, in the order in which they came.
    pub results: Vec<ResultAnswer>,
    /// What the poll claimed; absent without a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
}

/// What became of one result among many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultAnswer {
    /// Id of the task.
    pub task: String,
    /// Whether the result was accepted.
    pub accepted: bool,
    /// Why not, as a single report would have been told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Reports an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailRequest {
    /// Fencing token of the claim.
    pub token: u64,
    /// What went wrong, as a dotted code: `app.*`, `transient.*`, `task.failed`, ...
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// Whether another attempt could help; none: the code decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Shortest wait before another attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Gives a task back for others to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Fencing token of the claim.
    pub token: u64,
    /// Whether the work had begun, so that the world may have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
}

/// Asks people, and gives the task up until somebody has answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// Fencing token of the claim.
    pub token: u64,
    /// What is asked, for people.
    pub question: String,
    /// JSON schema of the data that an answer has to carry; none: an answer is words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Box<RawValue>>,
}

/// Answers a question: it waits for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskResponse {
    /// Sequence of the journal record that holds the question.
    pub seq: u64,
    /// What people call it: the task's id.
    pub question: String,
    /// Until when somebody has to answer, RFC 3339.
    pub deadline: String,
}

/// Answers a mutation that says nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeqResponse {
    /// Sequence of the journal record that holds the change.
    pub seq: u64,
}

/// An error answer, RFC 9457 (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// URI of the kind of problem; `about:blank` when the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, the same every time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable code for programs, such as `stale_token`.
    pub code: String,
    /// What went wrong this time.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Findings about a workflow or an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Value>,
    /// The turn at a document that whoever lost a race for it got: its number, its length, version and content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::{CompleteRequest, FailRequest, PollRequest, Task};

    #[test]
    fn a_task_keeps_its_input_byte_for_byte() {
        let text = r#"{"id":"t","run":"r","workflow":"w","step":"s","attempt":1,"token":7,"type":"s","input":{"big": 12345678901234567890123, "b":1.0},"lease_ms":60000,"lease_expires_at":"2026-11-22T09:30:00.000Z","deadline":"2026-11-22T10:00:00.000Z","key":"k"}"#;
        let task: Task = serde_json::from_str(text).expect("a task");
        assert_eq!(serde_json::to_string(&task).expect("JSON"), text);
    }

    #[test]
    fn a_misspelt_field_of_a_request_is_refused() {
        let refusal = serde_json::from_str::<PollRequest>(r#"{"wait": 5}"#).expect_err("refused");
        assert!(refusal.to_string().contains("`wait`"), "{refusal}");
        assert!(
            serde_json::from_str::<FailRequest>(
                r#"{"token":1,"code":"c","message":"m","retry":true}"#
            )
            .is_err()
        );
        let nested = r#"{"token":1,"output":null,"poll":{"wait":1}}"#;
        assert!(serde_json::from_str::<CompleteRequest>(nested).is_err());
    }
}
