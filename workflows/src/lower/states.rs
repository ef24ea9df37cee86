//! `states:` of a workflow, without its expressions.
//!
//! Names are resolved here (PHI206, PHI422). Whether every state can be reached and left is a rule of
//! [`crate::check`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::IdForm;
use super::keys::{LIMITS, STATE, STATE_TIMEOUT, TRANSITION};
use super::outline::Outline;
use super::step::Common;
use super::{Cx, kinds, policy};
use crate::diagnostic::Note;
use crate::machine::{
    ActivityOutcome, State, StateEnd, StateIndex, StatesBody, StepIndex, Transition,
    TransitionTrigger,
};
use crate::source::Span;
use crate::syntax::{Entry, Map, Node};

/// Most transitions of one run unless told otherwise.
const TRANSITIONS_DEFAULT: u32 = 1000;
const TRANSITIONS_MAX: u32 = 100_000;

/// The state machine as far as it was understood: its expressions are filled in last.
pub(crate) struct StatesDraft<'n> {
    pub(crate) body: StatesBody,
    pub(crate) places: Vec<StatePlace<'n>>,
}

/// Where a state is written.
pub(crate) struct StatePlace<'n> {
    /// `None`: it is not even a map.
    pub(crate) map: Option<&'n Map>,
    pub(crate) key_span: Span,
    /// The maps of its transitions, in the order of [`State::transitions`].
    pub(crate) transitions: Vec<(&'n Map, Span)>,
}

/// The names of all states, and the steps that are mistaken for them.
struct Names<'o, 'n> {
    states: BTreeMap<&'n str, StateIndex>,
    outline: &'o Outline<'n>,
}

pub(super) fn read<'n>(
    cx: &mut Cx<'_>,
    root: &'n Map,
    common: &Common<'_, 'n>,
) -> Option<StatesDraft<'n>> {
    let entry = root.get("states")?;
    cx.sink.enter(entry.key_span);
    let map = cx.map("states", &entry.value)?;
    if map.entries.is_empty() {
        cx.empty("states", entry.value.span);
        return None;
    }
    let names = Names {
        states: map
            .entries
            .iter()
            .zip(0_u32..)
            .map(|(entry, index)| (entry.key.as_str(), StateIndex(index)))
            .collect(),
        outline: common.outline,
    };
    let initial = match root.get("initial") {
        Some(initial) => names.state(cx, "initial", &initial.value),
        None => {
            let first = &map.entries[0].key;
            cx.sink.push(
                Note::error("PHI404", entry.key_span, "no `initial` state")
                    .help(format!("say where a run begins: `initial: {first}`"))
                    .edit(
                        Span::new(entry.key_span.start as usize, entry.key_span.start as usize),
                        format!("initial: {first}\n"),
                    ),
            );
            None
        }
    };
    let mut states = Vec::with_capacity(map.entries.len());
    let mut places = Vec::with_capacity(map.entries.len());
    for entry in &map.entries {
        cx.sink.enter(entry.key_span);
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
        let (state, place) = state(cx, entry, &names, common);
        states.push(state);
        places.push(place);
    }
    Some(StatesDraft {
        body: StatesBody {
            initial: initial.unwrap_or(StateIndex(0)),
            max_transitions: limits(cx, root),
            states,
        },
        places,
    })
}

fn limits(cx: &mut Cx<'_>, root: &Map) -> u32 {
    let map = root
        .get("limits")
        .and_then(|entry| cx.map("limits", &entry.value))
        .inspect(|map| cx.keys(map, &LIMITS));
    map.and_then(|map| map.get("transitions"))
        .and_then(|entry| cx.integer("transitions", &entry.value, 1..=TRANSITIONS_MAX))
        .unwrap_or(TRANSITIONS_DEFAULT)
}

impl Names<'_, '_> {
    /// The state that a value names (PHI206, PHI422).
    fn state(&self, cx: &mut Cx<'_>, key: &str, node: &Node) -> Option<StateIndex> {
        let name = cx.name(key, node)?;
        if let Some(index) = self.states.get(name.as_str()) {
            return Some(*index);
        }
        if key == "to"
            && let Some(step) = self.outline.step_named(&name)
        {
            cx.sink.push(self.inside_a_body(&name, node.span, step));
            return None;
        }
        let what = match key {
            "initial" => "`initial` names",
            _ => "transition to",
        };
        let span = node.span;
        let note = Note::error("PHI206", span, format!("{what} unknown state `{name}`"));
        let note = match cx.nearest(&name, self.states.keys().copied()) {
            Some(near) => note
                .label(format!("did you mean `{near}`?"))
                .edit(span, near),
            None => note.label("no state has this name"),
        };
        cx.sink.push(note);
        None
    }

    /// PHI422: the token is in one state at a time, so no transition leads into a body.
    fn inside_a_body(&self, name: &str, span: Span, step: StepIndex) -> Note {
        let around = self.outline.state_around(step);
        let around = self
            .states
            .iter()
            .find(|(_, index)| Some(**index) == around);
        let help = match around {
            Some((state, _)) => format!("lead it to the state around the step: `to: {state}`"),
            None => "make the step the `activity` of a state, and lead there".to_owned(),
        };
        Note::error(
            "PHI422",
            span,
            format!("transition leaves its body: `{name}` is a step, not a state"),
        )
        .also(self.outline.place(step).id_span, "the step")
        .help(help)
    }
}

fn state<'n>(
    cx: &mut Cx<'_>,
    entry: &'n Entry,
    names: &Names<'_, '_>,
    common: &Common<'_, 'n>,
) -> (State, StatePlace<'n>) {
    let mut state = State {
        id: entry.key.clone(),
        entry: None,
        activity: None,
        exit: None,
        timeout: None,
        max_visits: None,
        transitions: Vec::new(),
        end: None,
    };
    let mut place = StatePlace {
        map: entry.value.as_map(),
        key_span: entry.key_span,
        transitions: Vec::new(),
    };
    let Some(map) = cx.map(&entry.key, &entry.value) else {
        return (state, place);
    };
    cx.keys(map, &STATE);
    let body = |key: &str| {
        let entry = map.get(key)?;
        common.outline.body_at(&entry.value)
    };
    state.entry = body("entry");
    state.exit = body("exit");
    state.activity =
        body("activity").and_then(|body| common.outline.body(body).steps.first().copied());
    state.timeout = map
        .get("timeout")
        .and_then(|entry| timeout(cx, entry, names));
    state.max_visits = map
        .get("max_visits")
        .and_then(|entry| cx.integer("max_visits", &entry.value, 1..=TRANSITIONS_MAX));
    state.end = end(cx, map);
    if let Some(entry) = map.get("transitions") {
        let options = options(map);
        let items = entry.value.as_seq();
        if items.is_none() {
            cx.wrong_type("transitions", "a list of transitions", &entry.value);
        }
        for item in items.unwrap_or_default() {
            let Some(fields) = cx.map("transitions", item) else {
                continue;
            };
            let first = fields.entries.first();
            let first = first.map_or(item.span, |entry| entry.key_span);
            let Some(transition) = transition(cx, fields, first, names, &options, common) else {
                continue;
            };
            state.transitions.push(transition);
            place.transitions.push((fields, item.span));
        }
    }
    (state, place)
}

fn timeout(
    cx: &mut Cx<'_>,
    entry: &Entry,
    names: &Names<'_, '_>,
) -> Option<(Duration, StateIndex)> {
    if entry.value.as_scalar().is_some() && !entry.value.is_null() {
        cx.wrong_type("timeout", "`{ after, to }`", &entry.value);
        return None;
    }
    let map = cx.map("timeout", &entry.value)?;
    cx.keys(map, &STATE_TIMEOUT);
    let place = STATE_TIMEOUT.place;
    let after = match map.get("after") {
        Some(after) => cx.duration("after", &after.value),
        None => {
            cx.missing(place, "after", entry.key_span, "after: 15m");
            None
        }
    };
    let to = match map.get("to") {
        Some(to) => names.state(cx, "to", &to.value),
        None => {
            cx.missing(place, "to", entry.key_span, "to: STATE");
            None
        }
    };
    Some((after?, to?))
}

/// `final`, with what goes with it.
fn end(cx: &mut Cx<'_>, map: &Map) -> Option<StateEnd> {
    let misplaced = |cx: &mut Cx<'_>, key: &str, help: &str| {
        if let Some(entry) = map.get(key) {
            let message = format!("`{key}` does not apply to this state");
            cx.sink
                .push(Note::error("PHI107", entry.key_span, message).help(help));
        }
    };
    let Some(entry) = map.get("final") else {
        misplaced(cx, "outputs", "it belongs to `final: completed`");
        misplaced(cx, "error", "it belongs to `final: failed`");
        return None;
    };
    for key in ["activity", "entry", "exit", "timeout", "max_visits"] {
        misplaced(
            cx,
            key,
            "a run ends in a final state, nothing is done there",
        );
    }
    let completed = cx.one_of(
        "final",
        &entry.value,
        &[("completed", true), ("failed", false)],
    )?;
    if completed {
        misplaced(cx, "error", "it belongs to `final: failed`");
        return Some(StateEnd::Completed(Vec::new()));
    }
    misplaced(cx, "outputs", "it belongs to `final: completed`");
    let Some(error) = map.get("error") else {
        let example = "error: { code: app.NAME }";
        cx.missing("`final: failed`", "error", entry.key_span, example);
        return None;
    };
    kinds::fail(cx, "error", &error.value, error.key_span).map(StateEnd::Failed)
}

/// The answers of an approval, which are outcomes too.
fn options(state: &Map) -> Vec<&str> {
    let approval = state
        .get("activity")
        .and_then(|entry| entry.value.as_map())
        .and_then(|activity| activity.get("approval"))
        .and_then(|entry| entry.value.as_map());
    let Some(approval) = approval else {
        return Vec::new();
    };
    match approval
        .get("options")
        .and_then(|entry| entry.value.as_seq())
    {
        Some(items) => items.iter().filter_map(Node::as_str).collect(),
        None => vec!["approve", "reject"],
    }
}

fn transition(
    cx: &mut Cx<'_>,
    map: &Map,
    first: Span,
    names: &Names<'_, '_>,
    options: &[&str],
    common: &Common<'_, '_>,
) -> Option<Transition> {
    cx.keys(map, &TRANSITION);
    let written = cx.one_key(map, "a transition", &["outcome", "event", "signal"], first);
    let trigger = written.and_then(|entry| trigger(cx, entry, options));
    let errors = map
        .get("errors")
        .map(|entry| policy::error_patterns(cx, "errors", &entry.value));
    let failed = TransitionTrigger::Outcome(ActivityOutcome::Failed);
    let not_for = |cx: &mut Cx<'_>, key: &str, help: &str| {
        if let Some(entry) = map.get(key) {
            let message = format!("`{key}` does not apply to this transition");
            cx.sink
                .push(Note::error("PHI107", entry.key_span, message).help(help));
        }
    };
    if trigger.as_ref().is_some_and(|trigger| *trigger != failed) {
        not_for(cx, "errors", "it narrows `outcome: failed`");
    }
    if matches!(trigger, Some(TransitionTrigger::Outcome(_))) {
        not_for(cx, "match", "it correlates an `event` or a `signal`");
    }
    kinds::matching(cx, map);
    if let Some(entry) = map.get("set")
        && let Some(fields) = cx.map("set", &entry.value)
    {
        kinds::variables(cx, fields, common);
    }
    let to = match map.get("to") {
        Some(entry) => names.state(cx, "to", &entry.value),
        None => {
            cx.missing("a transition", "to", first, "to: STATE");
            None
        }
    };
    Some(Transition {
        trigger: trigger?,
        errors: errors.unwrap_or_default(),
        matching: Vec::new(),
        when: None,
        set: Vec::new(),
        to: to?,
    })
}

fn trigger(cx: &mut Cx<'_>, entry: &Entry, options: &[&str]) -> Option<TransitionTrigger> {
    if entry.key != "outcome" {
        return kinds::event_source(cx, entry).map(TransitionTrigger::Event);
    }
    let outcome = cx.name("outcome", &entry.value)?;
    let outcome = match outcome.as_str() {
        "succeeded" => ActivityOutcome::Succeeded,
        "failed" => ActivityOutcome::Failed,
        option if options.contains(&option) => ActivityOutcome::Option(option.to_owned()),
        other => {
            let words = ["succeeded", "failed"].into_iter();
            let words = words.chain(options.iter().copied());
            cx.not_one_of(other, entry.value.span, words);
            return None;
        }
    };
    Some(TransitionTrigger::Outcome(outcome))
}
