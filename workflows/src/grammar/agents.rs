//! The team: `agents.yaml`. Its reader is in another crate; this is what editors are told.

use super::{Form, Table, key};

/// The file.
pub(super) static TEAM: Table = Table {
    name: "team",
    doc: "The team: who works, who decides.",
    keys: &[&[
        key(
            "phisync",
            Form::Integer(1, 1),
            "The version of the format; 1 is the only one.",
        ),
        key(
            "agents",
            Form::Map(&Form::Table(|| &AGENT)),
            "Name to agent; names compare without case.",
        ),
        key(
            "people",
            Form::Map(&Form::Table(|| &PERSON)),
            "Name to person; agents and people share their names.",
        ),
        key(
            "types",
            Form::Map(&Form::Table(|| &LIMITS)),
            "Type of tasks to what holds for all of them, whoever takes them.",
        ),
    ]],
    exactly_one: &[],
};

static AGENT: Table = Table {
    name: "agent",
    doc: "One agent.",
    keys: &[&[
        key(
            "capabilities",
            Form::List(&Form::Literal),
            "What it can do.",
        ),
        key(
            "concurrency",
            Form::Integer(0, 10_000),
            "How many tasks at once; 1.",
        ),
        key(
            "command",
            Form::List(&Form::Literal),
            "The program and its arguments, relative to this file.",
        ),
        key("pool", Form::Literal, "The group that it belongs to."),
        key("silence", Form::Duration, "When it counts as dead; 60s."),
        key(
            "detector",
            Form::Choice(&["deadline", "phi"]),
            "How its death is noticed; deadline.",
        ),
        key(
            "rate",
            Form::Literal,
            "How often it may take a task, such as 30/m.",
        ),
    ]],
    exactly_one: &[],
};

static LIMITS: Table = Table {
    name: "limits",
    doc: "What holds for the tasks of one type.",
    keys: &[&[
        key(
            "concurrency",
            Form::Integer(1, 10_000),
            "How many of them at once.",
        ),
        key(
            "rate",
            Form::Literal,
            "How often one may be taken, such as 6/h.",
        ),
    ]],
    exactly_one: &[],
};

static PERSON: Table = Table {
    name: "person",
    doc: "One person.",
    keys: &[&[key(
        "roles",
        Form::List(&Form::Literal),
        "The roles that approvals name.",
    )]],
    exactly_one: &[],
};
