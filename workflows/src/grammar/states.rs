//! The body of a finite state machine.

use super::steps::{ACTIVITY, STEPS};
use super::workflow::FAILURE;
use super::{Form, ID, Table, key, required};

/// A state.
pub(super) static STATE: Table = Table {
    name: "state",
    doc: "A state: what is done in it, and where it leads.",
    keys: &[&[
        key("entry", STEPS, "Steps in order before the activity."),
        key(
            "activity",
            Form::Table(|| &ACTIVITY),
            "What is done here; nothing.",
        ),
        key("exit", STEPS, "Steps in order after the activity."),
        key(
            "timeout",
            Form::Table(|| &TIMEOUT),
            "How long the state may last, and where it leads then.",
        ),
        key(
            "max_visits",
            Form::Integer(1, i64::MAX),
            "How often a run may come here.",
        ),
        key(
            "transitions",
            Form::List(&Form::Table(|| &TRANSITION)),
            "Tried in order.",
        ),
        key(
            "final",
            Form::Choice(&["completed", "failed"]),
            "The run ends here, like this.",
        ),
        key(
            "outputs",
            Form::Map(&Form::Value),
            "The outputs of a completed run.",
        ),
        key("error", Form::Table(|| &FAILURE), "Why the run failed."),
    ]],
    exactly_one: &[],
};

static TIMEOUT: Table = Table {
    name: "state_timeout",
    doc: "A limit of a state.",
    keys: &[&[
        required("after", Form::Duration, "How long."),
        required("to", ID, "The state that follows."),
    ]],
    exactly_one: &[],
};

static TRANSITION: Table = Table {
    name: "transition",
    doc: "A way out of a state.",
    keys: &[&[
        key(
            "outcome",
            ID,
            "`succeeded`, `failed`, or an option of the approval.",
        ),
        key("event", Form::Literal, "An event; it cancels the activity."),
        key(
            "signal",
            Form::Literal,
            "A signal to this run; it cancels the activity.",
        ),
        key(
            "errors",
            Form::Names,
            "Narrows `outcome: failed` to these codes.",
        ),
        key(
            "match",
            Form::Map(&Form::Value),
            "Fields of the event's data that have to be equal.",
        ),
        key("when", Form::Condition, "A further condition."),
        key("set", Form::Map(&Form::Value), "Writes declared `vars`."),
        required("to", ID, "The state that follows."),
    ]],
    exactly_one: &["outcome", "event", "signal"],
};
