//! The top level of a workflow.

use super::kinds::OUTCOME_ERROR;
use super::policies::{ASSIGN, DEFAULTS, RETRY, SAGA};
use super::states::STATE;
use super::steps::STEP;
use super::{Form, ID, Key, Table, key, required};

/// A workflow.
pub(crate) static WORKFLOW: Table = Table {
    name: "workflow",
    doc: "A workflow: a name and either a graph of steps or a machine of states.",
    keys: &[HEAD, BODY],
    exactly_one: &["steps", "states"],
};

const HEAD: &[Key] = &[
    key(
        "phisync",
        Form::Integer(1, 1),
        "The dialect of the language; 1 is the only one.",
    ),
    required(
        "workflow",
        Form::Pattern("^[a-z][a-z0-9-]{0,62}$"),
        "The workflow's name, in kebab-case.",
    ),
    key(
        "version",
        Form::Pattern(r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$"),
        "A quoted semantic version. Without it the version is the definition's hash, shortened.",
    ),
    key("title", Form::Literal, "A name for people."),
    key(
        "description",
        Form::Literal,
        "What the workflow is for, for people.",
    ),
    key(
        "labels",
        Form::Map(&Form::Text),
        "Searchable labels; expressions may read `inputs` only.",
    ),
    key("metadata", Form::Any, "Carried along, never read."),
    key(
        "schedule",
        Form::List(&Form::Table(|| &SCHEDULE)),
        "When runs start by the clock.",
    ),
    key(
        "triggers",
        Form::List(&Form::Table(|| &TRIGGER)),
        "Which events start runs.",
    ),
    key(
        "inputs",
        Form::Map(&Form::Schema),
        "What a start has to give: name to type. A `default` makes an input optional.",
    ),
    key(
        "config",
        Form::Map(&Form::Schema),
        "Settings of the deployment, constant during a run.",
    ),
    key(
        "secrets",
        Form::List(&Form::Literal),
        "The only secrets that the workflow can name.",
    ),
    key(
        "vars",
        Form::Map(&Form::Schema),
        "Variables of the run, with a `default` each; only `set` writes them.",
    ),
    key(
        "outputs",
        Form::Map(&Form::Value),
        "Values of the run, evaluated when it completes.",
    ),
    key("schemas", Form::Map(&Form::Schema), "Named types."),
    key(
        "task_types",
        Form::Map(&Form::Table(|| &TASK_TYPE)),
        "Types of tasks, declared once.",
    ),
    key(
        "retry_policies",
        Form::Map(&Form::Table(|| &RETRY)),
        "Named retry policies.",
    ),
    key(
        "timeout",
        Form::Duration,
        "How long the whole run may take, waits included; 24h.",
    ),
    key(
        "concurrency",
        Form::Table(|| &CONCURRENCY),
        "How many runs with one key may be open at once.",
    ),
    key("saga", SAGA, "How a failed run is undone."),
    key(
        "compat",
        Form::Table(|| &COMPAT),
        "Deprecated: a run stays on its version anyway.",
    ),
    key(
        "defaults",
        Form::Table(|| &DEFAULTS),
        "For every step below.",
    ),
];

const BODY: &[Key] = &[
    key(
        "limits",
        Form::Table(|| &LIMITS),
        "Limits of a `states` body.",
    ),
    key("initial", ID, "The state to begin in."),
    key(
        "states",
        Form::Map(&Form::Table(|| &STATE)),
        "A finite state machine.",
    ),
    key(
        "steps",
        Form::List(&Form::Table(|| &STEP)),
        "Steps, ordered by what each `needs`.",
    ),
    key(
        "on_failure",
        Form::List(&Form::Either(&[
            Form::Table(|| &STEP),
            Form::Table(|| &RECOVERY),
            Form::Choice(&["recover"]),
        ])),
        "Steps that run in order when the body failed, before anything is undone; `recover` last.",
    ),
    key(
        "finally",
        Form::List(&Form::Table(|| &STEP)),
        "Steps that run in order at the end, whatever happened.",
    ),
];

static RECOVERY: Table = Table {
    name: "recovery",
    doc: "The end of `on_failure`: the run counts as completed.",
    keys: &[&[required(
        "recover",
        Form::Table(|| &RECOVER),
        "What the run gives although its body failed.",
    )]],
    exactly_one: &[],
};

static RECOVER: Table = Table {
    name: "recover",
    doc: "What a run gives whose failure was handled.",
    keys: &[&[key(
        "outputs",
        Form::Map(&Form::Value),
        "The run's outputs.",
    )]],
    exactly_one: &[],
};

static SCHEDULE: Table = Table {
    name: "schedule",
    doc: "A start by the clock; one instant starts at most one run, ever.",
    keys: &[&[
        required("id", ID, "The schedule's name."),
        key(
            "cron",
            Form::Literal,
            "Five fields, or six with seconds first, or `@daily` and the like.",
        ),
        key(
            "every",
            Form::Duration,
            "A fixed distance of at least a second.",
        ),
        key("timezone", Form::Literal, "An IANA name; UTC."),
        key(
            "dst",
            Form::Table(|| &DST),
            "What becomes of times that a clock change skips or repeats.",
        ),
        key(
            "overlap",
            Form::Choice(&["skip", "queue", "replace", "allow"]),
            "What happens while an earlier run of this schedule is open; skip.",
        ),
        key(
            "catchup",
            Form::Choice(&["none", "last", "all"]),
            "Which times that passed while nobody served are made up for; last.",
        ),
        key(
            "catchup_window",
            Form::Duration,
            "How far back `catchup` looks; 1h.",
        ),
        key(
            "jitter",
            Form::Duration,
            "Spreads starts, the same way each time; 0s.",
        ),
        key("start_at", Form::Literal, "No start before this timestamp."),
        key("end_at", Form::Literal, "No start after this timestamp."),
        key("enabled", Form::Bool, "Whether it fires; true."),
        key("input", Form::Map(&Form::Value), "The inputs of the runs."),
    ]],
    exactly_one: &["cron", "every"],
};

static DST: Table = Table {
    name: "dst",
    doc: "Clock changes.",
    keys: &[&[
        key(
            "gap",
            Form::Choice(&["run_after", "skip"]),
            "For a time that does not exist; run_after.",
        ),
        key(
            "overlap",
            Form::Choice(&["once", "twice"]),
            "For a time that exists twice; once.",
        ),
    ]],
    exactly_one: &[],
};

static TRIGGER: Table = Table {
    name: "trigger",
    doc: "A start by an event.",
    keys: &[&[
        required("event", Form::Literal, "The event's name."),
        key(
            "match",
            Form::Map(&Form::Value),
            "Fields of the event's data that have to be equal.",
        ),
        key("when", Form::Condition, "A further condition over `event`."),
        key("input", Form::Map(&Form::Value), "The inputs of the run."),
        key(
            "dedupe_key",
            Form::Text,
            "Events with one key start one run.",
        ),
        key("rate", Form::Table(|| &RATE), "How many starts in a time."),
    ]],
    exactly_one: &[],
};

static RATE: Table = Table {
    name: "rate",
    doc: "At most `max` in `per`.",
    keys: &[&[
        required("max", Form::Integer(1, i64::MAX), "How many."),
        required("per", Form::Duration, "In which time."),
    ]],
    exactly_one: &[],
};

static TASK_TYPE: Table = Table {
    name: "task_type",
    doc: "What all tasks of a type have in common.",
    keys: &[&[
        key("input", Form::Schema, "The type of the input."),
        key("output", Form::Schema, "The type of the result."),
        key(
            "effects",
            super::steps::EFFECTS,
            "What the task does to the world.",
        ),
        key(
            "idempotent",
            Form::Bool,
            "Whether doing it twice is as good as once.",
        ),
        key(
            "capabilities",
            Form::List(&Form::Literal),
            "What an agent needs to do it.",
        ),
    ]],
    exactly_one: &[],
};

static CONCURRENCY: Table = Table {
    name: "concurrency",
    doc: "Runs that exclude each other.",
    keys: &[&[
        required("key", Form::Text, "Runs with the same key count together."),
        key(
            "max",
            Form::Integer(1, i64::MAX),
            "How many of them at once; 1.",
        ),
        key(
            "on_conflict",
            Form::Choice(&["queue", "reject", "replace"]),
            "What becomes of one more; queue.",
        ),
    ]],
    exactly_one: &[],
};

static LIMITS: Table = Table {
    name: "limits",
    doc: "Limits of a `states` body.",
    keys: &[&[key(
        "transitions",
        Form::Integer(1, i64::MAX),
        "Transitions of one run; 1000.",
    )]],
    exactly_one: &[],
};

static COMPAT: Table = Table {
    name: "compat",
    doc: "Deprecated: a run stays on its version anyway.",
    keys: &[&[key(
        "adopt",
        Form::Choice(&["never"]),
        "Whether a run may move to another version; never.",
    )]],
    exactly_one: &[],
};

/// A failure that a final state or a step reports.
pub(super) static FAILURE: Table = Table {
    name: "failure",
    doc: "Why a run failed.",
    keys: &[&[
        required(
            "code",
            Form::Pattern(OUTCOME_ERROR),
            "An error code of your own, as `app.refused`.",
        ),
        key("message", Form::Text, "In words."),
        key("data", Form::Value, "In data."),
    ]],
    exactly_one: &[],
};

/// `assign`: a name, or the long form.
pub(super) const ASSIGNED: Form = Form::Either(&[Form::Literal, Form::Table(|| &ASSIGN)]);
