//! The kinds of steps.

use super::policies::SAGA;
use super::steps::{JOINED, STEPS};
use super::{Form, ID, Table, key, required};

/// Codes of errors that workflows raise themselves.
pub(super) const OUTCOME_ERROR: &str = r"^app(\.[a-z0-9_]+)+$";

/// `task`: a type, or type and prompt.
pub(super) const TASK: Form = Form::Either(&[Form::Literal, Form::Table(|| &TASK_TABLE)]);

static TASK_TABLE: Table = Table {
    name: "task",
    doc: "One unit of work for one agent.",
    keys: &[&[
        required("type", Form::Literal, "What the agent is asked to do."),
        key(
            "prompt",
            Form::Text,
            "Instructions, for agents that read text.",
        ),
        key(
            "attachments",
            Form::List(&Form::Value),
            "References to artefacts and files.",
        ),
        key(
            "secrets",
            Form::Names,
            "Declared secrets, handed over by reference.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static APPROVAL: Table = Table {
    name: "approval",
    doc: "A decision of people or agents.",
    keys: &[&[
        required("from", Form::Table(|| &APPROVERS), "Who may decide."),
        key(
            "quorum",
            Form::Integer(1, i64::MAX),
            "How many approvals are needed; 1.",
        ),
        key("veto", Form::Bool, "Whether one rejection rejects; true."),
        key("prompt", Form::Text, "What is asked."),
        key(
            "show",
            Form::Value,
            "What is shown; a decision is bound to it.",
        ),
        key(
            "options",
            Form::List(&ID),
            "The answers; approve and reject.",
        ),
        key("form", Form::Schema, "The type of the answer's data."),
        required("timeout", Form::Duration, "How long a decision may take."),
        key(
            "on_timeout",
            Form::Choice(&["reject", "fail", "approve", "escalate"]),
            "What silence means; reject.",
        ),
        key(
            "escalate",
            Form::Table(|| &ESCALATE),
            "Who is asked too, and when.",
        ),
        key(
            "not_same_as",
            Form::Names,
            "Whoever did one of these steps may not decide.",
        ),
        key(
            "on_reject",
            Form::Choice(&["fail", "continue", "compensate"]),
            "What a rejection means; fail.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static APPROVERS: Table = Table {
    name: "approvers",
    doc: "Any of these.",
    keys: &[&[
        key("roles", Form::Names, "People who have one of these roles."),
        key("users", Form::Names, "These people."),
        key("agents", Form::Names, "These agents."),
    ]],
    exactly_one: &[],
};

static ESCALATE: Table = Table {
    name: "escalate",
    doc: "Widens who may decide.",
    keys: &[&[
        required("after", Form::Duration, "When."),
        required("to", Form::Table(|| &APPROVERS), "To whom."),
    ]],
    exactly_one: &[],
};

pub(super) static CALL: Table = Table {
    name: "call",
    doc: "Runs another workflow.",
    keys: &[&[
        required("workflow", Form::Literal, "Its name."),
        key(
            "version",
            Form::Literal,
            "A range of versions; the newest at registration.",
        ),
        key("wait", Form::Bool, "Whether to wait for its end; true."),
        key(
            "on_parent_cancel",
            Form::Choice(&["cancel", "abandon"]),
            "What becomes of it when this run is cancelled; cancel.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static FOREACH: Table = Table {
    name: "foreach",
    doc: "One body for each item.",
    keys: &[&[
        required("in", Form::Collection, "An expression: the list or map."),
        key("as", ID, "The item's name; item."),
        key("index_as", ID, "The index's name; index."),
        key("concurrency", Form::Integer(1, 256), "How many at once; 4."),
        key(
            "tolerate",
            Form::Table(|| &TOLERATE),
            "How many may fail; none.",
        ),
        key(
            "order",
            Form::Choice(&["input", "any"]),
            "The order of the results; input.",
        ),
        key(
            "batch",
            Form::Integer(1, i64::MAX),
            "Makes an item a list of up to this many.",
        ),
        key(
            "max_items",
            Form::Integer(1, i64::MAX),
            "More fail the step; 10,000.",
        ),
        key("do", STEPS, "The body, in order."),
        key("steps", STEPS, "The body, as a graph."),
    ]],
    exactly_one: &["do", "steps"],
};

static TOLERATE: Table = Table {
    name: "tolerate",
    doc: "How many items may fail.",
    keys: &[&[
        key("count", Form::Integer(0, i64::MAX), "So many."),
        key("percent", Form::Integer(0, 100), "So many in a hundred."),
    ]],
    exactly_one: &["count", "percent"],
};

pub(super) static LOOP: Table = Table {
    name: "loop",
    doc: "A body again and again.",
    keys: &[&[
        required("max", Form::Integer(1, 1000), "The most iterations."),
        key(
            "carry",
            Form::Map(&Form::Value),
            "What the first iteration starts with.",
        ),
        key(
            "while",
            Form::Condition,
            "Goes on while this is true, asked before an iteration.",
        ),
        key("do", STEPS, "The body, in order."),
        key("steps", STEPS, "The body, as a graph."),
        key(
            "next",
            Form::Map(&Form::Value),
            "What the next iteration starts with.",
        ),
        key(
            "until",
            Form::Condition,
            "Ends once this is true, asked after an iteration.",
        ),
        key("delay", Form::Duration, "The wait between iterations; 0s."),
        key(
            "backoff",
            Form::Number(1),
            "What the wait is multiplied by.",
        ),
        key("max_delay", Form::Duration, "The longest wait."),
        key(
            "on_exhausted",
            Form::Choice(&["fail", "continue"]),
            "What it means when `max` was not enough; fail.",
        ),
    ]],
    exactly_one: &["while", "until"],
};

pub(super) static SWITCH: Table = Table {
    name: "switch",
    doc: "The first case whose condition is true.",
    keys: &[&[
        required(
            "cases",
            Form::List(&Form::Table(|| &CASE)),
            "Tried in order.",
        ),
        required(
            "default",
            Form::Either(&[Form::Choice(&["fail", "skip"]), STEPS]),
            "What is done if none is true.",
        ),
    ]],
    exactly_one: &[],
};

static CASE: Table = Table {
    name: "case",
    doc: "A case of a `switch`.",
    keys: &[&[
        required("id", ID, "The case's name, as its output tells it."),
        required("when", Form::Condition, "When it is chosen."),
        key("do", STEPS, "The body, in order; may be empty."),
        key("steps", STEPS, "The body, as a graph."),
        key("yield", Form::Value, "The output."),
    ]],
    exactly_one: &[],
};

pub(super) static PARALLEL: Table = Table {
    name: "parallel",
    doc: "Named sequences at once.",
    keys: &[&[
        required("branches", Form::Map(&STEPS), "Name to sequence."),
        key("join", JOINED, "What of the branches is enough; all."),
        key(
            "fail_fast",
            Form::Bool,
            "Whether a failing branch cancels the others; true.",
        ),
        key(
            "concurrency",
            Form::Integer(1, 256),
            "How many at once; all.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static TRY: Table = Table {
    name: "try",
    doc: "A body with handlers.",
    keys: &[&[
        key("do", STEPS, "The body, in order."),
        key("steps", STEPS, "The body, as a graph."),
        key(
            "catch",
            Form::List(&Form::Table(|| &CATCH)),
            "Handlers, tried in order.",
        ),
        key("finally", STEPS, "Steps at the end, whatever happened."),
        key("saga", SAGA, "Whether the body is a saga of its own; off."),
    ]],
    exactly_one: &["do", "steps"],
};

static CATCH: Table = Table {
    name: "catch",
    doc: "A handler of errors.",
    keys: &[&[
        key("errors", Form::Names, "Codes or prefixes, or `all`."),
        key("when", Form::Condition, "A further condition over `error`."),
        key("do", STEPS, "Steps in order; they see `error`."),
        key(
            "then",
            Form::Choice(&["continue", "fail", "retry"]),
            "What comes after; continue.",
        ),
    ]],
    exactly_one: &[],
};

/// `wait`: a duration, or the long form.
pub(super) const WAIT: Form = Form::Either(&[Form::Duration, Form::Table(|| &WAIT_TABLE)]);

static WAIT_TABLE: Table = Table {
    name: "wait",
    doc: "A timer.",
    keys: &[&[
        key("for", Form::Text, "A duration."),
        key("until", Form::Text, "A timestamp, mostly an expression."),
    ]],
    exactly_one: &["for", "until"],
};

pub(super) static WAIT_FOR: Table = Table {
    name: "wait_for",
    doc: "Waits for an event or a signal.",
    keys: &[&[
        key("event", Form::Literal, "The event's name."),
        key(
            "signal",
            Form::Literal,
            "The signal's name, addressed to this run.",
        ),
        key(
            "match",
            Form::Map(&Form::Value),
            "Fields of the data that have to be equal.",
        ),
        key("when", Form::Condition, "A further condition over `event`."),
        key(
            "from_start",
            Form::Bool,
            "Whether events since the run's start count; true.",
        ),
        key(
            "count",
            Form::Integer(1, i64::MAX),
            "How many to wait for; 1.",
        ),
        required("timeout", Form::Duration, "How long."),
        key(
            "on_timeout",
            Form::Choice(&["fail", "continue"]),
            "What silence means; fail.",
        ),
    ]],
    exactly_one: &["event", "signal"],
};

pub(super) static EMIT: Table = Table {
    name: "emit",
    doc: "Publishes an event, or a signal when `to` is a run.",
    keys: &[&[
        required("event", Form::Literal, "The event's name."),
        key("to", Form::Text, "The run to signal."),
        key(
            "key",
            Form::Text,
            "Events with one key are one event; the step's key.",
        ),
        key("data", Form::Value, "What it carries."),
    ]],
    exactly_one: &[],
};

pub(super) static FILES: Table = Table {
    name: "files",
    doc: "Changes several files in two phases: all or none.",
    keys: &[&[
        key("root", Form::Text, "The working tree, if there is one."),
        key(
            "participants",
            Form::Map(&Form::Table(|| &PARTICIPANT)),
            "The working trees by name.",
        ),
        key(
            "allow",
            Form::Names,
            "Globs that paths have to match when they are expressions.",
        ),
        required(
            "changes",
            Form::List(&Form::Table(|| &CHANGE)),
            "What is changed.",
        ),
        key(
            "lock",
            Form::Choice(&["exclusive", "none"]),
            "Whether the paths are locked; exclusive.",
        ),
        key(
            "prepare_timeout",
            Form::Duration,
            "How long preparing may take; 5m.",
        ),
        key(
            "on_conflict",
            Form::Choice(&["fail", "retry"]),
            "What a lost race means; fail.",
        ),
    ]],
    exactly_one: &["root", "participants"],
};

static PARTICIPANT: Table = Table {
    name: "participant",
    doc: "A working tree.",
    keys: &[&[required("root", Form::Text, "Its folder.")]],
    exactly_one: &[],
};

static CHANGE: Table = Table {
    name: "change",
    doc: "The change of one path.",
    keys: &[&[
        key("in", Form::Literal, "The participant."),
        required("path", Form::Text, "Where, below its root."),
        required(
            "op",
            Form::Choice(&["write", "patch", "delete", "move", "mkdir"]),
            "What is done.",
        ),
        key("to", Form::Text, "Where a moved file goes."),
        key("content", Form::Text, "The new content."),
        key("patch", Form::Text, "A unified diff."),
        key(
            "mode",
            Form::Either(&[Form::Literal, Form::Integer(0, 4095)]),
            "Permissions.",
        ),
        key(
            "expect",
            Form::Table(|| &EXPECT),
            "What has to be there before.",
        ),
    ]],
    exactly_one: &[],
};

static EXPECT: Table = Table {
    name: "expect",
    doc: "What has to be there before a change.",
    keys: &[&[
        key("sha256", Form::Text, "The hash of the content."),
        key("exists", Form::Bool, "Whether there is anything."),
    ]],
    exactly_one: &[],
};
