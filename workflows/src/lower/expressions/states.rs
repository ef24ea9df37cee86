//! The expressions of `states:`: transitions, and how runs end.

use super::super::types::{error_type, event_type};
use super::super::value::Values;
use super::super::{Cx, Draft};
use super::kinds::{assignments, fill_fail, final_outputs, scalars};
use super::{Output, plain};
use crate::expr::{Env, ObjectType, Type};
use crate::machine::{ActivityOutcome, State, StateEnd, Transition, TransitionTrigger};
use crate::syntax::Map;

/// Fills in what states say apart from their steps. The types of outputs that final states give
/// are added to `endings`.
pub(super) fn fill(
    cx: &mut Cx<'_>,
    draft: &mut Draft<'_>,
    outputs: &[Output],
    globals: &Env,
    endings: &mut Vec<Type>,
) {
    let declared = &draft.declared;
    let workflow_outputs = draft
        .root
        .get("outputs")
        .and_then(|entry| entry.value.as_map());
    let Some(states) = &mut draft.states else {
        return;
    };
    for (state, place) in states.body.states.iter_mut().zip(&states.places) {
        cx.sink.enter(place.key_span);
        let output = state.activity.map(|activity| &outputs[activity.get()]);
        for (transition, (map, _)) in state.transitions.iter_mut().zip(&place.transitions) {
            let env = transition_env(globals, transition, output);
            let mut values = plain(cx, &env);
            fill_transition(&mut values, transition, map, globals, declared);
        }
        if let Some(map) = place.map {
            let ending = fill_end(&mut plain(cx, globals), state, map, workflow_outputs);
            endings.extend(ending);
        }
    }
}

/// What a transition reads: `state`, and what it answers.
fn transition_env(globals: &Env, transition: &Transition, output: Option<&Output>) -> Env {
    let state = ObjectType::default()
        .field("visits", Type::Int)
        .field("entered_at", Type::Timestamp);
    let succeeded = matches!(
        transition.trigger,
        TransitionTrigger::Outcome(ActivityOutcome::Succeeded | ActivityOutcome::Option(_))
    );
    let state = match output {
        None => state,
        Some(output) if succeeded && output.absent.is_none() => {
            state.field("output", output.ty.clone())
        }
        Some(output) => {
            let why = output.absent.clone();
            let why = why.unwrap_or_else(|| "the activity has not succeeded".to_owned());
            state.optional_field("output", output.ty.clone(), why)
        }
    };
    let env = globals.clone().variable("state", state.into());
    match &transition.trigger {
        TransitionTrigger::Outcome(ActivityOutcome::Failed) => env.variable("error", error_type()),
        TransitionTrigger::Outcome(_) => env,
        TransitionTrigger::Event(_) => env.variable("event", event_type(Type::Any)),
    }
}

fn fill_transition(
    values: &mut Values<'_, '_>,
    transition: &mut Transition,
    map: &Map,
    globals: &Env,
    declared: &super::Declared,
) {
    // Correlation is evaluated when the state is entered, before there is an event.
    transition.matching = scalars(&mut plain(values.cx, globals), map, "match");
    transition.when = map
        .get("when")
        .and_then(|entry| values.condition("when", &entry.value));
    if let Some(fields) = map.get("set").and_then(|entry| entry.value.as_map()) {
        transition.set = assignments(values, fields, declared);
    }
}

fn fill_end(
    values: &mut Values<'_, '_>,
    state: &mut State,
    map: &Map,
    workflow_outputs: Option<&Map>,
) -> Option<Type> {
    match &mut state.end {
        Some(StateEnd::Completed(outputs)) if map.get("outputs").is_some() => {
            let (written, ty) = final_outputs(values, map, workflow_outputs, "a final state");
            *outputs = written;
            return Some(ty);
        }
        Some(StateEnd::Failed(error)) => {
            if let Some(fields) = map.get("error").and_then(|entry| entry.value.as_map()) {
                fill_fail(values, fields, error);
            }
        }
        Some(StateEnd::Completed(_)) | None => {}
    }
    None
}
