//! The graph as JSON, for programs.

use serde_json::{Value as Json, json as object};

use super::parts;
use crate::machine::{BodyIndex, Machine, Owner, StateEnd, StatesBody, StepIndex, StepKind};

/// `{workflow, version, hash, steps: [{id, kind, type, agent, capabilities, needs, join, if, rank,
/// undone_by, in, body}], states}`; keys without a value are null. `in` is the step or state that a
/// step stands in and `body` says which of its bodies, as `case small: ...`. `states` is
/// `{initial, states: [{id, activity, final, max_visits, transitions: [{on, to}]}]}`.
#[must_use]
pub fn json(machine: &Machine) -> String {
    let steps: Vec<Json> = (0_u32..)
        .map(StepIndex)
        .zip(machine.steps())
        // What is done when something fails is told of what it undoes.
        .filter(|(index, _)| machine.undoes(*index).is_none())
        .map(|(index, step)| {
            let task_type = match &step.kind {
                StepKind::Task(task) => Some(task.task_type.as_str()),
                _ => None,
            };
            let needs: Vec<&str> = step
                .needs
                .iter()
                .map(|need| machine.step(*need).id.as_str())
                .collect();
            let undone_by = machine.undone_by(index);
            let rank = machine.rank(index);
            object!({
                "id": step.id,
                "kind": step.kind.name(),
                "type": task_type,
                "agent": step.assign.agent,
                "capabilities": step.assign.capabilities,
                "needs": needs,
                "join": super::join(step.join).unwrap_or_else(|| "all".to_owned()),
                "if": step.condition.as_ref().map(|condition| condition.source()),
                "rank": rank,
                "undone_by": undone_by,
                "in": holder(machine, step.body),
                "body": body_title(machine, step.body),
            })
        })
        .collect();
    let graph = object!({
        "workflow": machine.name(),
        "version": machine.version(),
        "hash": machine.hash(),
        "steps": steps,
        "states": machine.states().map(|states| states_json(machine, states)),
    });
    format!("{graph:#}\n")
}

/// The id of the step or state that runs a body; null for the run's.
fn holder(machine: &Machine, body: BodyIndex) -> Option<&str> {
    match machine.body(body).owner {
        Owner::Run | Owner::OnFailure | Owner::Finally => None,
        Owner::Block(step) | Owner::Handler(step) | Owner::Undo(step) => {
            Some(&machine.step(step).id)
        }
        Owner::State(state) => {
            let states = machine.states()?;
            Some(&states.states[state.get()].id)
        }
    }
}

/// Which of its holder's bodies a body is; null for the main one.
fn body_title(machine: &Machine, body: BodyIndex) -> Option<String> {
    let holder = match machine.body(body).owner {
        Owner::Run => return None,
        Owner::OnFailure => return Some("on_failure".to_owned()),
        Owner::Finally => return Some("finally".to_owned()),
        Owner::State(state) => {
            let state = &machine.states()?.states[state.get()];
            let title = match (state.entry, state.exit) {
                (Some(entry), _) if entry == body => "entry",
                (_, Some(exit)) if exit == body => "exit",
                _ => "activity",
            };
            return Some(title.to_owned());
        }
        Owner::Block(step) | Owner::Handler(step) | Owner::Undo(step) => machine.step(step),
    };
    let parts = parts::of_step(holder);
    let part = parts.into_iter().find(|part| part.body == body)?;
    Some(if part.title.is_empty() {
        "do".to_owned()
    } else {
        part.title
    })
}

fn states_json(machine: &Machine, body: &StatesBody) -> Json {
    let name = |at: crate::machine::StateIndex| &body.states[at.get()].id;
    let states: Vec<Json> = body
        .states
        .iter()
        .map(|state| {
            let transitions: Vec<Json> = super::ways_out(state)
                .into_iter()
                .map(|(on, to)| object!({ "on": on, "to": name(to) }))
                .collect();
            let end = state.end.as_ref().map(|end| match end {
                StateEnd::Completed(_) => "completed",
                StateEnd::Failed(_) => "failed",
            });
            object!({
                "id": state.id,
                "activity": state.activity.map(|step| machine.step(step).kind.name()),
                "final": end,
                "max_visits": state.max_visits,
                "transitions": transitions,
            })
        })
        .collect();
    object!({ "initial": name(body.initial), "states": states })
}
