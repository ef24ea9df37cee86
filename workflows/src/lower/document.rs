//! The top level of a workflow.

use std::time::Duration;

use serde_json::Value as Json;

use super::declared::Declared;
use super::fields::IdForm;
use super::keys::{COMPAT, DEFAULTS, RECOVER, WORKFLOW};
use super::outline::{Outline, is_recover};
use super::policy::{self, Defaults, Policies};
use super::schemas::Schemas;
use super::step::{self, Common};
use super::task_types::TaskTypes;
use super::{Cx, Draft, saga, starts, states, version};
use crate::diagnostic::Note;
use crate::machine::{RunHandler, Saga, StepIndex};
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
        version::version(cx, &entry.value)
    });
    let literal =
        |cx: &mut Cx<'_>, key: &str| map.get(key).and_then(|entry| cx.literal(key, &entry.value));
    let title = literal(cx, "title");
    let description = literal(cx, "description");
    let schemas = Schemas::read(cx, map.get("schemas").map(|entry| &entry.value));
    let declared = Declared::read(cx, map, &schemas);
    let task_types = TaskTypes::read(cx, map, &schemas);
    let outline = Outline::of(cx, map);
    cx.sink.enter(root.span);
    let retry_policies = retry_policies(cx, map);
    let defaults = defaults(cx, map, &retry_policies, &outline);
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
    main_body(cx, map, start);
    compat(cx, map);
    let saga = map
        .get("saga")
        .map_or(Saga::AUTO, |entry| saga::read(cx, &entry.value, Saga::AUTO));
    let concurrency = starts::concurrency(cx, map);
    let schedules = starts::schedules(cx, map);
    let triggers = starts::triggers(cx, map);
    let on_failure = run_handler(cx, map, &outline);
    let finally = map.get("finally").and_then(|entry| {
        if entry.value.as_seq().is_some_and(<[Node]>::is_empty) {
            cx.empty("finally", entry.value.span);
        }
        outline.body_at(&entry.value)
    });
    let common = Common {
        defaults: &defaults,
        policies: &retry_policies,
        schemas: &schemas,
        outline: &outline,
        task_types: &task_types,
        vars: &declared.vars,
        secrets: &declared.secrets,
    };
    let mut steps = Vec::with_capacity(outline.places.len());
    for (index, place) in (0_u32..).map(StepIndex).zip(&outline.places) {
        cx.sink.enter(place.span);
        steps.push(step::read(cx, index, &common));
    }
    let states = states::read(cx, map, &common);
    cx.sink.enter(root.span);
    Some(Draft {
        root: map,
        span: root.span,
        name,
        name_span,
        version,
        title,
        description,
        declared,
        timeout: timeout.unwrap_or(DAY),
        retry_policies,
        concurrency,
        saga,
        schedules,
        triggers,
        on_failure,
        finally,
        states,
        task_types,
        outline,
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

fn defaults<'n>(
    cx: &mut Cx<'_>,
    map: &'n Map,
    policies: &Policies<'n>,
    outline: &Outline<'n>,
) -> Defaults<'n> {
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
                if let Some((assign, written)) = policy::assign(cx, &entry.value, outline) {
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
            "on_failure" if entry.value.as_map().is_some() => {
                let wanted = "`fail` or `continue`";
                cx.wrong_type("on_failure", wanted, &entry.value);
            }
            "on_failure" => defaults.on_failure = policy::on_failure(cx, &entry.value),
            _ => {}
        }
    }
    defaults
}

/// `steps` or `states`, exactly one of them.
fn main_body(cx: &mut Cx<'_>, map: &Map, start: Span) {
    match (map.get("steps"), map.get("states")) {
        (None, None) => cx.missing("a workflow", "steps", start, "steps:"),
        (Some(steps), Some(states)) => {
            let (first, second) = if steps.key_span.start < states.key_span.start {
                (steps, states)
            } else {
                (states, steps)
            };
            cx.sink.push(
                Note::error(
                    "PHI105",
                    second.key_span,
                    "a workflow has exactly one of `steps` and `states`",
                )
                .also(first.key_span, "the main body")
                .help("make it two workflows; one can `call` the other"),
            );
        }
        (Some(steps), None) => {
            if steps.value.as_seq().is_some_and(<[Node]>::is_empty) {
                cx.empty("steps", steps.value.span);
            }
            for key in ["initial", "limits"] {
                if let Some(entry) = map.get(key) {
                    cx.sink.push(
                        Note::error(
                            "PHI107",
                            entry.key_span,
                            format!("`{key}` does not apply to `steps`"),
                        )
                        .help("it belongs to `states`"),
                    );
                }
            }
        }
        (None, Some(_)) => {}
    }
}

/// `on_failure` of the workflow. What `recover` says is read with the expressions.
fn run_handler(cx: &mut Cx<'_>, map: &Map, outline: &Outline<'_>) -> Option<RunHandler> {
    let entry = map.get("on_failure")?;
    let items = entry.value.as_seq()?;
    if items.is_empty() {
        cx.empty("on_failure", entry.value.span);
    }
    let recover = items.last().filter(|item| is_recover(item));
    if let Some(fields) = recover.and_then(|item| item.as_map()) {
        for other in fields.entries.iter().filter(|entry| entry.key != "recover") {
            let message = format!("unknown key `{}` beside `recover`", other.key);
            cx.sink.push(Note::error("PHI101", other.key_span, message));
        }
        let inner = fields.get("recover").filter(|entry| !entry.value.is_null());
        if let Some(inner) = inner.and_then(|entry| cx.map("recover", &entry.value)) {
            cx.keys(inner, &RECOVER);
        }
    }
    Some(RunHandler {
        body: outline.body_at(&entry.value)?,
        recover: recover.map(|_| Vec::new()),
    })
}

/// `compat` says nothing any more: a run stays on its version (`docs/adr/0011`).
fn compat(cx: &mut Cx<'_>, map: &Map) {
    let Some(entry) = map.get("compat") else {
        return;
    };
    let Some(fields) = cx.map("compat", &entry.value) else {
        return;
    };
    cx.keys(fields, &COMPAT);
    if let Some(adopt) = fields.get("adopt") {
        let _never = cx.one_of("adopt", &adopt.value, &[("never", ())]);
    }
    cx.sink.push(
        Note::warning(
            "PHI117",
            entry.key_span,
            "`compat` is deprecated since 0.1.0",
        )
        .label("a run stays on the version that it began with")
        .help("remove it"),
    );
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
