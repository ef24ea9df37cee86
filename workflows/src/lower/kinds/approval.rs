//! `approval`: who decides what, until when.

use std::time::Duration;

use super::super::fields::IdForm;
use super::super::keys::{APPROVAL, APPROVERS, ESCALATE};
use super::super::needs_edit::indentation;
use super::super::step::Common;
use super::super::{Cx, step};
use crate::diagnostic::Note;
use crate::machine::{ApprovalSpec, Approvers, Escalation, OnReject, OnTimeout};
use crate::source::Span;
use crate::syntax::{Map, Node};

const DAY: Duration = Duration::from_secs(86_400);
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=8;

pub(super) fn read(
    cx: &mut Cx<'_>,
    node: &Node,
    key_span: Span,
    common: &Common<'_, '_>,
) -> Option<ApprovalSpec> {
    let map = cx.map("approval", node)?;
    cx.keys(map, &APPROVAL);
    let from = match map.get("from") {
        None => {
            cx.missing("`approval`", "from", key_span, "from: { roles: [ROLE] }");
            Approvers::default()
        }
        Some(entry) => approvers(cx, "from", &entry.value),
    };
    let timeout = match map.get("timeout") {
        Some(entry) => cx.duration("timeout", &entry.value),
        None => {
            no_timeout(cx, map, key_span);
            None
        }
    };
    let timeout = timeout.unwrap_or(DAY);
    let on_timeout = map.get("on_timeout").and_then(|entry| {
        let choices = [
            ("reject", OnTimeout::Reject),
            ("fail", OnTimeout::Fail),
            ("approve", OnTimeout::Approve),
            ("escalate", OnTimeout::Escalate),
        ];
        cx.one_of("on_timeout", &entry.value, &choices)
    });
    let on_timeout = on_timeout.unwrap_or(OnTimeout::Reject);
    let escalate = escalation(cx, map, on_timeout, timeout);
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
    let veto = map
        .get("veto")
        .and_then(|entry| cx.boolean("veto", &entry.value));
    let options = map
        .get("options")
        .and_then(|entry| options(cx, &entry.value));
    let form = map
        .get("form")
        .map(|entry| common.schemas.schema(cx, &entry.value));
    let not_same_as = map
        .get("not_same_as")
        .map(|entry| step::named(cx, "not_same_as", &entry.value, common.outline));
    Some(ApprovalSpec {
        from,
        quorum: quorum.unwrap_or(1),
        veto: veto.unwrap_or(true),
        prompt: None,
        show: None,
        options: options.unwrap_or_else(|| vec!["approve".to_owned(), "reject".to_owned()]),
        form,
        timeout,
        on_timeout,
        escalate,
        not_same_as: not_same_as.unwrap_or_default(),
        on_reject: on_reject.unwrap_or(OnReject::Fail),
    })
}

/// `from`, and `to` of an escalation.
pub(super) fn approvers(cx: &mut Cx<'_>, key: &str, node: &Node) -> Approvers {
    let mut from = Approvers::default();
    let Some(fields) = cx.map(key, node) else {
        return from;
    };
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
            let names = cx.names(&field.key, &field.value);
            list.extend(names.into_iter().map(|(name, _)| name));
        }
    }
    let known = fields
        .entries
        .iter()
        .all(|field| APPROVERS.allowed.contains(&field.key.as_str()));
    let all_empty = fields
        .entries
        .iter()
        .all(|field| field.value.as_seq().is_some_and(<[Node]>::is_empty));
    if known && all_empty {
        cx.sink.push(
            Note::error("PHI108", node.span, "nobody may decide this")
                .help("name `roles`, `users` or `agents`"),
        );
    }
    from
}

fn no_timeout(cx: &mut Cx<'_>, map: &Map, key_span: Span) {
    let mut note = Note::error("PHI501", key_span, "approval without timeout")
        .help("everything that waits is bounded: add `timeout: 24h`");
    if let Some((at, separator)) = before_first_key(cx.source.text(), map) {
        note = note.edit(at, format!("timeout: 24h{separator}"));
    }
    cx.sink.push(note);
}

/// Where a new first key of `map` goes, and what separates it from the next.
pub(super) fn before_first_key(text: &str, map: &Map) -> Option<(Span, String)> {
    let first = map.entries.first()?;
    let start = first.key_span.start as usize;
    let separator = if map.flow {
        ", ".to_owned()
    } else {
        format!("\n{}", indentation(text, first.key_span))
    };
    Some((Span::new(start, start), separator))
}

fn escalation(
    cx: &mut Cx<'_>,
    map: &Map,
    on_timeout: OnTimeout,
    timeout: Duration,
) -> Option<Escalation> {
    let escalates = on_timeout == OnTimeout::Escalate;
    let Some(entry) = map.get("escalate") else {
        if escalates && let Some(entry) = map.get("on_timeout") {
            cx.missing(
                "`on_timeout: escalate`",
                "escalate",
                entry.value.span,
                "escalate: { after: 8h, to: { roles: [ROLE] } }",
            );
        }
        return None;
    };
    if !escalates {
        cx.sink.push(
            Note::error(
                "PHI107",
                entry.key_span,
                "`escalate` goes with `on_timeout: escalate` only",
            )
            .help("add `on_timeout: escalate`"),
        );
    }
    let fields = cx.map("escalate", &entry.value)?;
    cx.keys(fields, &ESCALATE);
    let after = match fields.get("after") {
        Some(after) => cx.duration("after", &after.value),
        None => {
            cx.missing("`escalate`", "after", entry.key_span, "after: 8h");
            None
        }
    };
    if let (Some(after), Some(written)) = (after, fields.get("after"))
        && after >= timeout
    {
        cx.sink.push(
            Note::error(
                "PHI504",
                written.value.span,
                "`escalate.after` is not shorter than the approval's timeout",
            )
            .label("nobody would be asked any more"),
        );
    }
    let to = match fields.get("to") {
        Some(to) => approvers(cx, "to", &to.value),
        None => {
            cx.missing("`escalate`", "to", entry.key_span, "to: { roles: [ROLE] }");
            Approvers::default()
        }
    };
    Some(Escalation { after: after?, to })
}

fn options(cx: &mut Cx<'_>, node: &Node) -> Option<Vec<String>> {
    let named = cx.names("options", node);
    if named.is_empty() && !node.as_seq().is_some_and(<[Node]>::is_empty) {
        return None;
    }
    let mut options: Vec<String> = Vec::new();
    for (name, span) in named {
        if !cx.id(&name, span, IdForm::Snake) {
            continue;
        }
        if options.contains(&name) {
            let message = format!("`options` names `{name}` twice");
            cx.sink.push(Note::error("PHI104", span, message));
            continue;
        }
        options.push(name);
    }
    if !OPTIONS.contains(&options.len()) {
        cx.sink.push(
            Note::error(
                "PHI104",
                node.span,
                format!("`options` has {} entries", options.len()),
            )
            .label("must be from 2 to 8"),
        );
    }
    Some(options)
}
