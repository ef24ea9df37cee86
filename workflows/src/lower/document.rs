//! The top level of a workflow.

use std::time::Duration;

use serde_json::Value as Json;

use super::fields::IdForm;
use super::keys::{DEFAULTS, WORKFLOW};
use super::policy::{self, Defaults, Policies};
use super::schemas::Schemas;
use super::step::{self, Common};
use super::{Cx, Draft, StepDraft, kinds};
use crate::diagnostic::Note;
use crate::machine::{InputSpec, StepIndex};
use crate::source::Span;
use crate::syntax::{Map, Node};

const DIALECT: u32 = 1;
const DAY: Duration = Duration::from_secs(86_400);
const LABELS_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 63;

/// Reads the structure of one document. `None` if there is nothing to go on with.
pub(crate) fn read<'n>(cx: &mut Cx<'_>, root: &'n Node) -> Option<Draft<'n>> {
    cx.sink.enter(root.span);
    let Some(map) = root.as_map() else {
        cx.sink.push(
            Note::error(
                "PHI103",
                root.span,
                format!("a workflow must be a map, found {}", root.type_name()),
            )
            .help("start with `workflow: NAME` and `steps:`"),
        );
        return None;
    };
    cx.keys(map, &WORKFLOW);
    let start = map
        .entries
        .first()
        .map_or(root.span, |entry| entry.key_span);
    dialect(cx, map);
    let (name, name_span) = match map.get("workflow") {
        Some(entry) => {
            let name = cx.text("workflow", &entry.value);
            if let Some(name) = &name {
                cx.id(name, entry.value.span, IdForm::Kebab);
            }
            (name.unwrap_or_default(), entry.value.span)
        }
        None => {
            cx.missing("a workflow", "workflow", start, "workflow: NAME");
            (String::new(), start)
        }
    };
    let version = map.get("version").and_then(|entry| {
        if entry.value.as_scalar().is_none() || entry.value.is_null() {
            cx.wrong_type("version", "a quoted semantic version", &entry.value);
        }
        kinds::version(cx, &entry.value)
    });
    let literal =
        |cx: &mut Cx<'_>, key: &str| map.get(key).and_then(|entry| cx.literal(key, &entry.value));
    let title = literal(cx, "title");
    let description = literal(cx, "description");
    let schemas = Schemas::read(cx, map.get("schemas").map(|entry| &entry.value));
    let inputs = inputs(cx, map, &schemas);
    let retry_policies = retry_policies(cx, map);
    let defaults = defaults(cx, map, &retry_policies);
    let timeout = map
        .get("timeout")
        .and_then(|entry| cx.duration("timeout", &entry.value));
    if let Some(entry) = map.get("outputs")
        && let Some(outputs) = cx.map("outputs", &entry.value)
    {
        for output in &outputs.entries {
            cx.id(&output.key, output.key_span, IdForm::Snake);
        }
    }
    let steps = steps(cx, map, start, &defaults, &retry_policies, &schemas);
    cx.sink.enter(root.span);
    Some(Draft {
        root: map,
        span: root.span,
        name,
        name_span,
        version,
        title,
        description,
        inputs,
        timeout: timeout.unwrap_or(DAY),
        retry_policies,
        steps,
    })
}

fn dialect(cx: &mut Cx<'_>, map: &Map) {
    if let Some(entry) = map.get("phisync")
        && let Some(dialect) = cx.integer("phisync", &entry.value, 0..=u32::MAX)
        && dialect != DIALECT
    {
        cx.sink.push(
            Note::error(
                "PHI115",
                entry.value.span,
                format!("dialect {dialect} is not supported"),
            )
            .help(format!("this version reads dialect {DIALECT}"))
            .edit(entry.value.span, DIALECT.to_string()),
        );
    }
}

fn inputs(cx: &mut Cx<'_>, map: &Map, schemas: &Schemas) -> Vec<InputSpec> {
    let Some(fields) = map
        .get("inputs")
        .and_then(|entry| cx.map("inputs", &entry.value))
    else {
        return Vec::new();
    };
    let mut inputs = Vec::with_capacity(fields.entries.len());
    for entry in &fields.entries {
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
        let schema = schemas.schema(cx, &entry.value);
        let default = schema.default().cloned();
        inputs.push(InputSpec {
            name: entry.key.clone(),
            schema,
            default,
        });
    }
    inputs
}

fn retry_policies<'n>(cx: &mut Cx<'_>, map: &'n Map) -> Policies<'n> {
    let mut policies = Policies::new();
    let Some(fields) = map
        .get("retry_policies")
        .and_then(|entry| cx.map("retry_policies", &entry.value))
    else {
        return policies;
    };
    for entry in &fields.entries {
        if matches!(entry.key.as_str(), "none" | "transient") {
            cx.sink.push(
                Note::error(
                    "PHI110",
                    entry.key_span,
                    format!("`{}` is reserved", entry.key),
                )
                .label("a predefined retry policy"),
            );
            continue;
        }
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
        // A policy that cannot be read is still a known name.
        let policy = policy::policy(cx, &entry.value).unwrap_or_else(policy::no_retry);
        policies.insert(entry.key.clone(), policy);
    }
    policies
}

fn defaults<'n>(cx: &mut Cx<'_>, map: &'n Map, policies: &Policies<'n>) -> Defaults<'n> {
    let mut defaults = Defaults::default();
    let Some(fields) = map
        .get("defaults")
        .and_then(|entry| cx.map("defaults", &entry.value))
    else {
        return defaults;
    };
    cx.keys(fields, &DEFAULTS);
    for entry in &fields.entries {
        match entry.key.as_str() {
            "assign" => {
                if let Some((assign, written)) = policy::assign(cx, &entry.value) {
                    defaults.assign = Some(assign);
                    defaults.reassignments_written = written;
                }
            }
            "retry" => defaults.retry = policy::retry(cx, &entry.value, policies),
            "timeouts" => {
                policy::timeouts(cx, &entry.value, &mut defaults.timeouts);
                let written = entry.value.as_map();
                defaults.lease_written = written.is_some_and(|map| map.get("lease").is_some());
            }
            "on_failure" => defaults.on_failure = policy::on_failure(cx, &entry.value),
            _ => {}
        }
    }
    defaults
}

fn steps<'n>(
    cx: &mut Cx<'_>,
    map: &'n Map,
    start: Span,
    defaults: &Defaults<'n>,
    policies: &Policies<'n>,
    schemas: &Schemas,
) -> Vec<StepDraft<'n>> {
    let Some(entry) = map.get("steps") else {
        if map.get("states").is_none() {
            cx.missing("a workflow", "steps", start, "steps:");
        }
        return Vec::new();
    };
    let Some(items) = entry.value.as_seq() else {
        cx.wrong_type("steps", "a list of steps", &entry.value);
        return Vec::new();
    };
    if items.is_empty() {
        cx.sink.push(Note::error(
            "PHI108",
            entry.value.span,
            "`steps` must not be empty",
        ));
    }
    // Steps that cannot be named are left out, so the places of the others are counted anew.
    let mut ids = step::ids(cx, items);
    let mut places: Vec<(StepIndex, String)> = ids
        .iter()
        .map(|(id, (index, _))| (*index, id.clone()))
        .collect();
    places.sort();
    for (position, (_, id)) in (0_u32..).zip(&places) {
        if let Some((index, _)) = ids.get_mut(id) {
            *index = StepIndex(position);
        }
    }
    let common = Common {
        defaults,
        policies,
        schemas,
        ids: &ids,
    };
    let mut steps = Vec::with_capacity(places.len());
    for (original, id) in &places {
        let item = &items[original.get()];
        let Some(step_map) = item.as_map() else {
            continue;
        };
        cx.sink.enter(item.span);
        let id_span = ids[id].1;
        steps.push(step::read(cx, step_map, id, id_span, &common));
    }
    steps
}

/// Labels without expressions: those of a step.
pub(super) fn plain_labels(cx: &mut Cx<'_>, node: &Node) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for (key, value) in label_entries(cx, node) {
        if let Some(text) = cx.literal(&format!("labels.{key}"), value) {
            label_length(cx, &text, value.span);
            labels.push((key, text));
        }
    }
    labels
}

/// Keys and values of `labels`, within the limits.
pub(super) fn label_entries<'n>(cx: &mut Cx<'_>, node: &'n Node) -> Vec<(String, &'n Node)> {
    let Some(map) = cx.map("labels", node) else {
        return Vec::new();
    };
    if map.entries.len() > LABELS_MAX {
        cx.sink.push(Note::error(
            "PHI104",
            map.entries[LABELS_MAX].key_span,
            format!("more than {LABELS_MAX} labels"),
        ));
    }
    for entry in &map.entries {
        label_length(cx, &entry.key, entry.key_span);
    }
    map.entries
        .iter()
        .map(|entry| (entry.key.clone(), &entry.value))
        .collect()
}

fn label_length(cx: &mut Cx<'_>, text: &str, span: Span) {
    if text.chars().count() > LABEL_CHARS_MAX {
        cx.sink.push(Note::error(
            "PHI104",
            span,
            format!("a label has at most {LABEL_CHARS_MAX} characters"),
        ));
    }
}

/// The value of `metadata`, as written.
pub(super) fn metadata(root: &Map) -> Option<Json> {
    root.get("metadata").map(|entry| entry.value.to_json())
}
