//! `wait`, `wait_for`, `emit` and `set`: times, events and variables.

use std::time::Duration;

use super::super::Cx;
use super::super::keys::{EMIT, WAIT, WAIT_FOR};
use super::super::step::Common;
use super::approval::before_first_key;
use super::{on_expiry, unread};
use crate::diagnostic::Note;
use crate::machine::{EmitSpec, EventSource, SetSpec, WaitForSpec, WaitSpec};
use crate::syntax::{Entry, Map, Node};

/// The most events that one step waits for.
const COUNT_MAX: u32 = 1000;

pub(super) fn wait(cx: &mut Cx<'_>, entry: &Entry) -> Option<WaitSpec> {
    let Some(map) = entry.value.as_map() else {
        if entry.value.as_seq().is_some() {
            cx.wrong_type("wait", "a duration, `{ for }` or `{ until }`", &entry.value);
            return None;
        }
        return Some(WaitSpec::For(unread()));
    };
    cx.keys(map, &WAIT);
    let written = cx.one_key(map, "`wait`", &["for", "until"], entry.key_span)?;
    Some(if written.key == "for" {
        WaitSpec::For(unread())
    } else {
        WaitSpec::Until(unread())
    })
}

pub(super) fn wait_for(cx: &mut Cx<'_>, entry: &Entry) -> Option<WaitForSpec> {
    let map = cx.map("wait_for", &entry.value)?;
    cx.keys(map, &WAIT_FOR);
    let source = cx
        .one_key(map, "`wait_for`", &["event", "signal"], entry.key_span)
        .and_then(|source| event_source(cx, source));
    matching(cx, map);
    let from_start = map
        .get("from_start")
        .and_then(|entry| cx.boolean("from_start", &entry.value));
    let count = map
        .get("count")
        .and_then(|entry| cx.integer("count", &entry.value, 1..=COUNT_MAX));
    let timeout = match map.get("timeout") {
        Some(timeout) => cx.duration("timeout", &timeout.value),
        None => {
            let mut note = Note::error("PHI502", entry.key_span, "`wait_for` without timeout")
                .help("everything that waits is bounded: add `timeout: 24h`");
            if let Some((at, separator)) = before_first_key(cx.source.text(), map) {
                note = note.edit(at, format!("timeout: 24h{separator}"));
            }
            cx.sink.push(note);
            None
        }
    };
    let on_timeout = on_expiry(cx, map, "on_timeout");
    Some(WaitForSpec {
        source: source?,
        matching: Vec::new(),
        when: None,
        from_start: from_start.unwrap_or(true),
        count: count.unwrap_or(1),
        timeout: timeout.unwrap_or(Duration::from_secs(86_400)),
        on_timeout,
    })
}

/// `event` or `signal`.
pub(in crate::lower) fn event_source(cx: &mut Cx<'_>, entry: &Entry) -> Option<EventSource> {
    let name = event_name(cx, &entry.key, &entry.value)?;
    Some(if entry.key == "signal" {
        EventSource::Signal(name)
    } else {
        EventSource::Event(name)
    })
}

/// The name of an event: words with dots between them.
pub(in crate::lower) fn event_name(cx: &mut Cx<'_>, key: &str, node: &Node) -> Option<String> {
    let name = cx.name(key, node)?;
    if name.contains("${{") {
        return cx.literal(key, node);
    }
    let fits = name.len() <= 128
        && name.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        });
    if !fits {
        cx.sink.push(
            Note::error(
                "PHI109",
                node.span,
                format!("`{name}` is not a valid name of an event"),
            )
            .help("letters, digits, `_` and `-`, with dots between: `deploy.finished`"),
        );
        return None;
    }
    Some(name)
}

/// The fields of `match`: words with dots between them.
pub(in crate::lower) fn matching(cx: &mut Cx<'_>, map: &Map) {
    let Some(entry) = map.get("match") else {
        return;
    };
    let Some(fields) = cx.map("match", &entry.value) else {
        return;
    };
    for field in &fields.entries {
        let fits = field.key.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        });
        if !fits {
            let message = format!("`{}` is not a field of an event's data", field.key);
            cx.sink.push(
                Note::error("PHI109", field.key_span, message)
                    .help("write the field's name, with dots to reach deeper: `build.sha`"),
            );
        }
    }
}

pub(super) fn emit(cx: &mut Cx<'_>, entry: &Entry) -> Option<EmitSpec> {
    let map = cx.map("emit", &entry.value)?;
    cx.keys(map, &EMIT);
    let Some(event) = map.get("event") else {
        cx.missing("`emit`", "event", entry.key_span, "event: NAME");
        return None;
    };
    Some(EmitSpec {
        event: event_name(cx, "event", &event.value)?,
        data: None,
        key: None,
        to: None,
    })
}

/// Which variables a `set` writes; their values are read later.
pub(super) fn set(cx: &mut Cx<'_>, entry: &Entry, common: &Common<'_, '_>) -> Option<SetSpec> {
    let map = cx.map("set", &entry.value)?;
    if map.entries.is_empty() {
        cx.empty("set", entry.value.span);
    }
    variables(cx, map, common);
    Some(SetSpec { values: Vec::new() })
}

/// Whether each key of `map` is a declared variable.
pub(in crate::lower) fn variables(cx: &mut Cx<'_>, map: &Map, common: &Common<'_, '_>) {
    let known = || common.vars.iter().map(|var| var.name.as_str());
    for entry in &map.entries {
        if known().any(|name| name == entry.key) {
            continue;
        }
        let message = format!("unknown variable `{}`", entry.key);
        let mut note = Note::error("PHI207", entry.key_span, message);
        note = match cx.nearest(&entry.key, known()) {
            Some(near) => note
                .label(format!("did you mean `{near}`?"))
                .edit(entry.key_span, near),
            None => note.help("declare it with a default in the workflow's `vars`"),
        };
        cx.sink.push(note);
    }
}
