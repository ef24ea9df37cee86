//! The tools: what each is called, takes, asks the API and answers.
//!
//! Agents get the worker's tools and nothing else, so that their descriptions stay short in a
//! model's context (`worker.rs`); people and operators get theirs by role. The lists say what is *shown*
//! and callable over this protocol; what is *allowed* the API decides again.

mod worker;

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::read;
use super::door::{Ask, Identity};

/// Whom a tool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those who do tasks.
    Agent,
    /// Everybody who may look.
    Viewer,
    /// Those who start and end runs.
    Operator,
    /// Those who decide approvals.
    Person,
}

impl Audience {
    /// Whether `identity` is of this audience. An owner who acts as somebody is no more than that
    /// agent: a model that works in its name must not hold the owner's powers.
    #[must_use]
    pub fn holds(self, identity: &Identity) -> bool {
        match (identity.role.as_str(), &identity.name) {
            ("agent", _) | ("admin", Some(_)) => self == Self::Agent,
            ("admin", None) => self != Self::Agent,
            ("operator", _) => matches!(self, Self::Viewer | Self::Operator),
            ("person", _) => matches!(self, Self::Viewer | Self::Person),
            _ => self == Self::Viewer,
        }
    }
}

/// What calling a tool does to the world, as hints for clients that ask their user first.
#[derive(Clone, Copy)]
enum Nature {
    Reads,
    Writes,
    /// Calling it twice with the same arguments is as good as once.
    Repeats,
    Destroys,
}

/// One tool.
pub struct Entry {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    pub(super) audience: Audience,
    nature: Nature,
    input: fn() -> Value,
    output: fn() -> Value,
    /// From arguments to a request, or what is wrong with them.
    pub(super) ask: fn(JsonObject) -> Result<Ask, String>,
    /// From the API's answer to the tool's.
    pub(super) shape: fn(Value) -> Value,
}

impl Entry {
    pub(super) fn describe(&self) -> Tool {
        let hints = ToolAnnotations::new().open_world(false);
        let hints = match self.nature {
            Nature::Reads => hints.read_only(true),
            Nature::Writes => hints.read_only(false).destructive(false),
            Nature::Repeats => hints.read_only(false).destructive(false).idempotent(true),
            Nature::Destroys => hints.read_only(false).destructive(true),
        };
        let mut tool = Tool::new(self.name, self.description, object((self.input)()));
        tool.title = Some(self.title.to_owned());
        tool.output_schema = Some(object((self.output)()));
        tool.annotations = Some(hints);
        tool
    }
}

fn object(schema: Value) -> Arc<JsonObject> {
    Arc::new(match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}

/// All tools, in the order in which they are shown.
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    worker::TOOLS.iter().chain(&WATCHING)
}

/// What those get who look after runs.
static WATCHING: [Entry; 6] = [
    Entry {
        name: "list_runs",
        title: "List runs",
        description: "Runs, newest first, with their status and why they failed.",
        audience: Audience::Viewer,
        nature: Nature::Reads,
        input: || {
            json!({
                "type": "object",
                "properties": {
                    "status": { "enum": ["running", "completed", "failed", "cancelled"] },
                    "workflow": { "type": "string" },
                    "label": { "type": "string", "description": "As KEY=VALUE." },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 100, "description": "20 if absent." },
                    "cursor": { "type": "string", "description": "From `next` of the answer before." },
                },
                "additionalProperties": false,
            })
        },
        output: || json!({ "type": "object", "properties": { "runs": { "type": "array" }, "next": { "type": "string" } }, "required": ["runs"] }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                status: Option<String>,
                workflow: Option<String>,
                label: Option<String>,
                limit: Option<u32>,
                cursor: Option<String>,
            }
            let given: Arguments = read(arguments)?;
            let limit = given.limit.unwrap_or(20).clamp(1, 100).to_string();
            Ok(Ask::get(["runs"])
                .with_query("status", given.status)
                .with_query("workflow", given.workflow)
                .with_query("label", given.label)
                .with_query("limit", Some(limit))
                .with_query("cursor", given.cursor))
        },
        shape: whole,
    },
    Entry {
        name: "show_run",
        title: "Show a run",
        description: "One run: its inputs, each step's state, agent, output and error, and the outputs.",
        audience: Audience::Viewer,
        nature: Nature::Reads,
        input: || run(json!({}), &[]),
        output: || json!({ "type": "object", "properties": { "id": { "type": "string" }, "status": { "type": "string" }, "steps": { "type": "array" } }, "required": ["id", "status", "steps"] }),
        ask: |arguments| Ok(Ask::get(["runs", &read::<Run>(arguments)?.run])),
        shape: whole,
    },
    Entry {
        name: "explain_run",
        title: "Say why a run waits",
        description: "What a run (or one step of it) waits for, and why that is open, as a causal chain with deadlines.",
        audience: Audience::Viewer,
        nature: Nature::Reads,
        input: || run(json!({ "step": { "type": "string" } }), &[]),
        output: || json!({ "type": "object", "properties": { "subject": { "type": "string" }, "state": { "type": "string" }, "text": { "type": "string" }, "because": { "type": "array" } }, "required": ["subject", "state", "text"] }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                run: String,
                step: Option<String>,
            }
            let given: Arguments = read(arguments)?;
            Ok(Ask::get(["runs", &given.run, "why"]).with_query("step", given.step))
        },
        shape: whole,
    },
    Entry {
        name: "start_run",
        title: "Start a run",
        description: "Start a registered workflow by name; the resource phisync://workflows/NAME says which inputs it \
                      takes. With an id the start happens at most once: a second one under the same id is refused. Afterwards \
                      explain_run says what it waits for.",
        audience: Audience::Operator,
        nature: Nature::Writes,
        input: || {
            json!({
                "type": "object",
                "properties": {
                    "workflow": { "type": "string" },
                    "inputs": { "type": "object", "description": "Values of the workflow's inputs." },
                    "id": { "type": "string", "description": "Name of the run; chosen by the server if absent." },
                },
                "required": ["workflow"],
                "additionalProperties": false,
            })
        },
        output: || json!({ "type": "object", "properties": { "id": { "type": "string" }, "status": { "type": "string" } }, "required": ["id", "status"] }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                workflow: String,
                inputs: Option<Map<String, Value>>,
                id: Option<String>,
            }
            let given: Arguments = read(arguments)?;
            let mut body =
                json!({ "workflow": given.workflow, "inputs": given.inputs.unwrap_or_default() });
            if let Some(id) = given.id {
                body["id"] = json!(id);
            }
            Ok(Ask::post(["runs"], body))
        },
        shape: whole,
    },
    Entry {
        name: "cancel_run",
        title: "Cancel a run",
        description: "End a run: nothing new starts, running agents are asked to stop, and what was done is undone where \
                      the workflow says how.",
        audience: Audience::Operator,
        nature: Nature::Destroys,
        input: || {
            run(
                json!({ "reason": { "type": "string", "description": "For people." } }),
                &[],
            )
        },
        output: || json!({ "type": "object" }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {
                run: String,
                reason: Option<String>,
            }
            let given: Arguments = read(arguments)?;
            let body = given
                .reason
                .map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            Ok(Ask::post(["runs", &given.run, "cancel"], body))
        },
        shape: whole,
    },
    Entry {
        name: "list_approvals",
        title: "List approvals",
        description: "Decisions that runs wait for: what is asked and shown, who may decide, until when. They are decided \
                      by people, with `phisync approval` or the API, never through this protocol.",
        audience: Audience::Viewer,
        nature: Nature::Reads,
        input: || json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        output: || json!({ "type": "object", "properties": { "approvals": { "type": "array" } }, "required": ["approvals"] }),
        ask: |arguments| {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Arguments {}
            let Arguments {} = read(arguments)?;
            Ok(Ask::get(["approvals"]))
        },
        shape: whole,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    run: String,
}

fn whole(answer: Value) -> Value {
    answer
}

/// The schema of what is asked about a run.
fn run(more: Value, required: &[&str]) -> Value {
    let own = json!({ "run": { "type": "string", "description": "The run's id." } });
    arguments(own, more, &[&["run"], required].concat())
}

fn arguments(own: Value, more: Value, required: &[&str]) -> Value {
    let properties = [own, more].into_iter().filter_map(|part| match part {
        Value::Object(map) => Some(map),
        _ => None,
    });
    let properties: Map<String, Value> = properties.flatten().collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
