//! `task`, and what only tasks take: clocks, secrets, proof.

use super::super::Cx;
use super::super::fields::excluded;
use super::super::keys::{ACCEPT, ACCEPT_FILE, ASK, TASK};
use super::super::policy::{self, Defaults};
use super::super::step::Common;
use super::approval::approvers;
use super::unread;
use crate::diagnostic::Note;
use crate::machine::{Accept, AcceptFile, Ask, Assign, TaskSpec, Timeouts};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// A task's type, or a map with type, prompt and more.
pub(super) fn read(
    cx: &mut Cx<'_>,
    node: &Node,
    key_span: Span,
    common: &Common<'_, '_>,
) -> Option<TaskSpec> {
    let Some(map) = node.as_map() else {
        return task_type(cx, "task", node, common).map(TaskSpec::bare);
    };
    cx.keys(map, &TASK);
    if let Some(entry) = map.get("attachments")
        && entry.value.as_seq().is_none()
    {
        cx.wrong_type("attachments", "a list of values", &entry.value);
    }
    let secrets = match map.get("secrets") {
        Some(entry) => secrets(cx, &entry.value, common),
        None => Vec::new(),
    };
    let Some(entry) = map.get("type") else {
        cx.missing("`task`", "type", key_span, "type: NAME");
        return None;
    };
    Some(TaskSpec {
        secrets,
        ..TaskSpec::bare(task_type(cx, "type", &entry.value, common)?)
    })
}

fn task_type(cx: &mut Cx<'_>, key: &str, node: &Node, common: &Common<'_, '_>) -> Option<String> {
    let name = cx.name(key, node)?;
    if !task_type_name(cx, &name, node.span) {
        return None;
    }
    common.task_types.find(cx, &name, node.span);
    Some(name)
}

/// Whether a task type may be called so.
pub(in crate::lower) fn task_type_name(cx: &mut Cx<'_>, task_type: &str, span: Span) -> bool {
    let fits = task_type.len() <= 128
        && task_type
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
    if !fits {
        cx.sink.push(
            Note::error(
                "PHI109",
                span,
                format!("`{task_type}` is not a valid task type"),
            )
            .help("letters, digits and `. _ - /`; instructions stand in `prompt`"),
        );
    }
    fits
}

/// Names of secrets, all of them declared.
fn secrets(cx: &mut Cx<'_>, node: &Node, common: &Common<'_, '_>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, span) in cx.names("secrets", node) {
        if !common.secrets.contains(&name) {
            let mut note = Note::error("PHI213", span, format!("secret `{name}` is not declared"));
            note = match cx.nearest(&name, common.secrets.iter().map(String::as_str)) {
                Some(near) => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(span, near),
                None => note.help(format!("add `{name}` to the workflow's `secrets`")),
            };
            cx.sink.push(note);
        }
        names.push(name);
    }
    names
}

/// `accept` of a step. Its expressions are read later.
pub(in crate::lower) fn accept(
    cx: &mut Cx<'_>,
    node: &Node,
    common: &Common<'_, '_>,
) -> Option<Accept> {
    let map = cx.map("accept", node)?;
    cx.keys(map, &ACCEPT);
    if map.get("files").is_none() && map.get("schema").is_none() {
        cx.missing(
            "`accept`",
            "files",
            node.span,
            "files: [{ path: PATH }]` or `schema: SCHEMA",
        );
    }
    let files = map.get("files").map_or(&[][..], |entry| {
        let items = entry.value.as_seq();
        if items.is_none() {
            cx.wrong_type("files", "a list of files", &entry.value);
        }
        items.unwrap_or_default()
    });
    let files = files.iter().filter_map(|item| accept_file(cx, item));
    let files = files.collect();
    let schema = map
        .get("schema")
        .map(|entry| common.schemas.schema(cx, &entry.value));
    Some(Accept { files, schema })
}

fn accept_file(cx: &mut Cx<'_>, node: &Node) -> Option<AcceptFile> {
    let map = cx.map("files", node)?;
    cx.keys(map, &ACCEPT_FILE);
    if map.get("path").is_none() {
        cx.missing("a file of `accept`", "path", node.span, "path: PATH");
    }
    let exists = map
        .get("exists")
        .and_then(|entry| cx.boolean("exists", &entry.value))
        .unwrap_or(true);
    if let Some(sha256) = map.get("sha256")
        && !exists
    {
        cx.sink.push(Note::error(
            "PHI118",
            sha256.key_span,
            "`sha256` and `exists: false` exclude each other",
        ));
    }
    Some(AcceptFile {
        path: unread(),
        exists,
        sha256: None,
    })
}

/// `ask` of a step: who answers the agent's questions, and until when.
pub(in crate::lower) fn ask(cx: &mut Cx<'_>, node: &Node) -> Ask {
    let usual = Ask::default();
    let Some(map) = cx.map("ask", node) else {
        return usual;
    };
    cx.keys(map, &ASK);
    let from = map.get("from");
    let timeout = map
        .get("timeout")
        .and_then(|entry| cx.duration("timeout", &entry.value));
    Ask {
        from: from.map(|entry| approvers(cx, "from", &entry.value)),
        timeout: timeout.unwrap_or(usual.timeout),
    }
}

/// Anybody, put back three times.
pub(in crate::lower) fn unassigned() -> Assign {
    Assign {
        reassignments: 3,
        ..Assign::default()
    }
}

/// `timeout` and `timeouts` of a step or an undo, over those of `defaults`. A lease that nobody
/// wrote is no longer than the attempt.
pub(in crate::lower) fn clocks(cx: &mut Cx<'_>, map: &Map, defaults: &Defaults<'_>) -> Timeouts {
    let mut timeouts = defaults.timeouts.clone();
    let written = written_clocks(cx, map, &mut timeouts);
    if !written && !defaults.lease_written {
        timeouts.lease = timeouts.lease.min(timeouts.run);
    }
    timeouts
}

/// Changes the clocks that are written; whether the lease is one of them.
fn written_clocks(cx: &mut Cx<'_>, map: &Map, timeouts: &mut Timeouts) -> bool {
    let nested = map.get("timeouts").and_then(|entry| entry.value.as_map());
    let lease = nested.is_some_and(|map| map.get("lease").is_some());
    if let Some(entry) = map.get("timeouts") {
        policy::timeouts(cx, &entry.value, timeouts);
    }
    let Some(short) = map.get("timeout") else {
        return lease;
    };
    if let Some(long) = nested.and_then(|map| map.get("run")) {
        cx.sink.push(
            excluded(
                ("timeout", short.key_span),
                ("timeouts.run", long.key_span),
                "the same clock",
            )
            .help("`timeout` is short for `timeouts.run`"),
        );
    } else if let Some(run) = cx.duration("timeout", &short.value) {
        timeouts.run = run;
    }
    lease
}
