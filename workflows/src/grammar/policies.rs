//! Who does a step, how long it may take, how often it is tried, and how it is undone.

use super::steps::{ON_FAILURE, RETRIED};
use super::workflow::ASSIGNED;
use super::{Form, ID, Table, key};

pub(super) static DEFAULTS: Table = Table {
    name: "defaults",
    doc: "What every step has that does not say otherwise.",
    keys: &[&[
        key("assign", ASSIGNED, "Who does the steps."),
        key(
            "timeouts",
            Form::Table(|| &TIMEOUTS),
            "How long tasks may take.",
        ),
        key("retry", RETRIED, "How failed attempts are repeated."),
        key("on_failure", ON_FAILURE, "What a failed step means."),
    ]],
    exactly_one: &[],
};

pub(super) static ASSIGN: Table = Table {
    name: "assign",
    doc: "Who may do a step.",
    keys: &[&[
        key("agent", Form::Literal, "Exactly this agent."),
        key(
            "capabilities",
            Form::Names,
            "What the agent has to be able to do, all of it.",
        ),
        key("pool", Form::Literal, "A group of agents."),
        key("prefer", Form::Names, "Whom to ask first, in order."),
        key("exclude", Form::Names, "Whom never to ask."),
        key(
            "priority",
            Form::Either(&[
                Form::Choice(&["low", "normal", "high", "critical"]),
                Form::Integer(0, 100),
            ]),
            "The place in the queue; normal (50).",
        ),
        key(
            "reassignments",
            Form::Integer(0, 1000),
            "How often a lost lease puts the task back; 3, or 0 if it is irreversible and not idempotent.",
        ),
        key(
            "sticky",
            ID,
            "The same agent as that step's, if it is alive.",
        ),
        key(
            "not_same_as",
            Form::Names,
            "Not an agent who did one of these steps.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static TIMEOUTS: Table = Table {
    name: "timeouts",
    doc: "The four clocks of a task: lease <= run <= total.",
    keys: &[&[
        key("queue", Form::Duration, "From ready to taken; 1h."),
        key(
            "lease",
            Form::Duration,
            "The longest silence of the agent; 60s.",
        ),
        key(
            "run",
            Form::Duration,
            "From taken to the result, one attempt; 30m.",
        ),
        key(
            "total",
            Form::Duration,
            "All attempts and waits between them; no limit of its own.",
        ),
    ]],
    exactly_one: &[],
};

pub(super) static RETRY: Table = Table {
    name: "retry",
    doc: "How failed attempts are repeated.",
    keys: &[&[
        key(
            "max_attempts",
            Form::Integer(1, 100),
            "All attempts, the first included; 3.",
        ),
        key(
            "backoff",
            Form::Choice(&["none", "fixed", "linear", "exponential"]),
            "How the wait grows; exponential.",
        ),
        key("delay", Form::Duration, "The first wait; 2s."),
        key(
            "factor",
            Form::Number(1),
            "What an exponential wait is multiplied by; 2.",
        ),
        key("max_delay", Form::Duration, "The longest wait; 5m."),
        key(
            "jitter",
            Form::Choice(&["none", "full", "equal"]),
            "How a wait is spread; full.",
        ),
        key(
            "max_elapsed",
            Form::Duration,
            "No attempt starts later than this after the first.",
        ),
        key(
            "errors",
            Form::Names,
            "Error codes or prefixes that are retried.",
        ),
        key(
            "except",
            Form::Names,
            "Error codes or prefixes that never are.",
        ),
        key("when", Form::Condition, "A further condition over `error`."),
        key(
            "reassign",
            Form::Choice(&["any", "same", "other"]),
            "Which agent next; any.",
        ),
    ]],
    exactly_one: &[],
};

/// `saga`: on, off, or the long form.
pub(super) const SAGA: Form =
    Form::Either(&[Form::Choice(&["auto", "none"]), Form::Table(|| &SAGA_TABLE)]);

static SAGA_TABLE: Table = Table {
    name: "saga",
    doc: "How the completed steps of a failed scope are undone.",
    keys: &[&[
        key(
            "mode",
            Form::Choice(&["auto", "none"]),
            "Whether they are; auto.",
        ),
        key(
            "order",
            Form::Choice(&["reverse", "relaxed"]),
            "Strictly backwards, or what ran at once is undone at once; reverse.",
        ),
        key(
            "triggers",
            Form::List(&Form::Choice(&["failure", "cancel", "timeout"])),
            "What starts the undoing; all three.",
        ),
        key(
            "on_compensation_failure",
            Form::Choice(&["halt", "continue"]),
            "Wait for a person, or go on; halt.",
        ),
    ]],
    exactly_one: &[],
};
