//! The tools of those who do tasks: seven, and short, because they stand in every model's context.

use std::time::Duration;

use phisync_agents::protocol::{AskRequest, HeartbeatRequest, TaskResult};
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::arguments::{read, wait};
use super::super::door::Ask;
use super::{Audience, Entry, Nature, arguments, whole};

/// How long whoever lost a race for a document waits in line.
const TURN_WAIT: Duration = Duration::from_secs(30);

/// How long the turn of a model lasts: it thinks before it writes.
const TURN_HOLD: Duration = Duration::from_secs(15);

pub(super) static TOOLS: [Entry; 7] = [
    Entry {
        name: "get_task",
        title: "Get a task",
        description: "Wait for a task assigned to you and take it. Answers {task: null} if none came in time: call \
                      again. A task holds instructions (prompt), input, the schema its output must satisfy, and a \
                      token that goes back with everything you say about it. Call heartbeat_task at least every \
                      third of lease_ms while you work, or the task is given to somebody else.",
        audience: Audience::Agent,
        nature: Nature::Writes,
        input: || {
            json!({
                "type": "object",
                "properties": {
                    "wait_s": { "type": "number", "minimum": 0, "maximum": 50, "description": "Longest wait in seconds; 30 if absent." },
                    "capabilities": { "type": "array", "items": { "type": "string" }, "description": "Only tasks that need one of these; all you are registered with if absent." },
                },
                "additionalProperties": false,
            })
        },
        output: || {
            json!({
                "type": "object",
                "properties": { "task": { "type": ["object", "null"], "properties": {
                    "id": { "type": "string" }, "run": { "type": "string" }, "step": { "type": "string" },
                    "attempt": { "type": "integer" }, "token": { "type": "integer" }, "type": { "type": "string" },
                    "prompt": { "type": "string" }, "input": {}, "output_schema": { "type": "object" },
                    "lease_ms": { "type": "integer" }, "deadline": { "type": "string" }, "key": { "type": "string" },
                    "handoff": {},
                } } },
                "required": ["task"],
            })
        },
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                wait_s: Option<f64>,
                capabilities: Option<Vec<String>>,
            }
            let given: Arguments = read(arguments)?;
            let wait = wait(given.wait_s, Duration::from_secs(30));
            let mut body = json!({ "max": 1, "wait_s": wait.as_secs_f64() });
            if let Some(capabilities) = given.capabilities {
                body["capabilities"] = json!(capabilities);
            }
            Ok(Ask::post(["tasks", "poll"], body).waiting(wait))
        },
        shape: |mut answer| {
            let task = answer.pointer_mut("/tasks/0").map(Value::take);
            json!({ "task": task })
        },
    },
    Entry {
        name: "heartbeat_task",
        title: "Keep a task",
        description: "Say that you still work on a task. If cancel_requested is true, stop the \
                      work and call fail_task with code `cancelled`.",
        audience: Audience::Agent,
        nature: Nature::Repeats,
        input: || {
            claim(
                json!({
                    "progress": { "description": "How far the work is: any JSON up to 4096 bytes. Whoever takes over gets it." },
                }),
                &[],
            )
        },
        output: || {
            json!({
                "type": "object",
                "properties": {
                    "lease_ms": { "type": "integer" }, "lease_expires_at": { "type": "string" },
                    "cancel_requested": { "type": "boolean" },
                },
                "required": ["lease_ms", "cancel_requested"],
            })
        },
        ask: |arguments| about_task::<HeartbeatRequest>(arguments, "heartbeat"),
        shape: whole,
    },
    Entry {
        name: "complete_task",
        title: "Complete a task",
        description: "Report the result. It must satisfy the task's output_schema; if it does not, you are told what is \
                      wrong and the task stays yours: correct the result and call again. Then get the next task.",
        audience: Audience::Agent,
        nature: Nature::Repeats,
        input: || {
            claim(
                json!({ "output": { "description": "The result: any JSON." } }),
                &["output"],
            )
        },
        output: seq,
        ask: |arguments| {
            let given: TaskResult = read(arguments)?;
            let body = json!({ "token": given.token, "output": given.output });
            Ok(Ask::post(["tasks", &given.task, "complete"], body))
        },
        shape: whole,
    },
    Entry {
        name: "fail_task",
        title: "Give up a task",
        description: "Report that the task cannot be done. Codes: app.NAME for reasons of the work itself, \
                      transient.NAME for what may pass (it is tried again), cancelled after a cancel request.",
        audience: Audience::Agent,
        nature: Nature::Writes,
        input: || {
            claim(
                json!({
                    "code": { "type": "string", "description": "As app.no_such_page; task.failed if absent." },
                    "message": { "type": "string", "description": "What went wrong, for people." },
                    "retryable": { "type": "boolean", "description": "Whether another attempt could help; the code decides if absent." },
                }),
                &["message"],
            )
        },
        output: seq,
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                task: String,
                token: u64,
                code: Option<String>,
                message: String,
                retryable: Option<bool>,
            }
            let given: Arguments = read(arguments)?;
            let code = given.code.unwrap_or_else(|| "task.failed".to_owned());
            let mut body = json!({ "token": given.token, "code": code, "message": given.message });
            if let Some(retryable) = given.retryable {
                body["retryable"] = json!(retryable);
            }
            Ok(Ask::post(["tasks", &given.task, "fail"], body))
        },
        shape: whole,
    },
    Entry {
        name: "ask_human",
        title: "Ask people",
        description: "Ask a person what only a person can decide or know. The task is parked: stop working on it and get \
                      another. It comes back, to you first, with the answer in handoff.answers.",
        audience: Audience::Agent,
        nature: Nature::Repeats,
        input: || {
            claim(
                json!({
                    "question": { "type": "string", "description": "Self-contained: who answers sees nothing else." },
                    "form": { "type": "object", "description": "JSON Schema of the data an answer must carry; words if absent." },
                }),
                &["question"],
            )
        },
        output: || {
            json!({
                "type": "object",
                "properties": { "seq": { "type": "integer" }, "question": { "type": "string" }, "deadline": { "type": "string" } },
                "required": ["seq", "question", "deadline"],
            })
        },
        ask: |arguments| about_task::<AskRequest>(arguments, "ask"),
        shape: whole,
    },
    Entry {
        name: "read_document",
        title: "Read a shared document",
        description: "A document that the team shares, and its version.",
        audience: Audience::Agent,
        nature: Nature::Reads,
        input: || {
            arguments(
                json!({ "name": { "type": "string" } }),
                json!({}),
                &["name"],
            )
        },
        output: || {
            json!({
                "type": "object",
                "properties": { "name": { "type": "string" }, "version": { "type": "integer" }, "content": {} },
                "required": ["name", "version", "content"],
            })
        },
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                name: String,
            }
            let given: Arguments = read(arguments)?;
            Ok(Ask::get(["documents", &given.name]))
        },
        shape: whole,
    },
    Entry {
        name: "update_document",
        title: "Write a shared document",
        description: "Write all of a shared document if it still has the version you read. If somebody was faster you \
                      wait in line and are refused with the newest content, its version and a turn: decide again, and \
                      write with that turn within hold_ms; nobody else writes until then. With the task you work on, \
                      the write is refused once the task is not yours any more.",
        audience: Audience::Agent,
        nature: Nature::Writes,
        input: || {
            arguments(
                json!({
                    "name": { "type": "string" },
                    "version": { "type": "integer", "minimum": 0, "description": "As read; 0: it must not exist." },
                    "content": { "description": "All of it: any JSON." },
                    "turn": { "type": "integer", "minimum": 0, "description": "From the refusal." },
                    "task": { "type": "string" },
                    "token": { "type": "integer", "minimum": 0, "description": "With task." },
                }),
                json!({}),
                &["name", "version", "content"],
            )
        },
        output: || json!({ "type": "object", "properties": { "version": { "type": "integer" } }, "required": ["version"] }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                name: String,
                version: u64,
                content: Value,
                turn: Option<u64>,
                task: Option<String>,
                token: Option<u64>,
            }
            let given: Arguments = read(arguments)?;
            let ask = Ask::put(["documents", &given.name], given.content)
                .with_query("turn_s", Some(TURN_WAIT.as_secs().to_string()))
                .with_query("hold_s", Some(TURN_HOLD.as_secs().to_string()))
                .waiting(TURN_WAIT);
            let ask = match given.version {
                0 => ask.with_header("if-none-match", "*"),
                version => ask.with_header("if-match", format!("\"{version}\"")),
            };
            let ask = match given.turn {
                Some(turn) => ask.with_header("phisync-turn", turn),
                None => ask,
            };
            match (given.task, given.token) {
                (None, None) => Ok(ask),
                (Some(task), Some(token)) if is_plain(&task) => Ok(ask
                    .with_header("phisync-task", task)
                    .with_header("phisync-task-token", token)),
                _ => Err("`task` and `token` come together, as get_task told them".to_owned()),
            }
        },
        shape: whole,
    },
];

/// Whether a task's name can stand in a header.
fn is_plain(task: &str) -> bool {
    !task.is_empty() && task.chars().all(|c| c.is_ascii_graphic())
}

fn seq() -> Value {
    json!({ "type": "object", "properties": { "seq": { "type": "integer", "description": "Sequence of the journal record." } }, "required": ["seq"] })
}

/// What is said about a task: its id is part of the path, the rest is read as the route reads it.
fn about_task<Body: DeserializeOwned + Serialize>(
    mut arguments: JsonObject,
    verb: &str,
) -> Result<Ask, String> {
    #[derive(Deserialize)]
    struct Named {
        task: String,
    }
    let named = arguments.remove_entry("task").into_iter().collect();
    let Named { task } = read(named)?;
    let body: Body = read(arguments)?;
    Ok(Ask::post(["tasks", &task, verb], json!(body)))
}

/// The schema of what is said about a task: its id, the token of the claim, and `more`.
fn claim(more: Value, required: &[&str]) -> Value {
    let own = json!({
        "task": { "type": "string", "description": "The task's id." },
        "token": { "type": "integer", "minimum": 0, "description": "The token that came with the task." },
    });
    arguments(own, more, &[&["task", "token"], required].concat())
}
