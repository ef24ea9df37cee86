//! `try` with its handlers, and `on_failure` of a step.

use super::super::keys::{CATCH, HANDLER, TRY};
use super::super::step::Common;
use super::super::{Cx, policy, saga};
use super::block::{body, not_empty};
use crate::diagnostic::Note;
use crate::machine::{Catch, ErrorPattern, OnFailure, Saga, Then, TrySpec};
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

pub(super) fn attempt(cx: &mut Cx<'_>, entry: &Entry, common: &Common<'_, '_>) -> Option<TrySpec> {
    let map = cx.map("try", &entry.value)?;
    cx.keys(map, &TRY);
    let catch = match map.get("catch") {
        None => Vec::new(),
        Some(catch) => catches(cx, &catch.value, common),
    };
    let finally = map.get("finally").and_then(|finally| {
        not_empty(cx, "finally", &finally.value);
        common.outline.body_at(&finally.value)
    });
    let saga = map
        .get("saga")
        .map_or(Saga::OFF, |entry| saga::read(cx, &entry.value, Saga::AUTO));
    let body = body(cx, map, "`try`", entry.key_span, common.outline)?;
    Some(TrySpec {
        body,
        catch,
        finally,
        saga,
    })
}

fn catches(cx: &mut Cx<'_>, node: &Node, common: &Common<'_, '_>) -> Vec<Catch> {
    let Some(items) = node.as_seq() else {
        cx.wrong_type("catch", "a list of handlers", node);
        return Vec::new();
    };
    let mut catches = Vec::with_capacity(items.len());
    for item in items {
        let Some(map) = cx.map("catch", item) else {
            continue;
        };
        cx.keys(map, &CATCH);
        let errors = map.get("errors").map(|entry| caught(cx, &entry.value));
        let then = map.get("then").and_then(|entry| {
            let choices = [
                ("continue", Then::Continue),
                ("fail", Then::Fail),
                ("retry", Then::Retry),
            ];
            cx.one_of("then", &entry.value, &choices)
        });
        let body = match map.get("do") {
            Some(entry) => common.outline.body_at(&entry.value),
            None => common.outline.body_at(item),
        };
        catches.extend(body.map(|body| Catch {
            errors: errors.unwrap_or_default(),
            when: None,
            body,
            then: then.unwrap_or(Then::Continue),
        }));
    }
    catches
}

/// The codes of a handler: some, or `all` alone.
fn caught(cx: &mut Cx<'_>, node: &Node) -> Vec<ErrorPattern> {
    if node.as_seq().is_some_and(<[Node]>::is_empty) {
        cx.empty("errors", node.span);
    }
    let mut errors = policy::error_patterns(cx, "errors", node);
    if errors.len() > 1 && errors.iter().any(|pattern| pattern.0 == "all") {
        cx.sink.push(
            Note::error("PHI104", node.span, "`all` stands alone")
                .label("it covers every other code"),
        );
    }
    if errors.is_empty() {
        // Codes that cannot be read are no codes; an empty list would mean all.
        errors.push(ErrorPattern(String::new()));
    }
    errors
}

/// `on_failure` of a step, when it is a handler.
pub(in crate::lower) fn handler(
    cx: &mut Cx<'_>,
    map: &Map,
    key_span: Span,
    common: &Common<'_, '_>,
) -> Option<OnFailure> {
    cx.keys(map, &HANDLER);
    let then = map.get("then").and_then(|entry| {
        let choices = [("fail", Then::Fail), ("continue", Then::Continue)];
        cx.one_of("then", &entry.value, &choices)
    });
    let Some(entry) = map.get("do") else {
        cx.missing("`on_failure`", "do", key_span, "do: [STEP]");
        return None;
    };
    not_empty(cx, "do", &entry.value);
    let body = common.outline.body_at(&entry.value)?;
    Some(OnFailure::Handle {
        body,
        then: then.unwrap_or(Then::Fail),
    })
}
