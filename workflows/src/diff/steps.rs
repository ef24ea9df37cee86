//! Steps and states: what a run of the old version would miss in the new one.

use std::collections::BTreeSet;

use super::places::Places;
use super::{Findings, schema};
use crate::diagnostic::Note;
use crate::machine::{
    Compensate, Effects, EventSource, Machine, Step, StepIndex, StepKind, TransitionTrigger,
};

/// PHI904 to PHI910, of steps.
pub(super) fn compare(
    before: &Machine,
    after: &Machine,
    places: &(Places, Places),
    findings: &mut Findings,
) {
    let mut common = Vec::new();
    for (index, step) in (0_u32..).map(StepIndex).zip(before.steps()) {
        let Some(found) = after.step_named(&step.id) else {
            let span = places.0.id(&step.id);
            let message = format!("step `{}` is gone", step.id);
            findings.old.push(
                Note::error("PHI904", span, message)
                    .help("a run that did it has its outcome nowhere; renaming is removing"),
            );
            continue;
        };
        common.push((index, found));
        one(step, after.step(found), &places.1, findings);
    }
    order(before, after, &common, &places.1, findings);
    let old_steps = common.len();
    findings.additions |= after.steps().len() > old_steps;
}

/// What changed about one step.
fn one(old: &Step, new: &Step, places: &Places, findings: &mut Findings) {
    let id = &new.id;
    let span = places.id(id);
    let name = |step: &Step| match &step.kind {
        StepKind::Task(task) => format!("task {}", task.task_type),
        StepKind::Call(call) => format!("call {}", call.workflow),
        kind => kind.name().to_owned(),
    };
    if name(old) != name(new) {
        let message = format!("`{id}` was `{}`, is `{}`", name(old), name(new));
        findings
            .new
            .push(Note::error("PHI905", span, message).help("give the new work an id of its own"));
        return;
    }
    let is_told_by_events = matches!(new.kind, StepKind::WaitFor(_));
    let lost = schema::narrowed(&old.output, &new.output).filter(|_| !is_told_by_events);
    if let Some(difference) = lost {
        let message = format!("`{id}` may not give what it gave: {difference}");
        findings.new.push(
            Note::error("PHI905", span, message)
                .help("a run that did it has such an output: keep the type, or give the new work an id of its own"),
        );
    }
    let undone = |step: &Step| match step.compensate {
        Compensate::Task(_) | Compensate::Body(_) => true,
        Compensate::Absent | Compensate::None => false,
    };
    let weight = |step: &Step| match step.effects {
        Effects::None => 0,
        Effects::Read => 1,
        Effects::Write => 2,
        Effects::Irreversible => 3,
    };
    if undone(old) && !undone(new) {
        let message = format!("`{id}` lost its compensation");
        findings.new.push(Note::warning("PHI906", span, message));
    } else if weight(new) > weight(old) {
        let message = format!("`{id}` raised its effects");
        findings.new.push(Note::warning("PHI906", span, message));
    }
    if let Some((what, was, is)) = lowered(&old.kind, &new.kind) {
        let message = format!("`{what}` of `{id}` was {was}, is {is}");
        findings
            .new
            .push(Note::error("PHI909", span, message).help("a run may have used more already"));
    }
    if let (StepKind::WaitFor(was), StepKind::WaitFor(is)) = (&old.kind, &new.kind) {
        let fields = |list: &[(String, crate::machine::Template)]| -> BTreeSet<String> {
            list.iter().map(|(field, _)| field.clone()).collect()
        };
        let narrowed = schema::narrowed(&old.output, &new.output);
        let why = if was.source != is.source {
            Some(format!("waits for `{}` now", is.source.name()))
        } else if fields(&was.matching) != fields(&is.matching) {
            Some("matches by other fields".to_owned())
        } else {
            narrowed
        };
        if let Some(why) = why {
            let message = format!("`{id}` changed what it expects of its event: {why}");
            findings
                .new
                .push(Note::error("PHI910", span, message).help("who sends the event has to know"));
        }
    }
}

/// A bound that became tighter.
fn lowered(old: &StepKind, new: &StepKind) -> Option<(&'static str, u32, u32)> {
    let (what, was, is) = match (old, new) {
        (StepKind::Loop(was), StepKind::Loop(is)) => ("max", was.max, is.max),
        (StepKind::Foreach(was), StepKind::Foreach(is)) => {
            ("max_items", was.max_items, is.max_items)
        }
        _ => return None,
    };
    (is < was).then_some((what, was, is))
}

/// PHI907 and PHI908: who comes before whom, within each body.
fn order(
    before: &Machine,
    after: &Machine,
    common: &[(StepIndex, StepIndex)],
    places: &Places,
    findings: &mut Findings,
) {
    let (old, new) = (ancestors(before), ancestors(after));
    for (was, is) in common {
        let step = after.step(*is);
        let lost = common.iter().find(|(other, there)| {
            old[was.get()].contains(other)
                && !new[is.get()].contains(there)
                && after.step(*there).body == step.body
        });
        if let Some((other, _)) = lost {
            let first = &before.step(*other).id;
            let message = format!("`{}` no longer comes after `{first}`", step.id);
            findings.new.push(
                Note::error("PHI907", places.id(&step.id), message)
                    .help(format!("keep `{first}` among its needs")),
            );
        }
    }
    let known: BTreeSet<StepIndex> = common.iter().map(|(_, is)| *is).collect();
    for (index, step) in (0_u32..).map(StepIndex).zip(after.steps()) {
        if known.contains(&index) {
            continue;
        }
        let follower = common.iter().find(|(_, is)| new[is.get()].contains(&index));
        if let Some((_, follower)) = follower {
            let message = format!(
                "new step `{}` comes before `{}`, which a run may have finished",
                step.id,
                after.step(*follower).id
            );
            findings.new.push(
                Note::error("PHI908", places.id(&step.id), message)
                    .help("it would never run there: put it last, or make this a major version"),
            );
        }
    }
}

/// The steps that come before each step, in its body.
fn ancestors(machine: &Machine) -> Vec<BTreeSet<StepIndex>> {
    let count = machine.steps().len();
    let mut all: Vec<BTreeSet<StepIndex>> = vec![BTreeSet::new(); count];
    let mut by_rank: Vec<StepIndex> = (0_u32..).map(StepIndex).take(count).collect();
    by_rank.sort_by_key(|index| machine.rank(*index));
    for index in by_rank {
        let mut before = BTreeSet::new();
        for need in &machine.step(index).needs {
            before.insert(*need);
            before.extend(all[need.get()].iter().copied());
        }
        all[index.get()] = before;
    }
    all
}

/// The same codes, of states and transitions.
pub(super) fn compare_states(
    before: &Machine,
    after: &Machine,
    places: &(Places, Places),
    findings: &mut Findings,
) {
    let (Some(old), Some(new)) = (before.states(), after.states()) else {
        return;
    };
    if new.max_transitions < old.max_transitions {
        let message = format!(
            "`limits.transitions` was {}, is {}",
            old.max_transitions, new.max_transitions
        );
        let span = places.1.below("limits", "transitions");
        findings.new.push(Note::error("PHI909", span, message));
    }
    for state in &old.states {
        let Some(found) = new.states.iter().find(|known| known.id == state.id) else {
            if state.activity.is_none() {
                let message = format!("state `{}` is gone", state.id);
                let note = Note::error("PHI904", places.0.below("states", &state.id), message);
                findings
                    .old
                    .push(note.help("a run may stand in it; renaming is removing"));
            }
            continue;
        };
        let span = places.1.below("states", &state.id);
        let fewer = match (state.max_visits, found.max_visits) {
            (Some(was), Some(is)) => is < was,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if fewer {
            let message = format!("`max_visits` of `{}` was lowered", state.id);
            findings.new.push(
                Note::error("PHI909", span, message).help("a run may have used more already"),
            );
        }
        let heard = |state: &crate::machine::State| -> BTreeSet<EventSource> {
            let triggers = state.transitions.iter().map(|one| &one.trigger);
            let events = triggers.filter_map(|trigger| match trigger {
                TransitionTrigger::Event(source) => Some(source.clone()),
                TransitionTrigger::Outcome(_) => None,
            });
            events.collect()
        };
        let (was, is) = (heard(state), heard(found));
        if let Some(unheard) = was.difference(&is).next() {
            let message = format!("`{}` no longer answers `{}`", state.id, unheard.name());
            findings
                .new
                .push(Note::error("PHI910", span, message).help("who sends it has to know"));
        }
    }
    let old_ids: BTreeSet<&String> = old.states.iter().map(|state| &state.id).collect();
    findings.additions |= new.states.iter().any(|state| !old_ids.contains(&state.id));
}
