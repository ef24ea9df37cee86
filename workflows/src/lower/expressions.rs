//! Types and fills in every expression of a draft.
//!
//! Steps are visited in the order of their needs, so that what a step yields has a type before
//! anybody reads it. What a step may see follows from the graph alone: a step that comes before
//! it on every way has an outcome, one that may be passed over may have no output.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::needs_edit::NeedsEdit;
use super::order::Order;
use super::types::{approval_type, error_type, input_type, run_type};
use super::value::Values;
use super::{Cx, Draft, StepDraft, document};
use crate::diagnostic::Note;
use crate::expr::{Env, Expr, ExprError, ObjectType, StepView, Type};
use crate::machine::{Compensate, Join, OnFailure, Step, StepIndex, StepKind, Template};
use crate::source::Span;
use crate::syntax::{Map, Node, Shape};

/// What belongs to the workflow as a whole.
pub(crate) struct Filled {
    pub(crate) outputs: Vec<(String, Template)>,
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) metadata: Option<Json>,
}

/// Checks all expressions of `draft` and puts them in their places.
pub(crate) fn fill(cx: &mut Cx<'_>, draft: &mut Draft<'_>, order: &Order) -> Filled {
    let globals = Env::new()
        .variable("inputs", Type::of_inputs(&draft.inputs))
        .variable("run", run_type());
    let ids: BTreeMap<String, usize> = draft
        .steps
        .iter()
        .enumerate()
        .map(|(index, draft)| (draft.step.id.clone(), index))
        .collect();
    let everybody = ids.keys().fold(globals.clone(), |env, id| {
        env.step(id.as_str(), StepView::NotBefore)
    });
    let mut outputs: Vec<Type> = vec![Type::Any; draft.steps.len()];
    for &index in &order.sequence {
        let mentioned = Mentioned::in_step(&draft.steps[index], &ids);
        // Names that are not written cannot matter, except as what was meant by a wrong one.
        let known = if mentioned.strangers && cx.may_suggest() {
            &everybody
        } else {
            &globals
        };
        let env = mentioned.steps.iter().fold(known.clone(), |env, other| {
            let view = if *other == index {
                StepView::Own
            } else if order.is_before(*other, index) {
                StepView::Visible {
                    output: outputs[*other].clone(),
                    absent: absent_before(draft, order, *other, index),
                }
            } else {
                StepView::NotBefore
            };
            env.step(draft.steps[*other].step.id.as_str(), view)
        });
        let mut scope = StepScope {
            order,
            ids: &ids,
            index,
            env,
        };
        outputs[index] = scope.fill(cx, &mut draft.steps[index], &globals);
    }
    cx.sink.enter(draft.span);
    policies(cx, draft, &globals);
    let mut racing = vec![false; draft.steps.len()];
    for step in draft.steps.iter().map(|draft| &draft.step) {
        if step.join == Join::First {
            for need in &step.needs {
                racing[need.get()] = true;
            }
        }
    }
    let at_end = draft
        .steps
        .iter()
        .enumerate()
        .fold(globals.clone(), |env, (index, step)| {
            let view = StepView::Visible {
                output: outputs[index].clone(),
                absent: absent_at_end(step, racing[index]),
            };
            env.step(step.step.id.as_str(), view)
        });
    let filled = Filled {
        outputs: named_values(cx, draft.root, "outputs", &at_end),
        labels: labels(cx, draft.root, &globals),
        metadata: document::metadata(draft.root),
    };
    mark_read_outputs(draft, &filled, &ids);
    filled
}

/// The steps whose names are written in a step.
struct Mentioned {
    steps: Vec<usize>,
    /// Whether `steps.` is written before a name that is none.
    strangers: bool,
}

impl Mentioned {
    /// Reads the words of the step's text: more than its expressions, never less.
    fn in_step(draft: &StepDraft<'_>, ids: &BTreeMap<String, usize>) -> Self {
        let mut steps = Vec::new();
        let mut strangers = false;
        let mut values: Vec<&Node> = draft.map.entries.iter().map(|entry| &entry.value).collect();
        while let Some(node) = values.pop() {
            match &node.shape {
                Shape::Seq(items) => values.extend(items),
                Shape::Map(map) => values.extend(map.entries.iter().map(|entry| &entry.value)),
                Shape::Scalar(scalar) => {
                    let mut after_steps = false;
                    let words = scalar
                        .text
                        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .filter(|word| !word.is_empty());
                    for word in words {
                        match ids.get(word) {
                            Some(index) => steps.push(*index),
                            None => strangers |= after_steps,
                        }
                        after_steps = word == "steps";
                    }
                }
            }
        }
        steps.sort_unstable();
        steps.dedup();
        Self { steps, strangers }
    }
}

/// One step's view of the workflow.
struct StepScope<'a> {
    order: &'a Order,
    ids: &'a BTreeMap<String, usize>,
    index: usize,
    env: Env,
}

impl StepScope<'_> {
    /// Fills in one step; the type of its output comes back.
    fn fill(&mut self, cx: &mut Cx<'_>, draft: &mut StepDraft<'_>, globals: &Env) -> Type {
        cx.sink.enter(draft.id_span);
        let map = draft.map;
        let needs = NeedsEdit::of(cx.source.text(), map);
        let amend = |error: &ExprError, text: &str, note: Note| {
            self.explain_order(&needs, draft.id_span, error, text, note)
        };
        if let Some(entry) = map.get("if") {
            let mut values = Values {
                cx,
                env: &self.env,
                amend: &amend,
            };
            draft.step.condition = values.condition("if", &entry.value);
        }
        let env = match &draft.step.condition {
            Some(condition) => self.env.with_certain(condition.requires_success_of()),
            None => self.env.clone(),
        };
        let mut values = Values {
            cx,
            env: &env,
            amend: &amend,
        };
        draft.step.input = entries(&mut values, map, "input");
        draft.step.key = map
            .get("key")
            .and_then(|entry| values.text("key", &entry.value));
        match &mut draft.step.kind {
            StepKind::Task(task) => {
                let nested = map.get("task").and_then(|entry| entry.value.as_map());
                task.prompt = prompt(&mut values, nested.unwrap_or(map));
            }
            StepKind::Approval(approval) => {
                if let Some(fields) = map.get("approval").and_then(|entry| entry.value.as_map()) {
                    approval.prompt = prompt(&mut values, fields);
                    approval.show = fields.get("show").map(|entry| values.value(&entry.value).0);
                }
            }
            StepKind::Fail(fail) => {
                if let Some(fields) = map.get("fail").and_then(|entry| entry.value.as_map()) {
                    if let Some(entry) = fields.get("message")
                        && let Some(message) = values.text("message", &entry.value)
                    {
                        fail.message = message;
                    }
                    fail.data = fields.get("data").map(|entry| values.value(&entry.value).0);
                }
            }
            _ => {}
        }
        let result = match &draft.step.kind {
            StepKind::Approval(_) => approval_type(),
            StepKind::Fail(_) => Type::Null,
            _ => Type::from_schema(&draft.step.output),
        };
        let output = match map.get("yield") {
            None => result,
            Some(entry) => {
                let env = env.clone().variable("result", result);
                let mut values = Values {
                    cx,
                    env: &env,
                    amend: &amend,
                };
                let (template, ty) = values.value(&entry.value);
                draft.step.yields = Some(template);
                ty
            }
        };
        if let Some(node) = draft.retry_when.filter(|_| own_retry(map)) {
            draft.step.retry.when = retry_condition(cx, node, globals);
        }
        self.undo(cx, draft, &env, &output, globals);
        output
    }

    /// The expressions of `compensate`.
    fn undo(
        &self,
        cx: &mut Cx<'_>,
        draft: &mut StepDraft<'_>,
        env: &Env,
        output: &Type,
        globals: &Env,
    ) {
        let map = draft
            .map
            .get("compensate")
            .and_then(|entry| entry.value.as_map());
        let (Some(map), Compensate::Task(undo)) = (map, &mut draft.step.compensate) else {
            return;
        };
        let itself = ObjectType::default().field("input", input_type(&draft.step.input));
        let itself = if draft.step.idempotent {
            itself.field("output", output.clone())
        } else {
            let why = "the step may have ended without a result";
            itself.optional_field("output", output.clone(), why)
        };
        let env = env
            .clone()
            .variable("self", itself.into())
            .variable("error", error_type());
        let amend = |error: &ExprError, text: &str, note: Note| {
            if error.code == "PHI305" {
                return note.recode("PHI704");
            }
            let needs = NeedsEdit::None;
            self.explain_order(&needs, draft.id_span, error, text, note)
        };
        let mut values = Values {
            cx,
            env: &env,
            amend: &amend,
        };
        undo.input = entries(&mut values, map, "input");
        let nested = map.get("task").and_then(|entry| entry.value.as_map());
        undo.task.prompt = prompt(&mut values, nested.unwrap_or(map));
        if let Some(node) = draft.undo_retry_when.filter(|_| own_retry(map)) {
            undo.retry.when = retry_condition(cx, node, globals);
        }
    }

    /// Adds to PHI205 what would put the steps in order.
    fn explain_order(
        &self,
        needs: &NeedsEdit,
        id_span: Span,
        error: &ExprError,
        text: &str,
        note: Note,
    ) -> Note {
        if error.code != "PHI205" {
            return note;
        }
        let named = text.get(error.range.clone()).unwrap_or_default();
        let Some((id, other)) = step_named(named, text, error.range.start, self.ids) else {
            return note;
        };
        if self.order.is_before(self.index, other) {
            return note
                .help("the two steps would wait for each other: move the value, or drop a need");
        }
        let note = note.also(id_span, format!("add `{id}` to the needs of this step"));
        match needs.add(id) {
            Some((span, text)) => note.edit(span, text),
            None => note,
        }
    }
}

/// The step that a PHI205 speaks of: the name after `steps.` within or right behind its range.
fn step_named<'i>(
    named: &str,
    text: &str,
    start: usize,
    ids: &'i BTreeMap<String, usize>,
) -> Option<(&'i str, usize)> {
    let tail = text.get(start..)?;
    let candidates = [named, tail];
    candidates.into_iter().find_map(|candidate| {
        let name = candidate.trim_start();
        let name = name.strip_prefix("steps").map_or(name, |rest| {
            rest.trim_start_matches(['.', '?', '[', '\'', '"'])
        });
        let end = name
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(name.len());
        ids.get_key_value(&name[..end])
            .map(|(id, index)| (id.as_str(), *index))
    })
}

/// Whether the step's retry is written here, and not in a policy that is checked once.
fn own_retry(map: &Map) -> bool {
    map.get("retry")
        .is_some_and(|entry| entry.value.as_map().is_some())
}

/// Why `other`, which is before `index` on some way, may have no output there.
fn absent_before(draft: &Draft<'_>, order: &Order, other: usize, index: usize) -> Option<String> {
    if !order.decided_before[index].contains(other) {
        return Some(format!(
            "a `join` lets `{}` start without it",
            draft.steps[index].step.id
        ));
    }
    absent_when_decided(&draft.steps[other])
}

/// Why a step may have no output when the run completes.
fn absent_at_end(draft: &StepDraft<'_>, races: bool) -> Option<String> {
    if races {
        return Some("`join: first` may cancel it".to_owned());
    }
    absent_when_decided(draft)
}

fn absent_when_decided(draft: &StepDraft<'_>) -> Option<String> {
    let step = &draft.step;
    if draft.map.get("if").is_some() {
        Some("it may be skipped: it has `if`".to_owned())
    } else if step.on_failure == OnFailure::Continue {
        Some("it may have failed: it has `on_failure: continue`".to_owned())
    } else if matches!(step.kind, StepKind::Fail(_)) {
        Some("a `fail` step has no output".to_owned())
    } else {
        None
    }
}

fn entries(values: &mut Values<'_, '_>, map: &Map, key: &str) -> Vec<(String, Template)> {
    let Some(entry) = map.get(key) else {
        return Vec::new();
    };
    let Some(fields) = values.cx.map(key, &entry.value) else {
        return Vec::new();
    };
    fields
        .entries
        .iter()
        .map(|field| (field.key.clone(), values.value(&field.value).0))
        .collect()
}

fn prompt(values: &mut Values<'_, '_>, map: &Map) -> Option<Template> {
    let entry = map.get("prompt")?;
    values.text("prompt", &entry.value)
}

fn named_values(cx: &mut Cx<'_>, root: &Map, key: &str, env: &Env) -> Vec<(String, Template)> {
    let amend = |_: &ExprError, _: &str, note: Note| note;
    let mut values = Values {
        cx,
        env,
        amend: &amend,
    };
    match root.get(key).and_then(|entry| entry.value.as_map()) {
        Some(_) => entries(&mut values, root, key),
        None => Vec::new(),
    }
}

fn labels(cx: &mut Cx<'_>, root: &Map, globals: &Env) -> Vec<(String, Template)> {
    let Some(entry) = root.get("labels") else {
        return Vec::new();
    };
    let entries = document::label_entries(cx, &entry.value);
    let amend = |_: &ExprError, _: &str, note: Note| note;
    let mut values = Values {
        cx,
        env: globals,
        amend: &amend,
    };
    entries
        .into_iter()
        .filter_map(|(key, node)| {
            let template = values.text(&format!("labels.{key}"), node)?;
            Some((key, template))
        })
        .collect()
}

/// Conditions of named policies are checked once, where they stand.
fn policies(cx: &mut Cx<'_>, draft: &mut Draft<'_>, globals: &Env) {
    let named: Vec<(String, &Node)> = draft
        .retry_policies
        .iter()
        .filter_map(|(name, policy)| Some((name.clone(), policy.when?)))
        .collect();
    for (name, node) in named {
        let Some(condition) = retry_condition(cx, node, globals) else {
            continue;
        };
        for step in &mut draft.steps {
            let uses = |map: &Map| {
                map.get("retry")
                    .is_some_and(|entry| entry.value.as_str() == Some(&name))
            };
            let same = |when: Option<&Node>| when.is_some_and(|when| std::ptr::eq(when, node));
            if same(step.retry_when) {
                step.step.retry.when = Some(condition.clone());
            }
            let undo_map = step
                .map
                .get("compensate")
                .and_then(|entry| entry.value.as_map());
            if let (Some(map), Compensate::Task(undo)) = (undo_map, &mut step.step.compensate)
                && uses(map)
            {
                undo.retry.when = Some(condition.clone());
            }
        }
    }
    // A policy written out in `defaults` has no name; its steps share the node.
    let shared = draft
        .root
        .get("defaults")
        .and_then(|entry| entry.value.as_map())
        .and_then(|map| map.get("retry"))
        .and_then(|entry| entry.value.as_map())
        .and_then(|map| map.get("when"));
    if let Some(entry) = shared
        && let Some(condition) = retry_condition(cx, &entry.value, globals)
    {
        for step in &mut draft.steps {
            if step
                .retry_when
                .is_some_and(|when| std::ptr::eq(when, &entry.value))
            {
                step.step.retry.when = Some(condition.clone());
            }
        }
    }
}

fn retry_condition(cx: &mut Cx<'_>, node: &Node, globals: &Env) -> Option<Expr> {
    let env = globals.clone().variable("error", error_type());
    let amend = |_: &ExprError, _: &str, note: Note| note;
    Values {
        cx,
        env: &env,
        amend: &amend,
    }
    .condition("when", node)
}

fn mark_read_outputs(draft: &mut Draft<'_>, filled: &Filled, ids: &BTreeMap<String, usize>) {
    let mut read = vec![false; draft.steps.len()];
    let mut visit = |expr: &Expr| {
        for id in expr.step_outputs_read() {
            if let Some(index) = ids.get(id) {
                read[*index] = true;
            }
        }
    };
    for draft in &draft.steps {
        draft.step.for_each_expr(&mut visit);
    }
    for (_, template) in filled.outputs.iter().chain(&filled.labels) {
        template.for_each_expr(&mut visit);
    }
    for (draft, read) in draft.steps.iter_mut().zip(read) {
        draft.step.output_is_read = read;
    }
}

/// The place of a step by its id.
pub(crate) fn index_by_id(steps: &[Step]) -> BTreeMap<String, StepIndex> {
    (0_u32..)
        .map(StepIndex)
        .zip(steps)
        .map(|(index, step)| (step.id.clone(), index))
        .collect()
}
