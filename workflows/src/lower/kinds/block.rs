//! Blocks: `foreach`, `loop`, `switch`, `parallel`, `try` and `do`.
//!
//! The steps inside were found by the outline; here their block learns which bodies it runs.

use super::super::fields::{IdForm, excluded};
use super::super::keys::{CASE, FOREACH, LOOP, PARALLEL, SWITCH, TOLERATE};
use super::super::outline::Outline;
use super::super::step::{self, Common};
use super::super::{Cx, saga};
use super::{on_expiry, unread_condition};
use crate::diagnostic::Note;
use crate::machine::{
    BodyIndex, Case, DoSpec, ForeachSpec, ItemOrder, Join, LoopSpec, LoopTest, ParallelSpec, Saga,
    SwitchDefault, SwitchSpec, Tolerance,
};
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

const CONCURRENCY_MAX: u32 = 256;
const LOOP_MAX: u32 = 1000;
const ITEMS_DEFAULT: u32 = 10_000;
/// The most items that a `foreach` may be told to take.
const ITEMS_MAX: u32 = 100_000;
/// Names that are taken: the roots of expressions.
pub(in crate::lower) const ROOTS: &[&str] = &[
    "config", "error", "event", "inputs", "iter", "result", "run", "secrets", "self", "state",
    "steps", "vars",
];

pub(super) fn foreach(
    cx: &mut Cx<'_>,
    entry: &Entry,
    common: &Common<'_, '_>,
) -> Option<ForeachSpec> {
    let map = cx.map("foreach", &entry.value)?;
    cx.keys(map, &FOREACH);
    if map.get("in").is_none() {
        cx.missing("`foreach`", "in", entry.key_span, "in: LIST");
    }
    let as_name = item_name(cx, map, "as", "item");
    let index_as = item_name(cx, map, "index_as", "index");
    if as_name == index_as {
        let place = map.get("index_as").or_else(|| map.get("as"));
        let span = place.map_or(entry.key_span, |entry| entry.value.span);
        let message = format!("the item and its index are both called `{as_name}`");
        cx.sink.push(Note::error("PHI104", span, message));
    }
    let count = |cx: &mut Cx<'_>, key: &str, max: u32| {
        map.get(key)
            .and_then(|entry| cx.integer(key, &entry.value, 1..=max))
    };
    let concurrency = count(cx, "concurrency", CONCURRENCY_MAX).unwrap_or(4);
    let batch = count(cx, "batch", ITEMS_MAX);
    let max_items = count(cx, "max_items", ITEMS_MAX).unwrap_or(ITEMS_DEFAULT);
    let tolerate = map
        .get("tolerate")
        .and_then(|entry| tolerance(cx, &entry.value));
    let order = map.get("order").and_then(|entry| {
        let choices = [("input", ItemOrder::Input), ("any", ItemOrder::Any)];
        cx.one_of("order", &entry.value, &choices)
    });
    let body = body(cx, map, "`foreach`", entry.key_span, common.outline)?;
    Some(ForeachSpec {
        items: unread_condition(entry.key_span),
        as_name,
        index_as,
        concurrency,
        tolerate: tolerate.unwrap_or(Tolerance::Count(0)),
        order: order.unwrap_or(ItemOrder::Input),
        batch,
        max_items,
        body,
    })
}

fn item_name(cx: &mut Cx<'_>, map: &Map, key: &str, default: &str) -> String {
    let written = map.get(key).and_then(|entry| {
        let name = cx.name(key, &entry.value)?;
        (cx.id(&name, entry.value.span, IdForm::Snake) && cx.not_a_root(&name, entry.value.span))
            .then_some(name)
    });
    written.unwrap_or_else(|| default.to_owned())
}

fn tolerance(cx: &mut Cx<'_>, node: &Node) -> Option<Tolerance> {
    let map = cx.map("tolerate", node)?;
    cx.keys(map, &TOLERATE);
    let entry = cx.one_key(map, "`tolerate`", &["count", "percent"], node.span)?;
    if entry.key == "count" {
        let count = cx.integer("count", &entry.value, 0..=ITEMS_MAX)?;
        return Some(Tolerance::Count(count));
    }
    let percent = cx.number("percent", &entry.value)?;
    if !(0.0..=100.0).contains(&percent) {
        cx.sink.push(
            Note::error(
                "PHI104",
                entry.value.span,
                format!("`percent` is {percent}"),
            )
            .label("must be from 0 to 100"),
        );
        return None;
    }
    Some(Tolerance::Percent(percent))
}

pub(super) fn repetition(
    cx: &mut Cx<'_>,
    entry: &Entry,
    common: &Common<'_, '_>,
) -> Option<LoopSpec> {
    let map = cx.map("loop", &entry.value)?;
    cx.keys(map, &LOOP);
    let max = match map.get("max") {
        Some(max) => cx.integer("max", &max.value, 1..=LOOP_MAX),
        None => {
            cx.sink.push(
                Note::error("PHI415", entry.key_span, "loop without bound")
                    .help("everything that repeats is bounded: add `max: 10`"),
            );
            None
        }
    };
    let test = cx.one_key(map, "`loop`", &["while", "until"], entry.key_span);
    let test = match test.map(|test| test.key.as_str()) {
        Some("while") => LoopTest::While(unread_condition(entry.key_span)),
        _ => LoopTest::Until(unread_condition(entry.key_span)),
    };
    carried_names(cx, map);
    let delay = map
        .get("delay")
        .and_then(|entry| cx.duration_or_zero("delay", &entry.value))
        .unwrap_or_default();
    let backoff = map.get("backoff").and_then(|entry| backoff(cx, entry));
    let max_delay = map.get("max_delay").and_then(|entry| {
        let cap = cx.duration_or_zero("max_delay", &entry.value)?;
        if cap < delay {
            let delay = super::super::duration::show(delay);
            cx.sink.push(
                Note::error("PHI517", entry.value.span, "`max_delay` is below `delay`")
                    .label(format!("the first wait is already {delay}")),
            );
        }
        Some(cap)
    });
    let on_exhausted = on_expiry(cx, map, "on_exhausted");
    let body = body(cx, map, "`loop`", entry.key_span, common.outline)?;
    Some(LoopSpec {
        max: max.unwrap_or(1),
        test,
        carry: Vec::new(),
        next: Vec::new(),
        delay,
        backoff,
        max_delay,
        on_exhausted,
        body,
    })
}

fn backoff(cx: &mut Cx<'_>, entry: &Entry) -> Option<f64> {
    let factor = cx.number("backoff", &entry.value)?;
    if factor < 1.0 {
        cx.sink.push(
            Note::error("PHI517", entry.value.span, format!("`backoff` is {factor}"))
                .label("must be at least 1, or waits get shorter"),
        );
        return None;
    }
    Some(factor)
}

/// `carry` and `next` of a loop hold the same names.
fn carried_names(cx: &mut Cx<'_>, map: &Map) {
    let fields = |cx: &mut Cx<'_>, key: &str| {
        let entry = map.get(key)?;
        cx.map(key, &entry.value)
    };
    let (carry, next) = (fields(cx, "carry"), fields(cx, "next"));
    for entry in carry.into_iter().flat_map(|carry| &carry.entries) {
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
    }
    let Some(next) = next else { return };
    let carried = |key: &str| carry.is_some_and(|carry| carry.get(key).is_some());
    for entry in next.entries.iter().filter(|entry| !carried(&entry.key)) {
        let known = carry.into_iter().flat_map(|carry| &carry.entries);
        let near = cx.nearest(&entry.key, known.map(|entry| entry.key.as_str()));
        let message = format!("`next` names `{}`, which `carry` does not hold", entry.key);
        let note = Note::error("PHI101", entry.key_span, message);
        cx.sink.push(match near {
            Some(near) => note
                .label(format!("did you mean `{near}`?"))
                .edit(entry.key_span, near),
            None => note.help("give it a first value in `carry`"),
        });
    }
    for entry in carry.into_iter().flat_map(|carry| &carry.entries) {
        if next.get(&entry.key).is_none() {
            cx.sink.push(
                Note::error(
                    "PHI102",
                    entry.key_span,
                    format!("`next` does not say what becomes of `{}`", entry.key),
                )
                .help(format!(
                    "to keep it: `{0}: ${{{{ iter.carry.{0} }}}}`",
                    entry.key
                )),
            );
        }
    }
}

pub(super) fn switch(
    cx: &mut Cx<'_>,
    entry: &Entry,
    common: &Common<'_, '_>,
) -> Option<SwitchSpec> {
    let map = cx.map("switch", &entry.value)?;
    cx.keys(map, &SWITCH);
    let cases = match map.get("cases") {
        None => {
            let example = "cases: [{ id: NAME, when: CONDITION, do: [] }]";
            cx.missing("`switch`", "cases", entry.key_span, example);
            Vec::new()
        }
        Some(cases) => read_cases(cx, &cases.value, common),
    };
    let default = match map.get("default") {
        None => {
            cx.sink.push(
                Note::error("PHI411", entry.key_span, "`switch` without `default`")
                    .help("say what happens when no case is true: `default: fail`")
                    .edit_if(default_edit(cx.source.text(), map)),
            );
            SwitchDefault::Fail
        }
        Some(default) => match common.outline.body_at(&default.value) {
            Some(body) => SwitchDefault::Body(body),
            None => {
                let choices = [("fail", SwitchDefault::Fail), ("skip", SwitchDefault::Skip)];
                if default.value.as_map().is_some() {
                    cx.wrong_type(
                        "default",
                        "a list of steps, `fail` or `skip`",
                        &default.value,
                    );
                }
                let scalar = default.value.as_scalar().is_some();
                scalar
                    .then(|| cx.one_of("default", &default.value, &choices))
                    .flatten()
                    .unwrap_or(SwitchDefault::Fail)
            }
        },
    };
    (!cases.is_empty()).then_some(SwitchSpec { cases, default })
}

fn default_edit(text: &str, map: &Map) -> Option<(Span, String)> {
    let (at, separator) = super::approval::before_first_key(text, map)?;
    Some((at, format!("default: fail{separator}")))
}

fn read_cases(cx: &mut Cx<'_>, node: &Node, common: &Common<'_, '_>) -> Vec<Case> {
    let Some(items) = node.as_seq() else {
        cx.wrong_type("cases", "a list of cases", node);
        return Vec::new();
    };
    if items.is_empty() {
        cx.empty("cases", node.span);
    }
    let mut cases: Vec<Case> = Vec::new();
    for item in items {
        let Some(map) = cx.map("cases", item) else {
            continue;
        };
        cx.keys(map, &CASE);
        let first = map
            .entries
            .first()
            .map_or(item.span, |entry| entry.key_span);
        let id = match map.get("id") {
            None => {
                cx.missing("a case", "id", first, "id: NAME");
                None
            }
            Some(entry) => cx.text("id", &entry.value).inspect(|id| {
                cx.id(id, entry.value.span, IdForm::Snake);
                if cases.iter().any(|case| case.id == *id) {
                    let message = format!("case `{id}` is defined twice");
                    cx.sink
                        .push(Note::error("PHI201", entry.value.span, message));
                } else if id == "default" {
                    let span = entry.value.span;
                    cx.sink.push(
                        Note::error("PHI110", span, "`default` is reserved")
                            .label("the case when no other is true"),
                    );
                }
            }),
        };
        if map.get("when").is_none() {
            cx.missing("a case", "when", first, "when: CONDITION");
        }
        let body = body(cx, map, "a case", first, common.outline);
        if let (Some(id), Some(body)) = (id, body) {
            cases.push(Case {
                id,
                when: unread_condition(first),
                body,
                yields: None,
            });
        }
    }
    cases
}

pub(super) fn parallel(
    cx: &mut Cx<'_>,
    entry: &Entry,
    common: &Common<'_, '_>,
) -> Option<ParallelSpec> {
    let map = cx.map("parallel", &entry.value)?;
    cx.keys(map, &PARALLEL);
    let Some(named) = map.get("branches") else {
        let example = "branches: { NAME: [STEP] }";
        cx.missing("`parallel`", "branches", entry.key_span, example);
        return None;
    };
    let written = cx.map("branches", &named.value)?;
    if written.entries.is_empty() {
        cx.empty("branches", named.value.span);
    }
    let mut branches = Vec::with_capacity(written.entries.len());
    for branch in &written.entries {
        cx.id(&branch.key, branch.key_span, IdForm::Snake);
        let Some(body) = common.outline.body_at(&branch.value) else {
            continue;
        };
        not_empty(cx, &branch.key, &branch.value);
        branches.push((branch.key.clone(), body));
    }
    let join = map
        .get("join")
        .and_then(|entry| step::join(cx, &entry.value, branches.len(), "branches"));
    let fail_fast = map
        .get("fail_fast")
        .and_then(|entry| cx.boolean("fail_fast", &entry.value));
    let concurrency = map
        .get("concurrency")
        .and_then(|entry| cx.integer("concurrency", &entry.value, 1..=CONCURRENCY_MAX));
    (!branches.is_empty()).then(|| ParallelSpec {
        branches,
        join: join.unwrap_or(Join::All),
        fail_fast: fail_fast.unwrap_or(true),
        concurrency,
    })
}

/// `do` of a step, or `steps` of an activity, with the saga beside it.
pub(super) fn named_body(
    cx: &mut Cx<'_>,
    map: &Map,
    entry: &Entry,
    common: &Common<'_, '_>,
) -> Option<DoSpec> {
    not_empty(cx, &entry.key, &entry.value);
    let saga = map
        .get("saga")
        .map_or(Saga::OFF, |entry| saga::read(cx, &entry.value, Saga::AUTO));
    let body = common.outline.body_at(&entry.value)?;
    Some(DoSpec { body, saga })
}

/// The body below `do` or `steps`, of which there is exactly one. Only a case may be empty.
pub(super) fn body(
    cx: &mut Cx<'_>,
    map: &Map,
    place: &str,
    span: Span,
    outline: &Outline<'_>,
) -> Option<BodyIndex> {
    let entry = match (map.get("do"), map.get("steps")) {
        (None, None) => {
            cx.missing(place, "do", span, "do: [STEP]");
            return None;
        }
        (Some(entry), Some(other)) => {
            let note = excluded(
                ("steps", other.key_span),
                ("do", entry.key_span),
                "the body, too",
            );
            cx.sink
                .push(note.help("`do` is a sequence, `steps` a graph by `needs`"));
            entry
        }
        (Some(entry), None) | (None, Some(entry)) => entry,
    };
    if place != "a case" {
        not_empty(cx, &entry.key, &entry.value);
    }
    outline.body_at(&entry.value)
}

pub(super) fn not_empty(cx: &mut Cx<'_>, key: &str, node: &Node) {
    if node.as_seq().is_some_and(<[Node]>::is_empty) {
        cx.empty(key, node.span);
    }
}
