//! States that follow each other in a circle.

use super::{Places, Ways};
use crate::diagnostic::Note;
use crate::lower::{Cx, Draft};
use crate::machine::{BodyIndex, StateIndex, StatesBody, StepKind, TransitionTrigger};

/// PHI415: a circle in which no state bounds its visits. One finding: the shortest.
pub(super) fn unbounded(cx: &mut Cx<'_>, places: &Places<'_, '_>, body: &StatesBody, ways: &Ways) {
    let free = |at: usize| body.states[at].max_visits.is_none();
    let Some(cycle) = ways.cycle(&free) else {
        return;
    };
    let first = cycle[0];
    cx.sink.push(
        Note::error(
            "PHI415",
            places.name(first),
            format!("the states {} can go round for ever", path(body, &cycle)),
        )
        .help(format!(
            "give one of them `max_visits`, as `{}: {{ max_visits: 3, ... }}`",
            body.states[first].id
        )),
    );
}

/// PHI416: a circle of outcomes of states that do nothing: it goes round at once until its bound.
pub(super) fn idle(cx: &mut Cx<'_>, draft: &Draft<'_>, places: &Places<'_, '_>, body: &StatesBody) {
    let at_once = Ways(
        body.states
            .iter()
            .map(|state| {
                let outcomes = state.transitions.iter().filter(|transition| {
                    matches!(transition.trigger, TransitionTrigger::Outcome(_))
                });
                outcomes
                    .map(|transition| transition.to)
                    .map(StateIndex::get)
                    .collect()
            })
            .collect(),
    );
    let only_writes = |body: Option<BodyIndex>| {
        let steps = draft.steps.iter().map(|draft| &draft.step);
        steps
            .filter(|step| Some(step.body) == body)
            .all(|step| matches!(step.kind, StepKind::Set(_)))
    };
    let idle = |at: usize| {
        let state = &body.states[at];
        let activity = state
            .activity
            .map(|step| &draft.steps[step.get()].step.kind);
        matches!(activity, None | Some(StepKind::Set(_)))
            && (state.entry.is_none() || only_writes(state.entry))
            && (state.exit.is_none() || only_writes(state.exit))
    };
    if let Some(cycle) = at_once.cycle(&idle) {
        cx.sink.push(
            Note::error(
                "PHI416",
                places.name(cycle[0]),
                format!(
                    "the cycle {} does no work and does not wait",
                    path(body, &cycle)
                ),
            )
            .help("give one of these states an `activity`"),
        );
    }
}

/// `a -> b -> a`.
fn path(body: &StatesBody, cycle: &[usize]) -> String {
    let names: Vec<&str> = cycle
        .iter()
        .chain(cycle.first())
        .map(|at| body.states[*at].id.as_str())
        .collect();
    format!("`{}`", names.join(" -> "))
}
