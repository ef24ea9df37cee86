//! One step, without its expressions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::fields::IdForm;
use super::keys::{JOIN, STEP};
use super::policy::{self, Defaults, Policies};
use super::schemas::Schemas;
use super::{Cx, StepDraft, kinds};
use crate::diagnostic::Note;
use crate::machine::{
    BodyIndex, Compensate, Effects, Join, OnFailure, Step, StepIndex, StepKind, TaskSpec, Timeouts,
};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Map, Node, Shape};

/// What holds for every step of a workflow.
pub(super) struct Common<'c, 'n> {
    pub(super) defaults: &'c Defaults<'n>,
    pub(super) policies: &'c Policies<'n>,
    pub(super) schemas: &'c Schemas,
    /// All ids of the workflow, with the place in the list and in the text.
    pub(super) ids: &'c BTreeMap<String, (StepIndex, Span)>,
}

/// The ids of all steps; what is wrong with one is reported here.
pub(super) fn ids(cx: &mut Cx<'_>, items: &[Node]) -> BTreeMap<String, (StepIndex, Span)> {
    let mut ids: BTreeMap<String, (StepIndex, Span)> = BTreeMap::new();
    for (index, item) in (0_u32..).map(StepIndex).zip(items) {
        cx.sink.enter(item.span);
        let Some(map) = item.as_map() else {
            cx.sink.push(
                Note::error(
                    "PHI103",
                    item.span,
                    format!("a step must be a map, found {}", item.type_name()),
                )
                .help("write `- id: NAME` and the step's keys below it"),
            );
            continue;
        };
        let Some(entry) = map.get("id") else {
            let first = map
                .entries
                .first()
                .map_or(item.span, |entry| entry.key_span);
            cx.missing("a step", "id", first, "id: NAME");
            continue;
        };
        let Some(id) = cx.text("id", &entry.value) else {
            continue;
        };
        let span = entry.value.span;
        cx.id(&id, span, IdForm::Snake);
        if let Some((_, first)) = ids.get(&id) {
            cx.sink.push(
                Note::error("PHI201", span, format!("step `{id}` is defined twice"))
                    .label("again")
                    .also(*first, "first here"),
            );
            continue;
        }
        ids.insert(id, (index, span));
    }
    ids
}

/// Reads one step. `None` if it has no id or no kind that this version runs.
pub(super) fn read<'n>(
    cx: &mut Cx<'_>,
    map: &'n Map,
    id: &str,
    id_span: Span,
    common: &Common<'_, 'n>,
) -> StepDraft<'n> {
    cx.keys(map, &STEP);
    let kind = kinds::kind(cx, map, id, id_span);
    let (needs, need_spans) = needs(cx, map, id, common);
    let join = match map.get("join") {
        Some(entry) => join(cx, &entry.value, needs.len()).unwrap_or(Join::All),
        None => Join::All,
    };
    let literal =
        |cx: &mut Cx<'_>, key: &str| map.get(key).and_then(|entry| cx.literal(key, &entry.value));
    let title = literal(cx, "title");
    let description = literal(cx, "description");
    let labels = match map.get("labels") {
        Some(entry) => super::document::plain_labels(cx, &entry.value),
        None => Vec::new(),
    };
    let idempotent = match map.get("idempotent") {
        Some(entry) => cx.boolean("idempotent", &entry.value).unwrap_or(false),
        None => false,
    };
    let effects = effects(cx, map, kind.as_ref());
    let output = map
        .get("output")
        .map(|entry| common.schemas.schema(cx, &entry.value));

    let defaults = common.defaults;
    let mut timeouts = kinds::clocks(cx, map, defaults);
    let mut retry = match map.get("retry") {
        Some(entry) => policy::retry(cx, &entry.value, common.policies),
        None => defaults.retry.clone(),
    }
    .unwrap_or_else(policy::no_retry);
    retry.complete(effects, idempotent);

    let written = map
        .get("assign")
        .and_then(|entry| policy::assign(cx, &entry.value));
    let (mut assign, limit_written) = match (written, &defaults.assign) {
        (Some(written), _) => written,
        (None, Some(assign)) => (assign.clone(), defaults.reassignments_written),
        (None, None) => (kinds::unassigned(), false),
    };
    if effects == Effects::Irreversible && !idempotent && !limit_written {
        // Nobody may repeat what cannot be undone and may have happened: a person decides.
        assign.reassignments = 0;
    }
    let on_failure = match map.get("on_failure") {
        Some(entry) => policy::on_failure(cx, &entry.value),
        None => defaults.on_failure,
    };
    let (compensate, undo_retry_when) = match map.get("compensate") {
        Some(entry) => kinds::compensate(
            cx,
            &entry.value,
            id,
            defaults,
            common.policies,
            common.schemas,
        ),
        None => (Compensate::Absent, None),
    };
    let mut kind = kind;
    if let Some(StepKind::Approval(approval)) = &mut kind {
        approval.not_same_as = not_same_as(cx, map, common);
    }
    if matches!(kind, Some(StepKind::Approval(_) | StepKind::Fail(_))) {
        // `defaults` speak of tasks.
        assign = kinds::unassigned();
        timeouts = Timeouts::default();
        retry = policy::no_retry();
    }
    let step = Step {
        id: id.to_owned(),
        body: BodyIndex::MAIN,
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
        assign,
        timeouts,
        retry: retry.retry,
        on_failure: on_failure.unwrap_or(OnFailure::Fail),
        effects,
        idempotent,
        compensate,
        key: None,
        output_is_read: false,
    };
    StepDraft {
        step,
        map,
        id_span,
        need_spans,
        retry_when: retry.when,
        retry_errors_written: retry.errors_written,
        undo_retry_when,
    }
}

fn effects(cx: &mut Cx<'_>, map: &Map, kind: Option<&StepKind>) -> Effects {
    let Some(entry) = map.get("effects") else {
        return match kind {
            Some(StepKind::Approval(_) | StepKind::Fail(_)) => Effects::None,
            _ => Effects::Write,
        };
    };
    let choices = [
        ("none", Effects::None),
        ("read", Effects::Read),
        ("write", Effects::Write),
        ("irreversible", Effects::Irreversible),
    ];
    cx.one_of("effects", &entry.value, &choices)
        .unwrap_or(Effects::Write)
}

fn needs(
    cx: &mut Cx<'_>,
    map: &Map,
    id: &str,
    common: &Common<'_, '_>,
) -> (Vec<StepIndex>, Vec<Span>) {
    let Some(entry) = map.get("needs") else {
        return (Vec::new(), Vec::new());
    };
    let mut found: Vec<(StepIndex, Span)> = Vec::new();
    for (name, span) in cx.names("needs", &entry.value) {
        let Some((index, _)) = common.ids.get(&name) else {
            let note = unknown_step(cx, "needs", &name, span, id, common);
            cx.sink.push(note);
            continue;
        };
        if let Some((_, first)) = found.iter().find(|(seen, _)| seen == index) {
            cx.sink.push(
                Note::error("PHI104", span, format!("`needs` names `{name}` twice"))
                    .also(*first, "first here"),
            );
            continue;
        }
        found.push((*index, span));
    }
    found.into_iter().unzip()
}

fn unknown_step(
    cx: &mut Cx<'_>,
    key: &str,
    name: &str,
    span: Span,
    own: &str,
    common: &Common<'_, '_>,
) -> Note {
    let others = || {
        common
            .ids
            .keys()
            .map(String::as_str)
            .filter(|id| *id != own)
    };
    let note = Note::error(
        "PHI202",
        span,
        format!("`{key}` names unknown step `{name}`"),
    );
    match cx.nearest(name, others()) {
        Some(near) => note
            .label(format!("did you mean `{near}`?"))
            .edit(span, near),
        None => note.label("no step has this id"),
    }
}

fn not_same_as(cx: &mut Cx<'_>, map: &Map, common: &Common<'_, '_>) -> Vec<StepIndex> {
    let list = map
        .get("approval")
        .and_then(|entry| entry.value.as_map())
        .and_then(|approval| approval.get("not_same_as"));
    let Some(entry) = list else { return Vec::new() };
    let own = map
        .get("id")
        .and_then(|entry| entry.value.as_str())
        .unwrap_or_default();
    let mut indices = Vec::new();
    for (name, span) in cx.names("not_same_as", &entry.value) {
        match common.ids.get(&name) {
            Some((index, _)) => indices.push(*index),
            None => {
                let note = unknown_step(cx, "not_same_as", &name, span, own, common);
                cx.sink.push(note);
            }
        }
    }
    indices
}

fn join(cx: &mut Cx<'_>, node: &Node, needs: usize) -> Option<Join> {
    let Shape::Map(map) = &node.shape else {
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
    let count = cx.integer("at_least", &entry.value, range)?;
    if count as usize > needs {
        cx.sink.push(
            Note::error(
                "PHI413",
                entry.value.span,
                format!("join can never be met: {count} of {needs} needs"),
            )
            .help("`at_least` is at most the number of `needs`"),
        );
        return None;
    }
    Some(Join::AtLeast(count))
}
