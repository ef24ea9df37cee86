//! Tasks as people look at them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// `GET /v1/tasks/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskDetail {
    /// `RUN.STEP`, or `RUN.STEP.undo`.
    pub id: String,
    /// The run.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// The step.
    pub step: String,
    /// What kind of work it is.
    #[serde(rename = "type")]
    pub task_type: String,
    /// `ready running backoff asking completed failed cancelled`.
    pub status: String,
    /// How often it was taken.
    pub attempt: u32,
    /// Who holds it, or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What it waits for, in words; absent when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Until when, if a clock ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether its holder is asked to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// What its holder said last of how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What the agent gets.
    pub input: Box<RawValue>,
    /// Instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What the next holder would learn of those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Value>,
    /// What its holders asked people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Asked>,
}

/// How far the holder of a task says it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Its own words.
    pub value: Value,
    /// When it said so last.
    pub at: String,
    /// Milliseconds since it said something else.
    pub still_ms: u64,
}

/// A question of a task's holder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// What was asked.
    pub question: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: String,
    /// Who answered; absent while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// The answer in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The data of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
}
