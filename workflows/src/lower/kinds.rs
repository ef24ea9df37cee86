//! What a step does: `task` or `prompt`, `approval`, `fail`; and what undoes it.
//!
//! Values with expressions are read later: here they are empty, and only their keys are checked.

use std::time::Duration;

use serde_json::Value as Json;

use super::keys::{APPROVAL, APPROVERS, COMPENSATION, FAIL, LATER_KINDS, STEP, TASK};
use super::policy::{self, Defaults, Policies};
use super::schemas::Schemas;
use super::{Cx, fields};
use crate::diagnostic::Note;
use crate::machine::{
    ApprovalSpec, Approvers, Compensate, Compensation, Effects, FailSpec, OnReject, OnTimeout,
    StepKind, TaskSpec, Template, Timeouts,
};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Map, Node};

/// Keys that only a task takes.
const TASK_ONLY: &[&str] = &[
    "input",
    "output",
    "yield",
    "assign",
    "timeout",
    "timeouts",
    "retry",
    "effects",
    "idempotent",
    "compensate",
    "key",
    "prompt",
];

/// The kind of a step. `None` after a complaint, or when it is one that this version does not run.
pub(super) fn kind(cx: &mut Cx<'_>, map: &Map, id: &str, id_span: Span) -> Option<StepKind> {
    let kinds: Vec<_> = map
        .entries
        .iter()
        .filter(|entry| matches!(entry.key.as_str(), "task" | "approval" | "fail"))
        .collect();
    let later = map
        .entries
        .iter()
        .find(|entry| LATER_KINDS.contains(&entry.key.as_str()));
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
        if later.is_some() {
            return None;
        }
        let Some(prompt) = map.get("prompt") else {
            cx.sink.push(
                Note::error("PHI106", id_span, format!("step `{id}` has no kind"))
                    .help("add `prompt:`, `task:`, `approval:` or `fail:`"),
            );
            return None;
        };
        if prompt.value.is_null() {
            cx.wrong_type("prompt", "text", &prompt.value);
        }
        return Some(StepKind::Task(TaskSpec::bare(id)));
    };
    if let Some(prompt) = map.get("prompt")
        && entry.key == "task"
    {
        cx.sink.push(
            Note::error(
                "PHI118",
                prompt.key_span,
                "`task` and `prompt` exclude each other",
            )
            .also(entry.key_span, "the kind")
            .help("write `task: { type: NAME, prompt: TEXT }`"),
        );
    }
    let kind = entry.key.as_str();
    if kind != "task" {
        wrong_keys(cx, map, kind);
    }
    match kind {
        "task" => task(cx, &entry.value, entry.key_span).map(StepKind::Task),
        "approval" => approval(cx, &entry.value, entry.key_span).map(StepKind::Approval),
        _ => fail(cx, &entry.value, entry.key_span).map(StepKind::Fail),
    }
}

fn wrong_keys(cx: &mut Cx<'_>, map: &Map, kind: &str) {
    for entry in &map.entries {
        let key = entry.key.as_str();
        if TASK_ONLY.contains(&key) || (kind == "fail" && key == "on_failure") {
            let help = match (kind, key) {
                ("approval", "timeout" | "prompt") => format!("put `{key}` below `approval`"),
                ("approval", "timeouts") => "put `timeout` below `approval`".to_owned(),
                ("approval", "input") => "show values with `show` below `approval`".to_owned(),
                ("fail", "on_failure") => "a `fail` step ends the run".to_owned(),
                _ => "only tasks take it".to_owned(),
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
}

/// A task's type, or a map with type and prompt.
pub(super) fn task(cx: &mut Cx<'_>, node: &Node, key_span: Span) -> Option<TaskSpec> {
    let (task_type, span) = if let Some(map) = node.as_map() {
        cx.keys(map, &TASK);
        let Some(entry) = map.get("type") else {
            cx.missing("`task`", "type", key_span, "type: NAME");
            return None;
        };
        (cx.name("type", &entry.value)?, entry.value.span)
    } else {
        (cx.name("task", node)?, node.span)
    };
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
        return None;
    }
    Some(TaskSpec::bare(task_type))
}

fn approval(cx: &mut Cx<'_>, node: &Node, key_span: Span) -> Option<ApprovalSpec> {
    let map = cx.map("approval", node)?;
    cx.keys(map, &APPROVAL);
    let mut from = Approvers::default();
    match map.get("from") {
        None => cx.missing("`approval`", "from", key_span, "from: { roles: [ROLE] }"),
        Some(entry) => {
            if let Some(fields) = cx.map("from", &entry.value) {
                cx.keys(fields, &APPROVERS);
                for field in &fields.entries {
                    let list = match field.key.as_str() {
                        "roles" => &mut from.roles,
                        "users" => &mut from.users,
                        "agents" => &mut from.agents,
                        _ => continue,
                    };
                    // An empty list is a way to say "none".
                    if field.value.as_seq().is_none_or(|items| !items.is_empty()) {
                        list.extend(
                            cx.names(&field.key, &field.value)
                                .into_iter()
                                .map(|(n, _)| n),
                        );
                    }
                }
                let known = ["roles", "users", "agents"];
                let written = fields
                    .entries
                    .iter()
                    .all(|f| known.contains(&f.key.as_str()));
                let all_empty = fields
                    .entries
                    .iter()
                    .all(|f| f.value.as_seq().is_some_and(<[Node]>::is_empty));
                if written && all_empty {
                    cx.sink.push(
                        Note::error(
                            "PHI108",
                            entry.value.span,
                            "nobody may decide this approval",
                        )
                        .help("name `roles`, `users` or `agents`"),
                    );
                }
            }
        }
    }
    let timeout = match map.get("timeout") {
        Some(entry) => cx.duration("timeout", &entry.value),
        None => {
            let mut note = Note::error("PHI501", key_span, "approval without timeout")
                .help("everything that waits is bounded: add `timeout: 24h`");
            if let Some(first) = map.entries.first() {
                let text = cx.source.text();
                let at = Span::new(first.key_span.start as usize, first.key_span.start as usize);
                let separator = if map.flow {
                    ", ".to_owned()
                } else {
                    format!("\n{}", indentation(text, first.key_span))
                };
                note = note.edit(at, format!("timeout: 24h{separator}"));
            }
            cx.sink.push(note);
            None
        }
    };
    let on_timeout = map.get("on_timeout").and_then(|entry| {
        if entry.value.as_str() == Some("escalate") {
            cx.later("`on_timeout: escalate`", entry.value.span);
            return None;
        }
        let choices = [
            ("reject", OnTimeout::Reject),
            ("fail", OnTimeout::Fail),
            ("approve", OnTimeout::Approve),
        ];
        cx.one_of("on_timeout", &entry.value, &choices)
    });
    let on_reject = map.get("on_reject").and_then(|entry| {
        let choices = [
            ("fail", OnReject::Fail),
            ("continue", OnReject::Continue),
            ("compensate", OnReject::Compensate),
        ];
        cx.one_of("on_reject", &entry.value, &choices)
    });
    let quorum = map
        .get("quorum")
        .and_then(|entry| cx.integer("quorum", &entry.value, 1..=u32::MAX));
    Some(ApprovalSpec {
        from,
        quorum: quorum.unwrap_or(1),
        veto: true,
        prompt: None,
        show: None,
        options: vec!["approve".to_owned(), "reject".to_owned()],
        form: None,
        timeout: timeout.unwrap_or(Duration::from_secs(86_400)),
        on_timeout: on_timeout.unwrap_or(OnTimeout::Reject),
        escalate: None,
        not_same_as: Vec::new(),
        on_reject: on_reject.unwrap_or(OnReject::Fail),
    })
}

/// The white space before the first thing on a key's line, with its dash made blank.
pub(super) fn indentation(text: &str, key: Span) -> String {
    let start = text[..key.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    " ".repeat(text[start..key.start as usize].chars().count())
}

fn fail(cx: &mut Cx<'_>, node: &Node, key_span: Span) -> Option<FailSpec> {
    let map = cx.map("fail", node)?;
    cx.keys(map, &FAIL);
    let Some(entry) = map.get("code") else {
        cx.missing("`fail`", "code", key_span, "code: app.NAME");
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

/// `compensate:` of a step.
pub(super) fn compensate<'n>(
    cx: &mut Cx<'_>,
    node: &'n Node,
    step_id: &str,
    defaults: &Defaults<'n>,
    policies: &Policies<'n>,
    schemas: &Schemas,
) -> (Compensate, Option<&'n Node>) {
    let absent = (Compensate::Absent, None);
    match node.as_str() {
        Some("none") => return (Compensate::None, None),
        Some("revert") => {
            cx.later("`compensate: revert`", node.span);
            return absent;
        }
        Some(other) => {
            cx.not_one_of(other, node.span, ["none"].into_iter());
            return absent;
        }
        None => {}
    }
    let Some(map) = cx.map("compensate", node) else {
        return absent;
    };
    let mut rest = Map {
        entries: Vec::new(),
        flow: map.flow,
    };
    for entry in &map.entries {
        let key = entry.key.as_str();
        if matches!(key, "approval" | "wait_for" | "compensate") {
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
    let span = node.span;
    let task = match (map.get("task"), map.get("prompt")) {
        (Some(entry), prompt) => {
            if let Some(prompt) = prompt {
                cx.sink.push(
                    Note::error(
                        "PHI118",
                        prompt.key_span,
                        "`task` and `prompt` exclude each other",
                    )
                    .also(entry.key_span, "the kind")
                    .help("write `task: { type: NAME, prompt: TEXT }`"),
                );
            }
            task(cx, &entry.value, entry.key_span)
        }
        (None, Some(_)) => Some(TaskSpec::bare(format!("{step_id}.undo"))),
        (None, None) => {
            let refused = map.entries.iter().any(|entry| {
                COMPENSATION.later.contains(&entry.key.as_str())
                    || matches!(entry.key.as_str(), "approval" | "wait_for" | "compensate")
            });
            if !refused {
                let first = map.entries.first().map_or(span, |entry| entry.key_span);
                cx.missing("`compensate`", "task", first, "task: NAME");
            }
            None
        }
    };
    let timeouts = clocks(cx, map, defaults);
    let mut retry = match map.get("retry") {
        Some(entry) => policy::retry(cx, &entry.value, policies).unwrap_or_else(policy::undo_retry),
        None => policy::undo_retry(),
    };
    // An undo is repeated after an unknown end too: it has to be written so that it may be.
    retry.complete(Effects::Write, true);
    let assign = map
        .get("assign")
        .and_then(|entry| policy::assign(cx, &entry.value));
    let assign = assign
        .map(|(assign, _)| assign)
        .or_else(|| defaults.assign.clone());
    let output = map
        .get("output")
        .map_or_else(Schema::any, |entry| schemas.schema(cx, &entry.value));
    for key in ["title", "description"] {
        if let Some(entry) = map.get(key) {
            cx.literal(key, &entry.value);
        }
    }
    let Some(task) = task else { return absent };
    let undo = Compensation {
        task,
        input: Vec::new(),
        output,
        assign: assign.unwrap_or_else(unassigned),
        timeouts,
        retry: retry.retry,
    };
    (Compensate::Task(Box::new(undo)), retry.when)
}

/// Anybody, put back three times.
pub(super) fn unassigned() -> crate::machine::Assign {
    crate::machine::Assign {
        reassignments: 3,
        ..crate::machine::Assign::default()
    }
}

/// `timeout` and `timeouts` of a step or an undo, over those of `defaults`. A lease that nobody
/// wrote is no longer than the attempt.
pub(super) fn clocks(cx: &mut Cx<'_>, map: &Map, defaults: &Defaults<'_>) -> Timeouts {
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
            Note::error(
                "PHI118",
                short.key_span,
                "`timeout` and `timeouts.run` exclude each other",
            )
            .also(long.key_span, "the same clock")
            .help("`timeout` is short for `timeouts.run`"),
        );
    } else if let Some(run) = cx.duration("timeout", &short.value) {
        timeouts.run = run;
    }
    lease
}

/// Whether a text may be a semantic version.
pub(super) fn is_semantic_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let rest = &text[core.len()..];
    let parts: Vec<&str> = core.split('.').collect();
    let number = |part: &&str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    text.len() <= 64
        && parts.len() == 3
        && parts.iter().all(number)
        && (rest.is_empty() || rest.len() > 1)
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
}

/// What `fields` say about quoting a version.
pub(super) fn version(cx: &mut Cx<'_>, node: &Node) -> Option<String> {
    let scalar = node.as_scalar()?;
    if is_semantic_version(&scalar.text) && (fields::is_quoted(node) || node.as_str().is_some()) {
        return Some(scalar.text.clone());
    }
    let mut parts: Vec<&str> = scalar.text.split('.').collect();
    while parts.len() < 3 {
        parts.push("0");
    }
    let fixed = parts.join(".");
    let mut note = Note::error(
        "PHI112",
        node.span,
        "version must be a quoted semantic version",
    )
    .help("write `version: \"1.0.0\"`");
    if is_semantic_version(&fixed) {
        note = note.edit(node.span, format!("\"{fixed}\""));
    }
    cx.sink.push(note);
    None
}
