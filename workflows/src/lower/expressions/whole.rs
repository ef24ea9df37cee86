//! The expressions of the workflow as a whole: outputs, labels, starts, named retries.

use super::super::declared::Declared;
use super::super::order::Order;
use super::super::types::{error_type, event_type, run_type};
use super::super::value::Values;
use super::super::{Cx, Draft, document};
use super::kinds::{final_outputs, inputs_of, scalars};
use super::views::{Mentioned, Views};
use super::{Filled, Output, plain, position, retry_condition, states, typed_entries};
use crate::expr::{Env, Expr, ObjectType, Type};
use crate::machine::{Compensate, InputSpec, Template};
use crate::syntax::{Map, Node};

/// What every expression of a run can read, apart from steps.
pub(super) fn globals(declared: &Declared) -> Env {
    Env::new()
        .variable("inputs", Type::of_inputs(&declared.inputs))
        .variable("run", run_type())
        .variable("vars", vars_type(declared))
        .variable("config", Type::of_inputs(&declared.config))
}

fn vars_type(declared: &Declared) -> Type {
    let vars = declared.vars.iter();
    vars.fold(ObjectType::default(), |object, var| {
        object.field(&var.name, Type::from_schema(&var.schema))
    })
    .into()
}

/// Fills in what is evaluated at the beginning and the end of a run.
pub(super) fn fill(
    cx: &mut Cx<'_>,
    draft: &mut Draft<'_>,
    order: &Order,
    outputs: &[Output],
    globals: &Env,
    mut endings: Vec<Type>,
) -> Filled {
    cx.sink.enter(draft.span);
    policies(cx, draft, globals);
    states::fill(cx, draft, outputs, globals, &mut endings);
    starts(cx, draft);
    cx.sink.enter(draft.span);
    let mentioned = Mentioned::in_map(draft.root, &draft.outline);
    let mut views = Views::new(&draft.outline, order, &draft.steps);
    views.outputs = outputs.to_vec();
    let at_end = views.at_end(cx, &mentioned, globals);
    let outputs = match draft.root.get("outputs") {
        Some(entry) if entry.value.as_map().is_some() => {
            typed_entries(&mut plain(cx, &at_end), draft.root, "outputs")
        }
        _ => Vec::new(),
    };
    endings.extend(recover(cx, draft, globals));
    let own = outputs
        .iter()
        .map(|(name, _, ty)| (name.as_str(), ty.clone()));
    let own = Type::object(own);
    // A machine of states may give outputs in its final states alone.
    if draft.states.is_none() || draft.root.get("outputs").is_some() || endings.is_empty() {
        endings.push(own);
    }
    let ending = endings.into_iter().reduce(|a, b| a.join(&b));
    let filled = Filled {
        output: ending.unwrap_or(Type::Any),
        outputs: outputs
            .into_iter()
            .map(|(name, template, _)| (name, template))
            .collect(),
        labels: labels(cx, draft.root, &draft.declared),
        metadata: document::metadata(draft.root),
    };
    mark_read_outputs(draft, &filled);
    filled
}

/// `recover` at the end of `on_failure`.
fn recover(cx: &mut Cx<'_>, draft: &mut Draft<'_>, globals: &Env) -> Option<Type> {
    let recover = draft.on_failure.as_mut()?.recover.as_mut()?;
    let fields = draft
        .root
        .get("on_failure")
        .and_then(|entry| entry.value.as_seq()?.last()?.as_map()?.get("recover"))
        .and_then(|entry| entry.value.as_map());
    let declared = draft
        .root
        .get("outputs")
        .and_then(|entry| entry.value.as_map());
    if let Some(fields) = fields.filter(|fields| fields.get("outputs").is_some()) {
        let env = globals.clone().variable("error", error_type());
        let (outputs, ty) = final_outputs(&mut plain(cx, &env), fields, declared, "`recover`");
        *recover = outputs;
        return Some(ty);
    }
    if let Some(entry) = draft.root.get("outputs")
        && declared.is_some_and(|declared| !declared.entries.is_empty())
    {
        let place = draft.root.get("on_failure");
        let span = place.map_or(entry.key_span, |entry| entry.key_span);
        let example = "recover: { outputs: { NAME: VALUE } }";
        cx.missing("`recover`", "outputs", span, example);
    }
    None
}

/// The labels see what is known before the run begins.
fn labels(cx: &mut Cx<'_>, root: &Map, declared: &Declared) -> Vec<(String, Template)> {
    let Some(entry) = root.get("labels") else {
        return Vec::new();
    };
    let entries = document::label_entries(cx, &entry.value);
    let env = Env::new()
        .variable("inputs", Type::of_inputs(&declared.inputs))
        .variable("run", run_type());
    let mut values = plain(cx, &env);
    entries
        .into_iter()
        .filter_map(|(key, node)| {
            let template = values.text(&format!("labels.{key}"), node)?;
            Some((key, template))
        })
        .collect()
}

/// `concurrency`, `schedule` and `triggers`.
fn starts(cx: &mut Cx<'_>, draft: &mut Draft<'_>) {
    let declared = &draft.declared;
    let settings = Env::new().variable("config", Type::of_inputs(&declared.config));
    let given = settings
        .clone()
        .variable("inputs", Type::of_inputs(&declared.inputs))
        .variable("run", run_type());
    let fields = draft
        .root
        .get("concurrency")
        .and_then(|entry| entry.value.as_map());
    if let (Some(concurrency), Some(entry)) = (
        &mut draft.concurrency,
        fields.and_then(|map| map.get("key")),
    ) && let Some(key) = plain(cx, &given).text("key", &entry.value)
    {
        concurrency.key = key;
    }
    let maps = |key: &str| -> Vec<&Map> {
        let items = draft.root.get(key).and_then(|entry| entry.value.as_seq());
        let maps = items.unwrap_or_default().iter();
        maps.filter_map(Node::as_map).collect()
    };
    for (schedule, map) in draft.schedules.iter_mut().zip(maps("schedule")) {
        enter(cx, map);
        // Its labels say which instant a run stands for.
        let env = settings.clone().variable("run", run_type());
        let mut values = plain(cx, &env);
        schedule.input = own_inputs(&mut values, map, &draft.name, &declared.inputs);
    }
    for (trigger, map) in draft.triggers.iter_mut().zip(maps("triggers")) {
        enter(cx, map);
        trigger.matching = scalars(&mut plain(cx, &settings), map, "match");
        let env = settings.clone().variable("event", event_type(Type::Any));
        let mut values = plain(cx, &env);
        trigger.when = map
            .get("when")
            .and_then(|entry| values.condition("when", &entry.value));
        trigger.input = own_inputs(&mut values, map, &draft.name, &declared.inputs);
        trigger.dedupe_key = map
            .get("dedupe_key")
            .and_then(|entry| values.text("dedupe_key", &entry.value));
    }
}

fn enter(cx: &mut Cx<'_>, map: &Map) {
    if let Some(first) = map.entries.first() {
        cx.sink.enter(first.key_span);
    }
}

fn own_inputs(
    values: &mut Values<'_, '_>,
    map: &Map,
    workflow: &str,
    inputs: &Vec<InputSpec>,
) -> Vec<(String, Template)> {
    let fields = map
        .get("input")
        .and_then(|entry| values.cx.map("input", &entry.value));
    inputs_of(values, fields, workflow, Some(inputs))
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

fn mark_read_outputs(draft: &mut Draft<'_>, filled: &Filled) {
    let mut read = vec![false; draft.steps.len()];
    let outline = &draft.outline;
    let mut visit = |expr: &Expr| {
        for id in expr.step_outputs_read() {
            if let Some(index) = position(outline, id) {
                read[index] = true;
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
