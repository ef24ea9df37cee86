//! One step, without its expressions.

use std::ops::RangeInclusive;

use super::keys::{ACTIVITY, JOIN, STEP};
use super::outline::{Outline, Place};
use super::policy::{self, Defaults, Policies, RetryDraft};
use super::schemas::Schemas;
use super::task_types::{TaskType, TaskTypes};
use super::{Cx, StepDraft, kinds};
use crate::diagnostic::Note;
use crate::machine::{
    Assign, Effects, Join, OnFailure, Shape, Step, StepIndex, StepKind, TaskSpec, Timeouts, VarSpec,
};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

/// What holds for every step of a workflow.
pub(super) struct Common<'c, 'n> {
    pub(super) defaults: &'c Defaults<'n>,
    pub(super) policies: &'c Policies<'n>,
    pub(super) schemas: &'c Schemas,
    pub(super) outline: &'c Outline<'n>,
    pub(super) task_types: &'c TaskTypes,
    pub(super) vars: &'c [VarSpec],
    pub(super) secrets: &'c [String],
}

/// Reads one step.
pub(super) fn read<'n>(
    cx: &mut Cx<'_>,
    index: StepIndex,
    common: &Common<'_, 'n>,
) -> StepDraft<'n> {
    let place = *common.outline.place(index);
    let (map, id) = (place.map, place.id);
    if let Some(form) = place.undo {
        return kinds::undo_step(cx, &place, form, common);
    }
    if common.outline.is_undo(index) {
        kinds::inside_undo(cx, map);
    }
    cx.keys(map, if place.is_activity { &ACTIVITY } else { &STEP });
    let kind = kinds::read(cx, &place, common);
    let (needs, need_spans) = needs(cx, index, &place, common);
    let join = match map.get("join") {
        Some(entry) if in_graph(&place, common) => {
            join(cx, &entry.value, needs.len(), "needs").unwrap_or(Join::All)
        }
        _ => Join::All,
    };
    let literal =
        |cx: &mut Cx<'_>, key: &str| map.get(key).and_then(|entry| cx.literal(key, &entry.value));
    let title = literal(cx, "title");
    let description = literal(cx, "description");
    let labels = match map.get("labels") {
        Some(entry) => super::document::plain_labels(cx, &entry.value),
        None => Vec::new(),
    };
    let task_type = match &kind {
        Some(StepKind::Task(task)) => common.task_types.get(&task.task_type),
        _ => None,
    };
    let idempotent = match map.get("idempotent") {
        Some(entry) => cx.boolean("idempotent", &entry.value),
        None => task_type.and_then(|known| known.idempotent),
    };
    let idempotent = idempotent.unwrap_or(false);
    let effects = effects(cx, map, kind.as_ref(), task_type);
    let output = match map.get("output") {
        Some(entry) => Some(common.schemas.schema(cx, &entry.value)),
        None => task_type.and_then(|known| known.output.clone()),
    };
    let is_task = kind
        .as_ref()
        .is_none_or(|kind| matches!(kind, StepKind::Task(_)));
    let mut work = Work::read(cx, map, common, is_task, effects, idempotent);
    if let Some(known) = task_type.filter(|_| work.assign.agent.is_none()) {
        work.assign.capabilities.extend(known.capabilities.clone());
        work.assign.capabilities.sort();
        work.assign.capabilities.dedup();
    }
    let on_failure = on_failure(cx, map, kind.as_ref(), common);
    let of_files = matches!(kind, Some(StepKind::Files(_)));
    let undo = kinds::compensate(cx, index, of_files, common);
    let mut kind = kind;
    if let (Some(StepKind::Task(task)), Some(entry)) = (&mut kind, map.get("accept")) {
        task.accept = kinds::accept(cx, &entry.value, common);
    }
    if let (Some(StepKind::Task(task)), Some(entry)) = (&mut kind, map.get("ask")) {
        task.ask = kinds::ask(cx, &entry.value);
    }
    let step = Step {
        id: id.to_owned(),
        body: place.body,
        title,
        description,
        labels,
        // A step without a readable kind has an error; it stays in the draft so that others may
        // refer to it.
        kind: kind.unwrap_or_else(|| StepKind::Task(TaskSpec::bare(id))),
        needs,
        join,
        condition: None,
        input: Vec::new(),
        output: output.unwrap_or_else(Schema::any),
        yields: None,
        assign: work.assign,
        timeouts: work.timeouts,
        retry: work.retry.retry,
        on_failure,
        effects,
        idempotent,
        compensate: undo.compensate,
        key: None,
        output_is_read: false,
    };
    StepDraft {
        step,
        map,
        id_span: place.id_span,
        need_spans,
        retry_when: work.retry.when,
        retry_errors_written: work.retry.errors_written,
        undo_retry_when: undo.retry_when,
        undo_idempotent: undo.idempotent,
        is_implied: false,
    }
}

/// Who works on a step, for how long, how often.
struct Work<'n> {
    assign: Assign,
    timeouts: Timeouts,
    retry: RetryDraft<'n>,
}

impl<'n> Work<'n> {
    /// `defaults` speak of tasks: other kinds have only what they say themselves.
    fn read(
        cx: &mut Cx<'_>,
        map: &'n Map,
        common: &Common<'_, 'n>,
        is_task: bool,
        effects: Effects,
        idempotent: bool,
    ) -> Self {
        let defaults = common.defaults;
        let mut retry = match map.get("retry") {
            Some(entry) => policy::retry(cx, &entry.value, common.policies),
            None if is_task => defaults.retry.clone(),
            None => None,
        }
        .unwrap_or_else(policy::no_retry);
        retry.complete(effects, idempotent);
        if !is_task {
            return Self {
                assign: kinds::unassigned(),
                timeouts: Timeouts::default(),
                retry,
            };
        }
        let timeouts = kinds::clocks(cx, map, defaults);
        let written = map
            .get("assign")
            .and_then(|entry| policy::assign(cx, &entry.value, common.outline));
        let (mut assign, limit_written) = match (written, &defaults.assign) {
            (Some(written), _) => written,
            (None, Some(assign)) => (assign.clone(), defaults.reassignments_written),
            (None, None) => (kinds::unassigned(), false),
        };
        if effects == Effects::Irreversible && !idempotent && !limit_written {
            // Nobody may repeat what cannot be undone and may have happened: a person decides.
            assign.reassignments = 0;
        }
        Self {
            assign,
            timeouts,
            retry,
        }
    }
}

fn on_failure(
    cx: &mut Cx<'_>,
    map: &Map,
    kind: Option<&StepKind>,
    common: &Common<'_, '_>,
) -> OnFailure {
    let written = match map.get("on_failure") {
        Some(entry) => match entry.value.as_map() {
            Some(fields) => kinds::handler(cx, fields, entry.key_span, common),
            None => policy::on_failure(cx, &entry.value),
        },
        // The end of a body is no failure that one could live with.
        None if matches!(kind, Some(StepKind::Fail(_) | StepKind::Finish(_))) => None,
        None => common.defaults.on_failure,
    };
    written.unwrap_or(OnFailure::Fail)
}

fn in_graph(place: &Place<'_>, common: &Common<'_, '_>) -> bool {
    common.outline.body(place.body).shape == Shape::Graph
}

fn effects(
    cx: &mut Cx<'_>,
    map: &Map,
    kind: Option<&StepKind>,
    task_type: Option<&TaskType>,
) -> Effects {
    let Some(entry) = map.get("effects") else {
        if let Some(effects) = task_type.and_then(|known| known.effects) {
            return effects;
        }
        return match kind {
            None
            | Some(
                StepKind::Task(_) | StepKind::Call(_) | StepKind::Files(_) | StepKind::Emit(_),
            ) => Effects::Write,
            Some(_) => Effects::None,
        };
    };
    effects_word(cx, &entry.value).unwrap_or(Effects::Write)
}

pub(super) fn effects_word(cx: &mut Cx<'_>, node: &Node) -> Option<Effects> {
    let choices = [
        ("none", Effects::None),
        ("read", Effects::Read),
        ("write", Effects::Write),
        ("irreversible", Effects::Irreversible),
    ];
    cx.one_of("effects", node, &choices)
}

fn needs(
    cx: &mut Cx<'_>,
    index: StepIndex,
    place: &Place<'_>,
    common: &Common<'_, '_>,
) -> (Vec<StepIndex>, Vec<Span>) {
    if !in_graph(place, common) {
        return in_sequence(cx, index, place, common);
    }
    let Some(entry) = place.map.get("needs") else {
        return (Vec::new(), Vec::new());
    };
    let mut found: Vec<(StepIndex, Span)> = Vec::new();
    for (name, span) in cx.names("needs", &entry.value) {
        let known = common.outline.step_named(&name);
        let here = known.filter(|need| common.outline.place(*need).body == place.body);
        let Some(need) = here else {
            let note = match known {
                Some(_) => Note::error(
                    "PHI202",
                    span,
                    format!("`needs` names `{name}`, which is in another body"),
                )
                .label("not a step of this list")
                .help("a step needs steps of its own list; the block around it can need others"),
                None => {
                    let siblings = &common.outline.body(place.body).steps;
                    let ids = siblings.iter().map(|step| common.outline.place(*step).id);
                    unknown_step(cx, "needs", &name, span, ids.filter(|id| *id != place.id))
                }
            };
            cx.sink.push(note);
            continue;
        };
        if let Some((_, first)) = found.iter().find(|(seen, _)| *seen == need) {
            cx.sink.push(
                Note::error("PHI104", span, format!("`needs` names `{name}` twice"))
                    .also(*first, "first here"),
            );
            continue;
        }
        found.push((need, span));
    }
    found.into_iter().unzip()
}

/// In a sequence each step needs the one before it, and nobody writes so.
fn in_sequence(
    cx: &mut Cx<'_>,
    index: StepIndex,
    place: &Place<'_>,
    common: &Common<'_, '_>,
) -> (Vec<StepIndex>, Vec<Span>) {
    for key in ["needs", "join"] {
        // An activity stands alone, and its keys say so.
        let Some(entry) = place.map.get(key).filter(|_| !place.is_activity) else {
            continue;
        };
        cx.sink.push(
            Note::error(
                "PHI116",
                entry.key_span,
                format!("`{key}` inside a sequence: steps there run in order"),
            )
            .help("remove it, or write `steps:` instead of `do:`")
            .edit_if(removal(cx.source.text(), place.map, entry)),
        );
    }
    let siblings = &common.outline.body(place.body).steps;
    let before = siblings
        .iter()
        .position(|step| *step == index)
        .and_then(|position| position.checked_sub(1));
    match before {
        Some(before) => (vec![siblings[before]], vec![place.id_span]),
        None => (Vec::new(), Vec::new()),
    }
}

/// The change that takes a key with a value on one line away, if that is simple.
fn removal(text: &str, map: &Map, entry: &Entry) -> Option<(Span, String)> {
    let (start, end) = (entry.key_span.start as usize, entry.value.span.end as usize);
    let first = map.entries.first()?;
    if first.key == entry.key || text[start..end].contains('\n') {
        return None;
    }
    let from = if map.flow {
        text[..start].rfind(',')?
    } else {
        text[..start].rfind('\n')?
    };
    let blank = text[from + 1..start].trim().is_empty();
    blank.then(|| (Span::new(from, end), String::new()))
}

/// PHI202 with the nearest of the ids that would do.
pub(super) fn unknown_step<'i>(
    cx: &mut Cx<'_>,
    key: &str,
    name: &str,
    span: Span,
    ids: impl Iterator<Item = &'i str>,
) -> Note {
    let note = Note::error(
        "PHI202",
        span,
        format!("`{key}` names unknown step `{name}`"),
    );
    match cx.nearest(name, ids) {
        Some(near) => note
            .label(format!("did you mean `{near}`?"))
            .edit(span, near),
        None => note.label("no step has this id"),
    }
}

/// The steps that `node` names, wherever in the workflow they stand.
pub(super) fn named(
    cx: &mut Cx<'_>,
    key: &str,
    node: &Node,
    outline: &Outline<'_>,
) -> Vec<StepIndex> {
    let mut indices = Vec::new();
    for (name, span) in cx.names(key, node) {
        match outline.step_named(&name) {
            Some(index) => indices.push(index),
            None => {
                let note = unknown_step(cx, key, &name, span, outline.ids());
                cx.sink.push(note);
            }
        }
    }
    indices
}

/// How many of `count` needs or branches must succeed.
pub(super) fn join(cx: &mut Cx<'_>, node: &Node, count: usize, what: &str) -> Option<Join> {
    let Some(map) = node.as_map() else {
        let choices = [
            ("all", Join::All),
            ("any", Join::Any),
            ("first", Join::First),
        ];
        return cx.one_of("join", node, &choices);
    };
    cx.keys(map, &JOIN);
    let Some(entry) = map.get("at_least") else {
        cx.missing("`join`", "at_least", node.span, "at_least: 2");
        return None;
    };
    let range: RangeInclusive<u32> = 1..=u32::MAX;
    let least = cx.integer("at_least", &entry.value, range)?;
    if least as usize > count {
        cx.sink.push(
            Note::error(
                "PHI413",
                entry.value.span,
                format!("join can never be met: {least} of {count} {what}"),
            )
            .help(format!("`at_least` is at most the number of `{what}`")),
        );
        return None;
    }
    Some(Join::AtLeast(least))
}
