//! `compensate`: how a step is undone.

use super::super::Cx;
use super::super::fields::excluded;
use super::super::keys::{COMPENSATION, STEP};
use super::super::policy;
use super::super::step::Common;
use super::task::{self, clocks, unassigned};
use crate::diagnostic::Note;
use crate::machine::{Compensate, Compensation, Effects, TaskSpec};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Map, Node};

/// What an undo cannot be: it has to run by itself.
const NEVER: [&str; 3] = ["approval", "wait_for", "compensate"];
/// What an undo can be, apart from a task.
const OTHER_KINDS: [&str; 4] = ["call", "files", "emit", "do"];

/// `compensate:` as far as it was understood.
pub(in crate::lower) struct Undo<'n> {
    pub(in crate::lower) compensate: Compensate,
    /// The condition of its retry.
    pub(in crate::lower) retry_when: Option<&'n Node>,
    /// Whether undoing twice is as good as once, if it or its task type says so.
    pub(in crate::lower) idempotent: Option<bool>,
}

impl Undo<'_> {
    /// One that is a word, or nothing.
    pub(in crate::lower) fn plain(compensate: Compensate) -> Self {
        Self {
            compensate,
            retry_when: None,
            idempotent: None,
        }
    }
}

/// `compensate:` of a step.
pub(in crate::lower) fn read<'n>(
    cx: &mut Cx<'_>,
    node: &'n Node,
    step_id: &str,
    of_files: bool,
    common: &Common<'_, 'n>,
) -> Undo<'n> {
    let absent = Undo::plain(Compensate::Absent);
    match node.as_str() {
        Some("none") => return Undo::plain(Compensate::None),
        Some("revert") if of_files => {
            cx.not_yet("`compensate`", "revert", node.span);
            return Undo::plain(Compensate::Revert);
        }
        Some("revert") => {
            cx.sink.push(
                Note::error(
                    "PHI107",
                    node.span,
                    "`compensate: revert` applies to `files` only",
                )
                .help("say how the step is undone: `compensate: { task: NAME }`"),
            );
            return absent;
        }
        Some(other) => {
            let words = ["none", "revert"];
            let words = &words[..if of_files { 2 } else { 1 }];
            cx.not_one_of(other, node.span, words.iter().copied());
            return absent;
        }
        None => {}
    }
    let Some(map) = cx.map("compensate", node) else {
        return absent;
    };
    keys(cx, map);
    let task = undo_task(cx, map, node.span, step_id, common);
    let timeouts = clocks(cx, map, common.defaults);
    let mut retry = match map.get("retry") {
        Some(entry) => {
            policy::retry(cx, &entry.value, common.policies).unwrap_or_else(policy::undo_retry)
        }
        None => policy::undo_retry(),
    };
    // An undo is repeated after an unknown end too: it has to be written so that it may be.
    retry.complete(Effects::Write, true);
    let assign = map
        .get("assign")
        .and_then(|entry| policy::assign(cx, &entry.value, common.outline));
    let assign = assign
        .map(|(assign, _)| assign)
        .or_else(|| common.defaults.assign.clone());
    let output = map
        .get("output")
        .map_or_else(Schema::any, |entry| common.schemas.schema(cx, &entry.value));
    for key in ["title", "description"] {
        if let Some(entry) = map.get(key) {
            cx.literal(key, &entry.value);
        }
    }
    let written = map
        .get("idempotent")
        .and_then(|entry| cx.boolean("idempotent", &entry.value));
    let Some(task) = task else { return absent };
    let idempotent = written.or_else(|| by_type(common, &task));
    let undo = Compensation {
        task,
        input: Vec::new(),
        output,
        assign: assign.unwrap_or_else(unassigned),
        timeouts,
        retry: retry.retry,
    };
    Undo {
        compensate: Compensate::Task(Box::new(undo)),
        retry_when: retry.when,
        idempotent,
    }
}

/// What the task's type says of doing it twice.
fn by_type(common: &Common<'_, '_>, task: &TaskSpec) -> Option<bool> {
    let known = common.task_types.get(&task.task_type)?;
    let effectless = matches!(known.effects, Some(Effects::None | Effects::Read));
    known.idempotent.or(effectless.then_some(true))
}

fn keys(cx: &mut Cx<'_>, map: &Map) {
    let mut rest = Map {
        entries: Vec::new(),
        flow: map.flow,
    };
    for entry in &map.entries {
        let key = entry.key.as_str();
        if NEVER.contains(&key) {
            cx.sink.push(
                Note::error(
                    "PHI706",
                    entry.key_span,
                    format!("compensation holds `{key}`"),
                )
                .help("an undo is a task that runs by itself"),
            );
        } else if STEP.allowed.contains(&key) && !COMPENSATION.allowed.contains(&key) {
            cx.sink.push(Note::error(
                "PHI107",
                entry.key_span,
                format!("`{key}` does not apply to `compensate`"),
            ));
        } else {
            rest.entries.push(entry.clone());
        }
    }
    cx.keys(&rest, &COMPENSATION);
}

fn undo_task(
    cx: &mut Cx<'_>,
    map: &Map,
    span: Span,
    step_id: &str,
    common: &Common<'_, '_>,
) -> Option<TaskSpec> {
    match (map.get("task"), map.get("prompt")) {
        (Some(entry), prompt) => {
            if let Some(prompt) = prompt {
                let (kind, prompt) = (("task", entry.key_span), ("prompt", prompt.key_span));
                cx.sink.push(
                    excluded(prompt, kind, "the kind")
                        .help("write `task: { type: NAME, prompt: TEXT }`"),
                );
            }
            task::read(cx, &entry.value, entry.key_span, common)
        }
        (None, Some(_)) => Some(TaskSpec::bare(format!("{step_id}.undo"))),
        (None, None) => {
            let refused = map.entries.iter().any(|entry| {
                let key = entry.key.as_str();
                OTHER_KINDS.contains(&key) || NEVER.contains(&key)
            });
            if !refused {
                let first = map.entries.first().map_or(span, |entry| entry.key_span);
                cx.missing("`compensate`", "task", first, "task: NAME");
            }
            None
        }
    }
}
