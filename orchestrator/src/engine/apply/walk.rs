//! Facts about the token of a workflow of states.

use phisync_workflows::machine::StateIndex;
use serde_json::Value;

use crate::engine::event::RunEvent;
use crate::engine::pass::PassId;
use crate::engine::run::{Clock, RunState};
use crate::engine::walk::{Stage, Walk};

pub(super) fn apply_to_walk(run: &mut RunState, event: &RunEvent) {
    let machine = run.machine.clone();
    let Some(states) = machine.states() else {
        return;
    };
    let named = |name: &str| {
        let place = states.states.iter().position(|state| state.id == name)?;
        u32::try_from(place).ok().map(StateIndex)
    };
    match event {
        RunEvent::StateEntered {
            state,
            visit,
            at,
            deadline,
        } => {
            let Some(state) = named(state) else { return };
            let earlier = run.walk.take();
            let transitions = earlier.as_ref().map_or(0, |walk| walk.transitions);
            let mut visits = earlier.map_or_else(Vec::new, |walk| walk.visits);
            visits.resize(states.states.len(), 0);
            visits[state.get()] = *visit;
            run.walk = Some(Walk {
                state,
                visit: *visit,
                entered_at: *at,
                deadline: *deadline,
                stage: Stage::Arrived,
                visits,
                transitions,
            });
            if let Some(deadline) = deadline {
                run.deadlines.insert((*deadline, Clock::State));
            }
        }
        RunEvent::StateLeft { to, set, .. } => {
            stop_clock(run);
            if let Some(Value::Object(values)) = set.as_ref().map(|set| set.parse()) {
                run.vars.extend(values);
            }
            let ears = run
                .stands_in()
                .map(|(walk, state)| format!("{}.{}/", state.id, walk.visit));
            if let Some(prefix) = ears {
                run.listening.retain(|ear, _| !ear.starts_with(&prefix));
            }
            if let (Some(walk), Some(to)) = (&mut run.walk, named(to)) {
                walk.stage = Stage::Leaving(to);
                walk.transitions += 1;
            }
        }
        // `apply` sends only facts about states here.
        _ => {}
    }
}

/// The state's own time does not matter any more.
pub(super) fn stop_clock(run: &mut RunState) {
    if let Some(deadline) = run.walk.as_mut().and_then(|walk| walk.deadline.take()) {
        run.deadlines.remove(&(deadline, Clock::State));
    }
}

/// A part of the state is entered.
pub(super) fn entered(run: &mut RunState, pass: PassId) {
    let body = run.pass(pass).body;
    let Some((walk, state)) = run.stands_in() else {
        return;
    };
    let stage = match walk.stage {
        Stage::Leaving(to) if state.exit == Some(body) => Stage::Exit(pass, to),
        _ if state.entry == Some(body) => Stage::Entry(pass),
        _ => Stage::Activity(pass),
    };
    if let Some(walk) = &mut run.walk {
        walk.stage = stage;
    }
}
