//! Events that are waited for, against those that are sent.
//!
//! Most events come from outside, so that nothing in the file emits one says nothing. A name that is
//! nearly one of the file's own does: that is a slip which would wait until its timeout. What deployed
//! workflows emit is not in the catalogue.

use std::collections::BTreeSet;

use crate::diagnostic::Note;
use crate::lower::{Cx, Draft};
use crate::machine::{EventSource, StepKind, TransitionTrigger};
use crate::source::Span;
use crate::syntax::Map;

/// The names of all events that the workflows of a text emit. What is addressed to a run is a signal.
pub(crate) fn emitted(drafts: &[Option<Draft<'_>>]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in drafts.iter().flatten().flat_map(|draft| &draft.steps) {
        let fields = step.map.get("emit").and_then(|entry| entry.value.as_map());
        if let StepKind::Emit(spec) = &step.step.kind
            && fields.is_some_and(|fields| fields.get("to").is_none())
        {
            names.insert(spec.event.clone());
        }
    }
    names
}

/// PHI214 of everything in a workflow that listens.
pub(crate) fn listeners(cx: &mut Cx<'_>, draft: &Draft<'_>, emitted: &BTreeSet<String>) {
    for step in &draft.steps {
        if let StepKind::WaitFor(spec) = &step.step.kind
            && let EventSource::Event(event) = &spec.source
        {
            cx.sink.enter(step.id_span);
            listener(cx, event, step.nested_span("wait_for", "event"), emitted);
        }
    }
    let triggers = draft.root.get("triggers");
    let triggers = triggers.and_then(|entry| entry.value.as_seq());
    let maps = triggers
        .unwrap_or_default()
        .iter()
        .map(|item| item.as_map());
    let place = |map: &Map| map.get("event").map(|entry| entry.value.span);
    for (trigger, map) in draft.triggers.iter().zip(maps.flatten()) {
        if let Some(span) = place(map) {
            cx.sink.enter(span);
            listener(cx, &trigger.event, span, emitted);
        }
    }
    let Some(states) = &draft.states else { return };
    for (state, written) in states.body.states.iter().zip(&states.places) {
        cx.sink.enter(written.key_span);
        for (transition, (map, _)) in state.transitions.iter().zip(&written.transitions) {
            if let TransitionTrigger::Event(EventSource::Event(event)) = &transition.trigger
                && let Some(span) = place(map)
            {
                listener(cx, event, span, emitted);
            }
        }
    }
}

fn listener(cx: &mut Cx<'_>, event: &str, span: Span, emitted: &BTreeSet<String>) {
    if event.is_empty() || emitted.contains(event) {
        return;
    }
    if let Some(near) = cx.nearest(event, emitted.iter().map(String::as_str)) {
        cx.sink.push(
            Note::info("PHI214", span, format!("nobody known emits `{event}`"))
                .label(format!("did you mean `{near}`?"))
                .help("correct the name, unless an event from outside is called so"),
        );
    }
}
