//! Steps: what they have in common, and what undoes them.

use super::kinds::{
    APPROVAL, APPROVERS, CALL, EMIT, FILES, FOREACH, LOOP, PARALLEL, SWITCH, TASK, TRY, WAIT,
    WAIT_FOR,
};
use super::policies::{RETRY, SAGA, TIMEOUTS};
use super::workflow::{ASSIGNED, FAILURE};
use super::{Form, ID, Key, Table, key, required};

/// A list of steps.
pub(super) const STEPS: Form = Form::List(&Form::Table(|| &STEP));

/// `retry`: the name of a policy, or the policy.
pub(super) const RETRIED: Form = Form::Either(&[Form::Literal, Form::Table(|| &RETRY)]);

/// `effects`.
pub(super) const EFFECTS: Form = Form::Choice(&["none", "read", "write", "irreversible"]);

/// `on_failure` of a step.
pub(super) const ON_FAILURE: Form = Form::Either(&[
    Form::Choice(&["fail", "continue"]),
    Form::Table(|| &HANDLER),
]);

/// The keys of which a step has exactly one.
pub(super) const KINDS: &[&str] = &[
    "prompt", "task", "approval", "call", "foreach", "loop", "switch", "parallel", "try", "wait",
    "wait_for", "emit", "set", "files", "do", "finish", "fail",
];

/// A step of a list.
pub(crate) static STEP: Table = Table {
    name: "step",
    doc: "A step: an id, exactly one kind of work, and what holds for it.",
    keys: &[
        &[required("id", ID, "The step's id, unique in the workflow.")],
        WORDS,
        ORDER,
        KIND,
        ENDS,
        COMMON,
        FAILING,
        UNDOING,
    ],
    exactly_one: KINDS,
};

/// What a state does: a step without an id, or a body.
pub(super) static ACTIVITY: Table = Table {
    name: "activity",
    doc: "What a state does: a step without an id, or `steps`.",
    keys: &[
        WORDS,
        KIND,
        &[key("steps", STEPS, "A graph of steps.")],
        COMMON,
        UNDOING,
    ],
    exactly_one: &[],
};

/// What undoes a step.
static UNDO: Table = Table {
    name: "compensation",
    doc: "What undoes a step: a step without an id.",
    keys: &[&[
        key("title", Form::Literal, "A name for people."),
        key("description", Form::Literal, "What it does, for people."),
        key("prompt", Form::Text, "Instructions for the agent."),
        key("task", TASK, "A task for an agent."),
        key("call", Form::Table(|| &CALL), "A workflow."),
        key("emit", Form::Table(|| &EMIT), "An event."),
        key("files", Form::Table(|| &FILES), "Changes of files."),
        key("do", STEPS, "Steps in order."),
        key("assign", ASSIGNED, "Who does it."),
        key(
            "input",
            Form::Map(&Form::Value),
            "What it works on; `self` is the undone step.",
        ),
        key("output", Form::Schema, "The type of the result."),
        key(
            "idempotent",
            Form::Bool,
            "Whether undoing twice is as good as once.",
        ),
        key("timeout", Form::Duration, "How long one attempt may take."),
        key(
            "timeouts",
            Form::Table(|| &TIMEOUTS),
            "How long it may take, in full.",
        ),
        key("retry", RETRIED, "How it is repeated; ten attempts."),
    ]],
    exactly_one: &["prompt", "task", "call", "emit", "files", "do"],
};

static HANDLER: Table = Table {
    name: "failure_handler",
    doc: "What is done when the step failed for good.",
    keys: &[&[
        required("do", STEPS, "Steps in order; they see `error`."),
        key(
            "then",
            Form::Choice(&["fail", "continue"]),
            "What the step's failure means after that; fail.",
        ),
    ]],
    exactly_one: &[],
};

static JOIN: Table = Table {
    name: "join",
    doc: "How many successes are enough.",
    keys: &[&[required(
        "at_least",
        Form::Integer(1, i64::MAX),
        "Successes.",
    )]],
    exactly_one: &[],
};

static ACCEPT: Table = Table {
    name: "accept",
    doc: "What has to hold when the agent says that it is done.",
    keys: &[&[
        key(
            "files",
            Form::List(&Form::Table(|| &ACCEPTED_FILE)),
            "Files that have to be there.",
        ),
        key(
            "schema",
            Form::Schema,
            "A type that the result has to have.",
        ),
    ]],
    exactly_one: &[],
};

static ASK: Table = Table {
    name: "ask",
    doc: "Who answers what the agent asks people while it works.",
    keys: &[&[
        key(
            "from",
            Form::Table(|| &APPROVERS),
            "Who may answer; every declared person.",
        ),
        key(
            "timeout",
            Form::Duration,
            "How long an answer may take, before the attempt fails; 7d.",
        ),
    ]],
    exactly_one: &[],
};

static ACCEPTED_FILE: Table = Table {
    name: "accepted_file",
    doc: "A file that proves the work.",
    keys: &[&[
        required("path", Form::Text, "Where."),
        key("exists", Form::Bool, "Whether it has to exist."),
        key("sha256", Form::Text, "What its content has to hash to."),
    ]],
    exactly_one: &[],
};

const WORDS: &[Key] = &[
    key("title", Form::Literal, "A name for people."),
    key(
        "description",
        Form::Literal,
        "What the step is for, for people.",
    ),
    key("labels", Form::Map(&Form::Text), "Searchable labels."),
];

const ORDER: &[Key] = &[
    key("needs", Form::Names, "The steps that come before."),
    key("join", JOINED, "What of the needs is enough; all."),
    key(
        "if",
        Form::Condition,
        "Asked once when the needs are met; false skips the step.",
    ),
];

/// `join`, of a step and of `parallel`.
pub(super) const JOINED: Form = Form::Either(&[
    Form::Choice(&["all", "any", "first"]),
    Form::Table(|| &JOIN),
]);

const KIND: &[Key] = &[
    key(
        "task",
        TASK,
        "A task for an agent: its type, or type and prompt.",
    ),
    key(
        "approval",
        Form::Table(|| &APPROVAL),
        "A decision of people or agents.",
    ),
    key("call", Form::Table(|| &CALL), "Another workflow."),
    key(
        "foreach",
        Form::Table(|| &FOREACH),
        "A body for each item of a list.",
    ),
    key(
        "loop",
        Form::Table(|| &LOOP),
        "A body again and again, bounded.",
    ),
    key(
        "switch",
        Form::Table(|| &SWITCH),
        "The first case that is true.",
    ),
    key(
        "parallel",
        Form::Table(|| &PARALLEL),
        "Named sequences at once.",
    ),
    key("try", Form::Table(|| &TRY), "A body with handlers."),
    key("wait", WAIT, "A timer."),
    key(
        "wait_for",
        Form::Table(|| &WAIT_FOR),
        "An event or a signal.",
    ),
    key("emit", Form::Table(|| &EMIT), "Publishes an event."),
    key("set", Form::Map(&Form::Value), "Writes declared `vars`."),
    key(
        "files",
        Form::Table(|| &FILES),
        "Changes several files, all or none.",
    ),
    key("do", STEPS, "A named sequence."),
];

/// Kinds that end more than themselves: a state ends by its transitions instead.
const ENDS: &[Key] = &[
    key("finish", FINISH, "Ends the run as completed, now."),
    key(
        "fail",
        Form::Table(|| &FAILURE),
        "Ends the scope as failed.",
    ),
];

/// `finish`: nothing, or outputs.
const FINISH: Form = Form::Either(&[Form::Table(|| &FINISH_TABLE), Form::Choice(&["now"])]);

static FINISH_TABLE: Table = Table {
    name: "finish",
    doc: "Ends the run as completed.",
    keys: &[&[key(
        "outputs",
        Form::Map(&Form::Value),
        "The run's outputs.",
    )]],
    exactly_one: &[],
};

const COMMON: &[Key] = &[
    key("assign", ASSIGNED, "Who does it."),
    key(
        "prompt",
        Form::Text,
        "Instructions for an agent: a task whose type is the step's id.",
    ),
    key(
        "input",
        Form::Map(&Form::Value),
        "What the step works on; every attempt sees the same.",
    ),
    key("output", Form::Schema, "The type of the result."),
    key(
        "accept",
        Form::Table(|| &ACCEPT),
        "Proof that is checked when the agent says it is done.",
    ),
    key(
        "ask",
        Form::Table(|| &ASK),
        "Who answers the agent's questions.",
    ),
    key(
        "yield",
        Form::Value,
        "What others see as the step's output; `result` is the raw result.",
    ),
    key(
        "effects",
        EFFECTS,
        "What the step does to the world; write.",
    ),
    key(
        "idempotent",
        Form::Bool,
        "Whether doing it twice is as good as once; false.",
    ),
    key(
        "key",
        Form::Text,
        "The idempotency key that the agent gets, the same for all attempts.",
    ),
    key(
        "timeout",
        Form::Duration,
        "How long one attempt may take: short for `timeouts.run`.",
    ),
    key(
        "timeouts",
        Form::Table(|| &TIMEOUTS),
        "How long it may take, in full.",
    ),
    key(
        "retry",
        RETRIED,
        "How failed attempts are repeated; not at all.",
    ),
];

/// Of steps only: what the failure of an activity means, the state's transitions say.
const FAILING: &[Key] = &[key(
    "on_failure",
    ON_FAILURE,
    "What the step's failure means; fail.",
)];

const UNDOING: &[Key] = &[
    key("saga", SAGA, "Whether the block is a saga of its own; off."),
    key(
        "compensate",
        Form::Either(&[Form::Choice(&["none", "revert"]), Form::Table(|| &UNDO)]),
        "What undoes the step when the run fails later.",
    ),
];
