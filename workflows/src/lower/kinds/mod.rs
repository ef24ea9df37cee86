//! What a step does: one file per family of kinds.
//!
//! Values with expressions are read later: here they are empty ([`unread`]), and only their keys
//! are checked.

mod approval;
mod block;
mod call;
mod files;
mod handlers;
mod task;
mod undo;
mod waiting;

use serde_json::Value as Json;

use super::Cx;
use super::keys::{FAIL, FINISH};
use super::outline::{Place, UNDO_KINDS};
use super::step::Common;
use crate::diagnostic::Note;
use crate::expr::{self, Env, Expr, Type};
use crate::machine::{FailSpec, FinishSpec, OnExpiry, StepKind, TaskSpec, Template};
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

pub(super) use block::ROOTS;
pub(super) use handlers::handler;
pub(super) use task::{accept, ask, clocks, task_type_name, unassigned};
pub(super) use undo::{inside as inside_undo, read as compensate, step as undo_step};
pub(super) use waiting::{event_name, event_source, matching, variables};

/// The keys that say what a step does.
const KINDS: [&str; 15] = [
    "task", "approval", "call", "foreach", "loop", "switch", "parallel", "try", "do", "wait",
    "wait_for", "emit", "set", "files", "fail",
];

/// The keys that say what a step does, those that only stand somewhere included.
fn is_kind(key: &str, place: &Place<'_>) -> bool {
    if place.undo.is_some() {
        return UNDO_KINDS.contains(&key);
    }
    if place.is_activity {
        return key == "steps" || KINDS.contains(&key) && key != "fail";
    }
    key == "finish" || KINDS.contains(&key)
}

/// The kinds that take a key, for the keys that not every kind takes.
const TAKEN_BY: &[(&str, &[&str])] = &[
    ("input", &["task", "call"]),
    ("output", &["task", "call", "wait_for"]),
    (
        "yield",
        &["task", "foreach", "loop", "parallel", "try", "do"],
    ),
    ("assign", &["task"]),
    ("timeout", &["task"]),
    ("timeouts", &["task"]),
    (
        "retry",
        &[
            "task", "call", "files", "foreach", "loop", "switch", "parallel", "try", "do",
        ],
    ),
    ("effects", &["task"]),
    ("idempotent", &["task"]),
    ("compensate", &["task", "call", "files"]),
    ("key", &["task"]),
    ("prompt", &["task"]),
    ("accept", &["task"]),
    ("ask", &["task"]),
    ("saga", &["do"]),
];

/// The kind of a step. `None` after a complaint.
pub(super) fn read(
    cx: &mut Cx<'_>,
    place: &Place<'_>,
    common: &Common<'_, '_>,
) -> Option<StepKind> {
    let (map, id) = (place.map, place.id);
    let kinds: Vec<&Entry> = map
        .entries
        .iter()
        .filter(|entry| is_kind(&entry.key, place))
        .collect();
    if let [first, second, ..] = kinds[..] {
        cx.sink.push(
            Note::error(
                "PHI106",
                second.key_span,
                format!("step `{id}` has kinds `{}` and `{}`", first.key, second.key),
            )
            .also(first.key_span, "the first kind")
            .help("make it two steps"),
        );
    }
    let Some(entry) = kinds.first() else {
        return without_kind(cx, place);
    };
    let kind = match entry.key.as_str() {
        "steps" => "do",
        key => key,
    };
    wrong_keys(cx, map, kind, entry.key_span);
    match kind {
        "task" => task::read(cx, &entry.value, entry.key_span, common).map(StepKind::Task),
        "approval" => {
            approval::read(cx, &entry.value, entry.key_span, common).map(StepKind::Approval)
        }
        "call" => call::read(cx, entry).map(StepKind::Call),
        "foreach" => block::foreach(cx, entry, common).map(StepKind::Foreach),
        "loop" => block::repetition(cx, entry, common).map(StepKind::Loop),
        "switch" => block::switch(cx, entry, common).map(StepKind::Switch),
        "parallel" => block::parallel(cx, entry, common).map(StepKind::Parallel),
        "try" => handlers::attempt(cx, entry, common).map(StepKind::Try),
        "do" => block::named_body(cx, map, entry, common).map(StepKind::Do),
        "wait" => waiting::wait(cx, entry).map(StepKind::Wait),
        "wait_for" => waiting::wait_for(cx, entry).map(StepKind::WaitFor),
        "emit" => waiting::emit(cx, entry).map(StepKind::Emit),
        "set" => waiting::set(cx, entry, common).map(StepKind::Set),
        "files" => files::read(cx, entry).map(StepKind::Files),
        "finish" => finish(cx, entry).map(StepKind::Finish),
        _ => fail(cx, "fail", &entry.value, entry.key_span).map(StepKind::Fail),
    }
}

fn without_kind(cx: &mut Cx<'_>, place: &Place<'_>) -> Option<StepKind> {
    let (map, id) = (place.map, place.id);
    let Some(prompt) = map.get("prompt") else {
        let misspelt = map
            .entries
            .iter()
            .any(|entry| cx.nearest(&entry.key, KINDS.into_iter()).is_some());
        if !misspelt {
            let message = format!("step `{id}` has no kind");
            cx.sink
                .push(Note::error("PHI106", place.id_span, message).help(
                    "add `prompt:` or `task:` for an agent, `approval:` for a person, a block as \
                     `foreach:`, or another kind",
                ));
        }
        return None;
    };
    if prompt.value.is_null() {
        cx.wrong_type("prompt", "text", &prompt.value);
    }
    wrong_keys(cx, map, "task", prompt.key_span);
    Some(StepKind::Task(TaskSpec::bare(id)))
}

/// Keys that the kind does not take.
fn wrong_keys(cx: &mut Cx<'_>, map: &Map, kind: &str, kind_span: Span) {
    for entry in &map.entries {
        let key = entry.key.as_str();
        if key == "prompt" && kind == "task" {
            if map.get("task").is_some() {
                let (task, prompt) = (("task", kind_span), ("prompt", entry.key_span));
                cx.sink.push(
                    super::fields::excluded(prompt, task, "the kind")
                        .help("write `task: { type: NAME, prompt: TEXT }`"),
                );
            }
            continue;
        }
        let taken_by = TAKEN_BY.iter().find(|(known, _)| *known == key);
        let ends = matches!(kind, "fail" | "finish");
        let refused = match taken_by {
            Some((_, kinds)) => !kinds.contains(&kind),
            None => ends && key == "on_failure",
        };
        if !refused {
            continue;
        }
        let below = match (kind, key) {
            ("approval" | "wait_for", "timeout") | ("approval", "prompt") | ("try", "saga") => {
                Some(key)
            }
            ("emit", "key") => Some(key),
            ("approval" | "wait_for", "timeouts") => Some("timeout"),
            _ => None,
        };
        let help = match (below, kind, key) {
            (Some(below), _, _) => format!("put `{below}` below `{kind}`"),
            (None, "approval", "input") => "show values with `show` below `approval`".to_owned(),
            (None, "switch", "yield") => "put `yield` into the cases".to_owned(),
            (None, "fail", "on_failure") => "a `fail` step ends its body".to_owned(),
            (None, "finish", "on_failure") => "a `finish` step ends the run".to_owned(),
            (None, _, _) => match taken_by {
                Some((_, ["task"])) | None => "only tasks take it".to_owned(),
                Some((_, kinds)) => {
                    format!(
                        "kinds that take it: {}",
                        super::fields::words(kinds.iter().copied())
                    )
                }
            },
        };
        cx.sink.push(
            Note::error(
                "PHI107",
                entry.key_span,
                format!("`{key}` does not apply to `{kind}`"),
            )
            .help(help),
        );
    }
}

/// `fail`, and the error of a final state.
pub(super) fn fail(cx: &mut Cx<'_>, key: &str, node: &Node, key_span: Span) -> Option<FailSpec> {
    let map = cx.map(key, node)?;
    cx.keys(map, &FAIL);
    let Some(entry) = map.get("code") else {
        cx.missing(&format!("`{key}`"), "code", key_span, "code: app.NAME");
        return None;
    };
    let code = cx.literal("code", &entry.value)?;
    let below_app = code.strip_prefix("app.").is_some_and(|rest| {
        rest.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
    });
    if !below_app {
        cx.sink.push(
            Note::error(
                "PHI104",
                entry.value.span,
                format!("`{code}` is not an error code of a workflow"),
            )
            .help("codes of workflows start with `app.`, as `app.too_many_findings`"),
        );
    }
    Some(FailSpec {
        code,
        message: Template::Literal(Json::String(String::new())),
        data: None,
    })
}

fn finish(cx: &mut Cx<'_>, entry: &Entry) -> Option<FinishSpec> {
    // A bare `finish:` says everything there is to say.
    if !entry.value.is_null() {
        let map = cx.map("finish", &entry.value)?;
        cx.keys(map, &FINISH);
    }
    Some(FinishSpec {
        outputs: Vec::new(),
    })
}

/// `fail` or `continue` at the end of a bound.
fn on_expiry(cx: &mut Cx<'_>, map: &Map, key: &str) -> OnExpiry {
    let choices = [("fail", OnExpiry::Fail), ("continue", OnExpiry::Continue)];
    map.get(key)
        .and_then(|entry| cx.one_of(key, &entry.value, &choices))
        .unwrap_or(OnExpiry::Fail)
}

/// A value that is read later.
fn unread() -> Template {
    Template::Literal(Json::Null)
}

/// A condition that is read later. One that cannot be read leaves an error, and no machine; until
/// then it is equal to no other, so that nothing is said about it.
pub(super) fn unread_condition(place: Span) -> Expr {
    let env = Env::new().variable("unread", Type::Any);
    let unlike = expr::check(&format!("unread == {}", place.start), &env);
    unlike.expect("a comparison is an expression").expr
}
