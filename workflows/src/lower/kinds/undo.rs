//! `compensate`: how a step is undone.

use super::super::fields::excluded;
use super::super::keys::{COMPENSATION, STEP};
use super::super::outline::{Place, UNDO_KINDS, Undo as Form};
use super::super::policy;
use super::super::step::Common;
use super::super::{Cx, StepDraft};
use super::call;
use super::task::{self, clocks, unassigned};
use crate::diagnostic::{Note, Sink};
use crate::machine::{
    CallSpec, Compensate, Compensation, Effects, FilesSpec, Join, OnFailure, Step, StepIndex,
    StepKind, TaskSpec, Timeouts,
};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

/// What an undo cannot hold: it has to run by itself, and to its end.
const NEVER: [&str; 4] = ["approval", "wait_for", "finish", "compensate"];

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

/// How the step at `index` is undone.
pub(in crate::lower) fn read<'n>(
    cx: &mut Cx<'_>,
    index: StepIndex,
    of_files: bool,
    common: &Common<'_, 'n>,
) -> Undo<'n> {
    let place = common.outline.place(index);
    if common.outline.is_undo(index) {
        // Whoever wrote one there is told with the keys.
        return Undo::plain(Compensate::Absent);
    }
    if let Some(body) = common.outline.undo_of(index) {
        return Undo::plain(Compensate::Body(body));
    }
    match place.map.get("compensate") {
        Some(entry) => written(cx, &entry.value, place.id, of_files, common),
        None => Undo::plain(Compensate::Absent),
    }
}

/// `compensate:` that is a word or a task.
fn written<'n>(
    cx: &mut Cx<'_>,
    node: &'n Node,
    step_id: &str,
    of_files: bool,
    common: &Common<'_, 'n>,
) -> Undo<'n> {
    let absent = Undo::plain(Compensate::Absent);
    match node.as_str() {
        Some("none") => return Undo::plain(Compensate::None),
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
            never(cx, entry);
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

/// PHI706 of a step inside of what undoes another one.
pub(in crate::lower) fn inside(cx: &mut Cx<'_>, map: &Map) {
    for entry in &map.entries {
        let silent = entry.key == "compensate" && entry.value.as_str() == Some("none");
        if NEVER.contains(&entry.key.as_str()) && !silent {
            never(cx, entry);
        }
    }
}

fn never(cx: &mut Cx<'_>, entry: &Entry) {
    let message = format!("compensation holds `{}`", entry.key);
    let note = Note::error("PHI706", entry.key_span, message);
    cx.sink
        .push(note.help("an undo runs by itself, to its end"));
}

/// The step that is an undo: its own body in one step.
pub(in crate::lower) fn step<'n>(
    cx: &mut Cx<'_>,
    place: &Place<'n>,
    form: Form,
    common: &Common<'_, 'n>,
) -> StepDraft<'n> {
    let map = place.map;
    let (kind, mut retry) = match form {
        Form::Written => {
            keys(cx, map);
            let retry = map.get("retry");
            let retry = retry.and_then(|entry| policy::retry(cx, &entry.value, common.policies));
            let kind = super::read(cx, place, common);
            (kind, retry.unwrap_or_else(policy::undo_retry))
        }
        Form::Revert => (
            Some(StepKind::Files(FilesSpec::REVERT)),
            policy::undo_retry(),
        ),
        // Undoing all of it again is for a person to decide.
        Form::Unwind => (unwinding(cx, place, common), policy::no_retry()),
    };
    retry.complete(Effects::Write, true);
    let output = match map.get("output") {
        Some(entry) => common.schemas.schema(cx, &entry.value),
        None => Schema::any(),
    };
    for key in ["title", "description"] {
        if let Some(entry) = map.get(key) {
            cx.literal(key, &entry.value);
        }
    }
    let id = format!("{}-undo", place.id);
    StepDraft {
        step: Step {
            kind: kind.unwrap_or_else(|| StepKind::Task(TaskSpec::bare(&id))),
            id,
            body: place.body,
            title: None,
            description: None,
            labels: Vec::new(),
            needs: Vec::new(),
            join: Join::All,
            condition: None,
            input: Vec::new(),
            output,
            yields: None,
            assign: unassigned(),
            timeouts: Timeouts::default(),
            retry: retry.retry,
            on_failure: OnFailure::Fail,
            effects: Effects::Write,
            idempotent: true,
            compensate: Compensate::Absent,
            key: None,
            output_is_read: false,
        },
        map,
        id_span: place.id_span,
        need_spans: Vec::new(),
        retry_when: retry.when,
        retry_errors_written: retry.errors_written,
        undo_retry_when: None,
        undo_idempotent: None,
        is_implied: form != Form::Written,
    }
}

/// The undoing of the run that the step called whose undo stands at `place`.
fn unwinding(cx: &mut Cx<'_>, place: &Place<'_>, common: &Common<'_, '_>) -> Option<StepKind> {
    let called = common.outline.step_named(place.id)?;
    let entry = common.outline.place(called).map.get("call")?;
    // What is wrong with the call is told where it is read for itself.
    let mut silent = Sink::default();
    let spec = call::read(&mut Cx::new(cx.source, &mut silent), entry)?;
    Some(StepKind::Call(CallSpec {
        unwinds: true,
        ..spec
    }))
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
            for other in UNDO_KINDS.iter().filter_map(|kind| map.get(kind)) {
                let message = format!("compensation has kinds `task` and `{}`", other.key);
                let note = Note::error("PHI106", other.key_span, message);
                cx.sink.push(note.also(entry.key_span, "the first kind"));
            }
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
                UNDO_KINDS.contains(&key) || NEVER.contains(&key)
            });
            if !refused {
                let first = map.entries.first().map_or(span, |entry| entry.key_span);
                cx.missing("`compensate`", "task", first, "task: NAME");
            }
            None
        }
    }
}
