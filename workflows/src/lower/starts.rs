//! How runs start and how many there may be: `schedule`, `triggers`, `concurrency`.
//!
//! Values are read with the expressions. Whether a cron expression, a time zone or a clock change
//! makes sense is a rule of [`crate::check`].

use std::time::Duration;

use super::fields::IdForm;
use super::keys::{CONCURRENCY, DST, RATE, SCHEDULE, TRIGGER};
use super::{Cx, kinds};
use crate::diagnostic::Note;
use crate::expr::time;
use crate::machine::{
    CatchUp, Concurrency, DstGap, DstOverlap, OnRunConflict, Overlap, Rate, Schedule, Template,
    Timing, Trigger,
};
use crate::source::Span;
use crate::syntax::{Map, Node};

const CATCHUP_WINDOW: Duration = Duration::from_secs(3600);

fn unread() -> Template {
    Template::Literal(serde_json::Value::Null)
}

pub(super) fn concurrency(cx: &mut Cx<'_>, root: &Map) -> Option<Concurrency> {
    let entry = root.get("concurrency")?;
    let map = cx.map("concurrency", &entry.value)?;
    cx.keys(map, &CONCURRENCY);
    if map.get("key").is_none() {
        let example = "key: \"${{ inputs.NAME }}\"";
        cx.missing("`concurrency`", "key", entry.key_span, example);
    }
    let max = map
        .get("max")
        .and_then(|entry| cx.integer("max", &entry.value, 1..=u32::MAX));
    let on_conflict = map.get("on_conflict").and_then(|entry| {
        let choices = [
            ("queue", OnRunConflict::Queue),
            ("reject", OnRunConflict::Reject),
            ("replace", OnRunConflict::Replace),
        ];
        cx.one_of("on_conflict", &entry.value, &choices)
    });
    Some(Concurrency {
        key: unread(),
        max: max.unwrap_or(1),
        on_conflict: on_conflict.unwrap_or(OnRunConflict::Queue),
    })
}

/// The maps of a list of the workflow.
fn items<'n>(cx: &mut Cx<'_>, root: &'n Map, key: &str) -> Vec<(&'n Map, Span)> {
    let Some(entry) = root.get(key) else {
        return Vec::new();
    };
    let Some(items) = entry.value.as_seq() else {
        cx.wrong_type(key, "a list", &entry.value);
        return Vec::new();
    };
    let maps = items.iter().filter_map(|item| {
        let map = cx.map(key, item)?;
        let first = map.entries.first();
        Some((map, first.map_or(item.span, |entry| entry.key_span)))
    });
    maps.collect()
}

pub(super) fn schedules(cx: &mut Cx<'_>, root: &Map) -> Vec<Schedule> {
    let mut schedules: Vec<Schedule> = Vec::new();
    for (map, first) in items(cx, root, "schedule") {
        cx.sink.enter(first);
        cx.keys(map, &SCHEDULE);
        let id = match map.get("id") {
            None => {
                cx.missing("a schedule", "id", first, "id: NAME");
                None
            }
            Some(entry) => cx.text("id", &entry.value).inspect(|id| {
                cx.id(id, entry.value.span, IdForm::Snake);
                if schedules.iter().any(|known| known.id == *id) {
                    let message = format!("schedule `{id}` is defined twice");
                    let span = entry.value.span;
                    cx.sink.push(Note::error("PHI201", span, message));
                }
            }),
        };
        let timing = timing(cx, map, first);
        let schedule = schedule(cx, map, id.unwrap_or_default(), timing);
        schedules.push(schedule);
    }
    schedules
}

fn timing(cx: &mut Cx<'_>, map: &Map, first: Span) -> Option<Timing> {
    const LEAST: Duration = Duration::from_secs(1);
    let entry = cx.one_key(map, "a schedule", &["cron", "every"], first)?;
    if entry.key == "cron" {
        let text = cx.name("cron", &entry.value)?;
        return Some(Timing::Cron(text));
    }
    let every = cx.duration("every", &entry.value)?;
    if every < LEAST {
        let span = entry.value.span;
        cx.sink.push(Note::error(
            "PHI104",
            span,
            "`every` is shorter than a second",
        ));
        return None;
    }
    Some(Timing::Every(every))
}

fn schedule(cx: &mut Cx<'_>, map: &Map, id: String, timing: Option<Timing>) -> Schedule {
    let name = |cx: &mut Cx<'_>, key: &str| {
        let entry = map.get(key)?;
        cx.name(key, &entry.value)
    };
    let dst = map
        .get("dst")
        .and_then(|entry| cx.map("dst", &entry.value))
        .inspect(|dst| cx.keys(dst, &DST));
    let dst_gap = dst.and_then(|dst| dst.get("gap")).and_then(|entry| {
        let choices = [("run_after", DstGap::RunAfter), ("skip", DstGap::Skip)];
        cx.one_of("gap", &entry.value, &choices)
    });
    let dst_overlap = dst.and_then(|dst| dst.get("overlap")).and_then(|entry| {
        let choices = [("once", DstOverlap::Once), ("twice", DstOverlap::Twice)];
        cx.one_of("overlap", &entry.value, &choices)
    });
    let overlap = map.get("overlap").and_then(|entry| {
        let choices = [
            ("skip", Overlap::Skip),
            ("queue", Overlap::Queue),
            ("replace", Overlap::Replace),
            ("allow", Overlap::Allow),
        ];
        cx.one_of("overlap", &entry.value, &choices)
    });
    let catchup = map.get("catchup").and_then(|entry| {
        let choices = [
            ("none", CatchUp::None),
            ("last", CatchUp::Last),
            ("all", CatchUp::All),
        ];
        cx.one_of("catchup", &entry.value, &choices)
    });
    let duration = |cx: &mut Cx<'_>, key: &str| {
        let entry = map.get(key)?;
        cx.duration_or_zero(key, &entry.value)
    };
    let enabled = map
        .get("enabled")
        .and_then(|entry| cx.boolean("enabled", &entry.value));
    Schedule {
        id,
        timing: timing.unwrap_or(Timing::Every(CATCHUP_WINDOW)),
        timezone: name(cx, "timezone").unwrap_or_else(|| "UTC".to_owned()),
        dst_gap: dst_gap.unwrap_or(DstGap::RunAfter),
        dst_overlap: dst_overlap.unwrap_or(DstOverlap::Once),
        input: Vec::new(),
        overlap: overlap.unwrap_or(Overlap::Skip),
        catchup: catchup.unwrap_or(CatchUp::Last),
        catchup_window: duration(cx, "catchup_window").unwrap_or(CATCHUP_WINDOW),
        jitter: duration(cx, "jitter").unwrap_or_default(),
        start_at: instant(cx, map, "start_at"),
        end_at: instant(cx, map, "end_at"),
        enabled: enabled.unwrap_or(true),
    }
}

/// A timestamp, quoted or not.
fn instant(cx: &mut Cx<'_>, map: &Map, key: &str) -> Option<String> {
    let entry = map.get(key)?;
    let scalar = entry.value.as_scalar().filter(|_| !entry.value.is_null());
    let Some(scalar) = scalar else {
        cx.wrong_type(key, "a timestamp", &entry.value);
        return None;
    };
    if time::parse_timestamp(&scalar.text).is_some() {
        return Some(scalar.text.clone());
    }
    not_a_timestamp(cx, &scalar.text, &entry.value);
    None
}

pub(super) fn not_a_timestamp(cx: &mut Cx<'_>, text: &str, node: &Node) {
    cx.sink.push(
        Note::error("PHI104", node.span, format!("`{text}` is not a timestamp"))
            .help("write date, time and zone: `\"2026-01-31T08:00:00Z\"`"),
    );
}

pub(super) fn triggers(cx: &mut Cx<'_>, root: &Map) -> Vec<Trigger> {
    let mut triggers = Vec::new();
    for (map, first) in items(cx, root, "triggers") {
        cx.sink.enter(first);
        cx.keys(map, &TRIGGER);
        let event = match map.get("event") {
            Some(entry) => kinds::event_name(cx, "event", &entry.value),
            None => {
                cx.missing("a trigger", "event", first, "event: NAME");
                None
            }
        };
        kinds::matching(cx, map);
        let rate = map.get("rate").and_then(|entry| rate(cx, &entry.value));
        triggers.push(Trigger {
            event: event.unwrap_or_default(),
            matching: Vec::new(),
            when: None,
            input: Vec::new(),
            dedupe_key: None,
            rate,
        });
    }
    triggers
}

fn rate(cx: &mut Cx<'_>, node: &Node) -> Option<Rate> {
    let map = cx.map("rate", node)?;
    cx.keys(map, &RATE);
    let max = match map.get("max") {
        Some(entry) => cx.integer("max", &entry.value, 1..=u32::MAX),
        None => {
            cx.missing("`rate`", "max", node.span, "max: 10");
            None
        }
    };
    let per = match map.get("per") {
        Some(entry) => cx.duration("per", &entry.value),
        None => {
            cx.missing("`rate`", "per", node.span, "per: 1m");
            None
        }
    };
    Some(Rate {
        max: max?,
        per: per?,
    })
}
