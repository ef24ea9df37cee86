//! `assign`, `timeouts`, `retry`: of a step, of `defaults`, of `retry_policies`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{ASSIGN, RETRY, TIMEOUTS};
use super::outline::Outline;
use super::{Cx, fields, step};
use crate::diagnostic::Note;
use crate::machine::{
    Assign, Backoff, Effects, ErrorPattern, Jitter, OnFailure, Priority, Reassign, Retry, Timeouts,
};
use crate::syntax::{Kind, Node, Shape};

/// First parts of the codes that the engine raises, and that agents may raise.
const ERROR_FAMILIES: &[&str] = &[
    "all",
    "timeout",
    "agent",
    "transient",
    "app",
    "task",
    "schema",
    "expr",
    "approval",
    "files",
    "call",
    "loop",
    "foreach",
    "event",
    "policy",
    "cancelled",
    "saga",
    "acceptance",
];

/// A retry as written; the codes depend on the step that uses it.
#[derive(Clone, Debug)]
pub(crate) struct RetryDraft<'n> {
    pub(super) retry: Retry,
    pub(super) errors_written: bool,
    pub(super) when: Option<&'n Node>,
}

/// `retry_policies`, by name.
pub(crate) type Policies<'n> = BTreeMap<String, RetryDraft<'n>>;

/// `defaults`.
#[derive(Default)]
pub(super) struct Defaults<'n> {
    pub(super) assign: Option<Assign>,
    pub(super) reassignments_written: bool,
    pub(super) retry: Option<RetryDraft<'n>>,
    pub(super) timeouts: Timeouts,
    pub(super) lease_written: bool,
    pub(super) on_failure: Option<OnFailure>,
}

/// An assignment, and whether it says how often a task may be put back.
pub(super) fn assign(
    cx: &mut Cx<'_>,
    node: &Node,
    outline: &Outline<'_>,
) -> Option<(Assign, bool)> {
    const DEFAULT_REASSIGNMENTS: u32 = 3;
    let mut assign = Assign {
        reassignments: DEFAULT_REASSIGNMENTS,
        ..Assign::default()
    };
    let Shape::Map(map) = &node.shape else {
        if node.as_seq().is_some() {
            cx.wrong_type("assign", "an agent's name or a map", node);
            return None;
        }
        assign.agent = Some(cx.name("assign", node)?);
        return Some((assign, false));
    };
    cx.keys(map, &ASSIGN);
    if let Some(entry) = map.get("agent") {
        assign.agent = cx.name("agent", &entry.value);
    }
    let list = |cx: &mut Cx<'_>, key: &str| -> Vec<String> {
        let names = map.get(key).map(|entry| cx.names(key, &entry.value));
        names
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    assign.capabilities = list(cx, "capabilities");
    assign.capabilities.sort();
    assign.capabilities.dedup();
    assign.prefer = list(cx, "prefer");
    assign.exclude = list(cx, "exclude");
    assign.pool = map
        .get("pool")
        .and_then(|entry| cx.name("pool", &entry.value));
    if let Some(entry) = map.get("sticky")
        && let Some(name) = cx.name("sticky", &entry.value)
    {
        assign.sticky = outline.step_named(&name);
        if assign.sticky.is_none() {
            let span = entry.value.span;
            let note = step::unknown_step(cx, "sticky", &name, span, outline.ids());
            cx.sink.push(note);
        }
    }
    if let Some(entry) = map.get("not_same_as") {
        assign.not_same_as = step::named(cx, "not_same_as", &entry.value, outline);
    }
    if let Some(entry) = map.get("priority") {
        assign.priority = priority(cx, &entry.value).unwrap_or_default();
    }
    let reassignments = map.get("reassignments");
    if let Some(entry) = reassignments {
        assign.reassignments = cx
            .integer("reassignments", &entry.value, 0..=100)
            .unwrap_or(DEFAULT_REASSIGNMENTS);
    }
    let says_something = [
        "agent",
        "capabilities",
        "priority",
        "reassignments",
        "pool",
        "sticky",
        "not_same_as",
    ];
    if says_something.iter().all(|key| map.get(key).is_none()) {
        let example = "agent: NAME` or `capabilities: [NAME]";
        cx.missing("`assign`", "agent", node.span, example);
    }
    Some((assign, reassignments.is_some()))
}

fn priority(cx: &mut Cx<'_>, node: &Node) -> Option<Priority> {
    const NAMED: [(&str, u8); 4] = [("low", 25), ("normal", 50), ("high", 75), ("critical", 100)];
    if matches!(node.as_scalar().map(|s| s.kind), Some(Kind::Int(_))) {
        let value = cx.integer("priority", node, 0..=100)?;
        return u8::try_from(value).ok().map(Priority);
    }
    cx.one_of("priority", node, &NAMED).map(Priority)
}

/// Changes the clocks that `node` names.
pub(super) fn timeouts(cx: &mut Cx<'_>, node: &Node, clocks: &mut Timeouts) {
    let Some(map) = cx.map("timeouts", node) else {
        return;
    };
    cx.keys(map, &TIMEOUTS);
    for entry in &map.entries {
        let slot = match entry.key.as_str() {
            "queue" => &mut clocks.queue,
            "lease" => &mut clocks.lease,
            "run" => &mut clocks.run,
            "total" => {
                clocks.total = cx.duration("total", &entry.value).or(clocks.total);
                continue;
            }
            _ => continue,
        };
        if let Some(duration) = cx.duration(&entry.key, &entry.value) {
            *slot = duration;
        }
    }
}

/// No repetition at all.
pub(super) fn no_retry<'n>() -> RetryDraft<'n> {
    RetryDraft {
        retry: Retry {
            max_attempts: 1,
            ..written_defaults()
        },
        errors_written: false,
        when: None,
    }
}

/// What a compensation does unless told otherwise.
pub(super) fn undo_retry<'n>() -> RetryDraft<'n> {
    RetryDraft {
        retry: Retry {
            max_attempts: 10,
            max_delay: Duration::from_secs(600),
            errors: vec![ErrorPattern("all".to_owned())],
            ..written_defaults()
        },
        errors_written: true,
        when: None,
    }
}

fn transient<'n>() -> RetryDraft<'n> {
    RetryDraft {
        retry: Retry {
            max_attempts: 4,
            max_delay: Duration::from_secs(60),
            ..written_defaults()
        },
        errors_written: false,
        when: None,
    }
}

/// A retry map in which nothing is written.
fn written_defaults() -> Retry {
    Retry {
        max_attempts: 3,
        backoff: Backoff::Exponential,
        delay: Duration::from_secs(2),
        factor: 2.0,
        max_delay: Duration::from_secs(300),
        jitter: Jitter::Full,
        max_elapsed: None,
        errors: Vec::new(),
        except: patterns(&["schema.input", "policy", "cancelled"]),
        when: None,
        reassign: Reassign::Any,
    }
}

fn patterns(codes: &[&str]) -> Vec<ErrorPattern> {
    codes
        .iter()
        .map(|code| ErrorPattern((*code).to_owned()))
        .collect()
}

impl RetryDraft<'_> {
    /// The codes that are repeated when none are written: what may have had an effect is not
    /// repeated after an unknown end.
    pub(super) fn complete(&mut self, effects: Effects, idempotent: bool) {
        if !self.errors_written {
            let repeatable = idempotent || matches!(effects, Effects::None | Effects::Read);
            self.retry.errors = if repeatable {
                patterns(&["transient", "timeout.run"])
            } else {
                patterns(&["transient"])
            };
        }
    }
}

/// A policy's name, or a policy.
pub(super) fn retry<'n>(
    cx: &mut Cx<'_>,
    node: &'n Node,
    named: &Policies<'n>,
) -> Option<RetryDraft<'n>> {
    if node.as_scalar().is_some() && !node.is_null() {
        let name = cx.name("retry", node)?;
        if let Some(policy) = named.get(&name) {
            return Some(policy.clone());
        }
        return match name.as_str() {
            "none" => Some(no_retry()),
            "transient" => Some(transient()),
            _ => {
                let known = || {
                    ["none", "transient"]
                        .into_iter()
                        .chain(named.keys().map(String::as_str))
                };
                let mut note = Note::error(
                    "PHI207",
                    node.span,
                    format!("unknown retry policy `{name}`"),
                )
                .help(format!("known policies: {}", fields::words(known())));
                if let Some(near) = cx.nearest(&name, known()) {
                    note = note
                        .label(format!("did you mean `{near}`?"))
                        .edit(node.span, near);
                }
                cx.sink.push(note);
                None
            }
        };
    }
    policy(cx, node)
}

/// A policy written out.
pub(super) fn policy<'n>(cx: &mut Cx<'_>, node: &'n Node) -> Option<RetryDraft<'n>> {
    let map = cx.map("retry", node)?;
    cx.keys(map, &RETRY);
    let mut retry = written_defaults();
    if let Some(entry) = map.get("max_attempts") {
        retry.max_attempts = cx
            .integer("max_attempts", &entry.value, 1..=100)
            .unwrap_or(3);
    }
    if let Some(entry) = map.get("backoff") {
        let choices = [
            ("none", Backoff::None),
            ("fixed", Backoff::Fixed),
            ("linear", Backoff::Linear),
            ("exponential", Backoff::Exponential),
        ];
        retry.backoff = cx
            .one_of("backoff", &entry.value, &choices)
            .unwrap_or(retry.backoff);
    }
    if let Some(entry) = map.get("delay") {
        retry.delay = cx
            .duration_or_zero("delay", &entry.value)
            .unwrap_or(retry.delay);
        // A first wait past the default cap lifts the cap: it was not the author's.
        retry.max_delay = retry.max_delay.max(retry.delay);
    }
    if let Some(entry) = map.get("factor")
        && let Some(factor) = cx.number("factor", &entry.value)
    {
        if factor < 1.0 {
            cx.sink.push(
                Note::error("PHI517", entry.value.span, format!("`factor` is {factor}"))
                    .label("must be at least 1, or waits get shorter"),
            );
        } else {
            retry.factor = factor;
        }
    }
    if let Some(entry) = map.get("max_delay")
        && let Some(cap) = cx.duration_or_zero("max_delay", &entry.value)
    {
        if cap < retry.delay {
            let delay = super::duration::show(retry.delay);
            cx.sink.push(
                Note::error("PHI517", entry.value.span, "`max_delay` is below `delay`")
                    .label(format!("the first wait is already {delay}")),
            );
        }
        retry.max_delay = cap;
    }
    if let Some(entry) = map.get("jitter") {
        let choices = [
            ("none", Jitter::None),
            ("full", Jitter::Full),
            ("equal", Jitter::Equal),
        ];
        retry.jitter = cx
            .one_of("jitter", &entry.value, &choices)
            .unwrap_or(retry.jitter);
    }
    if let Some(entry) = map.get("max_elapsed") {
        retry.max_elapsed = cx.duration("max_elapsed", &entry.value);
    }
    if let Some(entry) = map.get("reassign") {
        let choices = [
            ("any", Reassign::Any),
            ("same", Reassign::Same),
            ("other", Reassign::Other),
        ];
        retry.reassign = cx
            .one_of("reassign", &entry.value, &choices)
            .unwrap_or(retry.reassign);
    }
    if let Some(entry) = map.get("errors") {
        retry.errors = error_patterns(cx, "errors", &entry.value);
    }
    if let Some(entry) = map.get("except") {
        retry.except = error_patterns(cx, "except", &entry.value);
    }
    Some(RetryDraft {
        retry,
        errors_written: map.get("errors").is_some(),
        when: map.get("when").map(|entry| &entry.value),
    })
}

pub(super) fn error_patterns(cx: &mut Cx<'_>, key: &str, node: &Node) -> Vec<ErrorPattern> {
    let mut patterns = Vec::new();
    for (code, span) in cx.names(key, node) {
        let family = code.split('.').next().unwrap_or_default();
        if ERROR_FAMILIES.contains(&family) {
            patterns.push(ErrorPattern(code));
            continue;
        }
        let mut note = Note::error("PHI104", span, format!("`{code}` is not an error code"))
            .help("agents raise `transient.*` and `app.*`; the engine raises `timeout.run`, `agent.lost`, `schema.output`, ...");
        if let Some(near) = cx.nearest(family, ERROR_FAMILIES.iter().copied()) {
            note = note.label(format!("did you mean `{near}`?"));
        }
        cx.sink.push(note);
    }
    patterns
}

/// `on_failure` of a step or of `defaults`, when it is a word.
pub(super) fn on_failure(cx: &mut Cx<'_>, node: &Node) -> Option<OnFailure> {
    let choices = [("fail", OnFailure::Fail), ("continue", OnFailure::Continue)];
    cx.one_of("on_failure", node, &choices)
}
