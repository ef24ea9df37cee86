//! The finite state machine: whether every state is reached, is left, and comes to an end.
//!
//! One token walks over the states, so two searches decide whether the body is sound. Guards are
//! taken as free choice there; that some transition is taken for every outcome is decided in
//! [`outcomes`].

mod cycles;
mod outcomes;

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::fate::Fates;
use crate::diagnostic::Note;
use crate::lower::{Cx, Draft, StatePlace, StatesDraft};
use crate::machine::{State, StateIndex, StatesBody, TransitionTrigger};
use crate::source::Span;
use crate::syntax::{Entry, Map};

/// All rules about `states`.
pub(super) fn all(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    states: &StatesDraft<'_>,
    fates: Option<&Fates>,
) {
    let body = &states.body;
    let places = Places::of(draft.root, states);
    cx.sink.enter(draft.span);
    let ways = Ways::of(body);
    let finals: Vec<usize> = (0..body.states.len())
        .filter(|at| body.states[*at].end.is_some())
        .collect();
    if finals.is_empty() {
        cx.sink.push(
            Note::error("PHI404", places.section, "there is no final state")
                .label("no run could ever end")
                .help("give a state `final: completed`"),
        );
    }
    for (at, state) in body.states.iter().enumerate() {
        shape(cx, &places, at, state);
    }
    let reached = ways.from(&[body.initial.get()]);
    if (0..body.states.len()).all(|at| places.intact(at)) {
        unreachable(cx, &places, body, &reached);
        if !finals.is_empty() {
            let ends = ways.back().from(&finals);
            let told = trapped(cx, &places, body, &reached, &ends);
            if let Some(fates) = fates {
                let taken = Ways::taken(draft, body, fates);
                let entered = taken.from(&[body.initial.get()]);
                never_entered(cx, &places, body, &reached, &entered);
                let ends = taken.back().from(&finals);
                let stuck = |at: &usize| entered[*at] && !ends[*at] && !told.contains(at);
                let stuck: Vec<usize> = (0..body.states.len()).filter(stuck).collect();
                never_ending(cx, &places, body, &stuck);
            }
        }
    }
    cycles::unbounded(cx, &places, body, &ways);
    cycles::idle(cx, draft, &places, body);
    for (at, state) in body.states.iter().enumerate() {
        let judged = reached[at] && state.end.is_none() && places.intact(at);
        if let Some(fates) = fates.filter(|_| judged) {
            cx.sink.enter(places.name(at));
            outcomes::state(cx, draft, fates, &places, (at, state));
        }
    }
}

/// PHI405 and PHI409.
fn shape(cx: &mut Cx<'_>, places: &Places<'_, '_>, at: usize, state: &State) {
    let written = places.value(at, "transitions");
    if state.end.is_none() && state.transitions.is_empty() {
        // A list that could not be read is not an empty one.
        let empty = written.is_none_or(|entry| entry.value.as_seq().is_some_and(<[_]>::is_empty));
        if empty {
            cx.sink.push(
                Note::error(
                    "PHI405",
                    places.name(at),
                    format!("state `{}` is not final and has no transitions", state.id),
                )
                .help("add `transitions`, or `final: completed`"),
            );
        }
    } else if let Some(entry) = written.filter(|_| state.end.is_some()) {
        cx.sink.push(
            Note::error(
                "PHI409",
                entry.key_span,
                format!("final state `{}` has transitions", state.id),
            )
            .help("the run ends here: remove them, or remove `final`"),
        );
    }
}

/// PHI402.
fn unreachable(cx: &mut Cx<'_>, places: &Places<'_, '_>, body: &StatesBody, reached: &[bool]) {
    for (at, state) in body.states.iter().enumerate() {
        if !reached[at] {
            let initial = &body.states[body.initial.get()].id;
            cx.sink.push(
                Note::error(
                    "PHI402",
                    places.name(at),
                    format!("state `{}` cannot be reached", state.id),
                )
                .label(format!("no transitions lead here from `{initial}`"))
                .help("remove it, or lead a transition here"),
            );
        }
    }
}

/// PHI402 as a warning: a transition leads here, and nothing that happens takes it.
fn never_entered(
    cx: &mut Cx<'_>,
    places: &Places<'_, '_>,
    body: &StatesBody,
    reached: &[bool],
    entered: &[bool],
) {
    for (at, state) in body.states.iter().enumerate() {
        if reached[at] && !entered[at] {
            cx.sink.push(
                Note::warning(
                    "PHI402",
                    places.name(at),
                    format!("state `{}` can never be entered", state.id),
                )
                .label("only outcomes that cannot happen lead here")
                .help("remove it, or lead another transition here"),
            );
        }
    }
}

/// PHI403 as a warning: the ways that lead from here to an end are taken by nothing that happens.
fn never_ending(cx: &mut Cx<'_>, places: &Places<'_, '_>, body: &StatesBody, stuck: &[usize]) {
    let Some(first) = stuck.first() else {
        return;
    };
    cx.sink.push(
        Note::warning(
            "PHI403",
            places.name(*first),
            format!(
                "no run comes from `{}` to a final state",
                body.states[*first].id
            ),
        )
        .label(within(body, stuck))
        .help("outcomes that cannot happen lead out of here: lead another transition to a final state"),
    );
}

fn within(body: &StatesBody, stuck: &[usize]) -> String {
    let names: Vec<String> = stuck
        .iter()
        .map(|at| format!("`{}`", body.states[*at].id))
        .collect();
    format!("a run that comes here stays within {}", names.join(", "))
}

/// PHI403: one finding for all states from which no run ends. States that have no way out at all
/// were told. Gives them all.
fn trapped(
    cx: &mut Cx<'_>,
    places: &Places<'_, '_>,
    body: &StatesBody,
    reached: &[bool],
    ends: &[bool],
) -> Vec<usize> {
    let stuck: Vec<usize> = (0..body.states.len())
        .filter(|at| reached[*at] && !ends[*at])
        .collect();
    let leaves = |at: &usize| !body.states[*at].transitions.is_empty();
    let Some(first) = stuck.iter().copied().find(leaves) else {
        return stuck;
    };
    cx.sink.push(
        Note::error(
            "PHI403",
            places.name(first),
            format!(
                "no final state can be reached from `{}`",
                body.states[first].id
            ),
        )
        .label(within(body, &stuck))
        .help("lead a transition to a final state"),
    );
    stuck
}

/// Where states and their parts are written.
pub(super) struct Places<'a, 'n> {
    section: Span,
    states: &'a [StatePlace<'n>],
}

impl<'a, 'n> Places<'a, 'n> {
    fn of(root: &Map, states: &'a StatesDraft<'n>) -> Self {
        let section = root.get("states").map(|entry| entry.key_span);
        Self {
            section: section.unwrap_or(Span::new(0, 0)),
            states: &states.places,
        }
    }

    pub(super) fn name(&self, state: usize) -> Span {
        self.states[state].key_span
    }

    pub(super) fn value(&self, state: usize, key: &str) -> Option<&'n Entry> {
        self.states[state].map?.get(key)
    }

    /// A key of a transition, or the transition itself.
    pub(super) fn transition(&self, state: usize, at: usize, key: &str) -> Span {
        let (map, span) = self.states[state].transitions[at];
        map.get(key).map_or(span, |entry| entry.value.span)
    }

    /// Whether every transition of a state could be read. Nothing is said about one that lost some.
    pub(super) fn intact(&self, state: usize) -> bool {
        let Some(map) = self.states[state].map else {
            return false;
        };
        let written = map.get("transitions").map(|entry| entry.value.as_seq());
        match written {
            None => true,
            Some(None) => false,
            Some(Some(items)) => items.len() == self.states[state].transitions.len(),
        }
    }
}

/// Which states follow which.
pub(super) struct Ways(Vec<Vec<usize>>);

impl Ways {
    pub(super) fn of(body: &StatesBody) -> Self {
        let next = |state: &State| {
            if state.end.is_some() {
                return Vec::new();
            }
            let by_time = state.timeout.map(|(_, to)| to);
            let mut next: Vec<usize> = state
                .transitions
                .iter()
                .map(|transition| transition.to)
                .chain(by_time)
                .map(StateIndex::get)
                .collect();
            next.sort_unstable();
            next.dedup();
            next
        };
        Self(body.states.iter().map(next).collect())
    }

    /// Those that something which happens takes, conditions being free choice: an outcome that the activity
    /// can have; an event, a signal or the clock while it waits.
    fn taken(draft: &Draft<'_>, body: &StatesBody, fates: &Fates) -> Self {
        let next = |state: &State| {
            if state.end.is_some() {
                return Vec::new();
            }
            let waits = outcomes::waits(draft, state);
            let endings = outcomes::endings(draft, fates, state);
            let by_time = state.timeout.map(|(_, to)| to).filter(|_| waits);
            let taken = state.transitions.iter().filter(|transition| {
                matches!(transition.trigger, TransitionTrigger::Event(_)) && waits
                    || endings
                        .iter()
                        .any(|ending| outcomes::answers(transition, ending))
            });
            taken
                .map(|transition| transition.to)
                .chain(by_time)
                .map(StateIndex::get)
                .collect()
        };
        Self(body.states.iter().map(next).collect())
    }

    fn back(&self) -> Self {
        let mut back = vec![Vec::new(); self.0.len()];
        for (from, next) in self.0.iter().enumerate() {
            for to in next {
                back[*to].push(from);
            }
        }
        Self(back)
    }

    /// What can be reached from `starts`, these included.
    fn from(&self, starts: &[usize]) -> Vec<bool> {
        let mut reached = vec![false; self.0.len()];
        let mut queue: VecDeque<usize> = starts.iter().copied().collect();
        while let Some(at) = queue.pop_front() {
            if !std::mem::replace(&mut reached[at], true) {
                queue.extend(&self.0[at]);
            }
        }
        reached
    }

    /// A shortest way around through states that `among` allows, from its first state in the file.
    /// In large knots only some states are tried as the start.
    pub(super) fn cycle(&self, among: &dyn Fn(usize) -> bool) -> Option<Vec<usize>> {
        const STARTS_MAX: usize = 50;
        let mut graph: DiGraph<(), ()> = DiGraph::new();
        let nodes: Vec<_> = self.0.iter().map(|_| graph.add_node(())).collect();
        for (from, next) in self.0.iter().enumerate().filter(|(from, _)| among(*from)) {
            for to in next.iter().filter(|to| among(**to)) {
                graph.add_edge(nodes[from], nodes[*to], ());
            }
        }
        let knots = kosaraju_scc(&graph).into_iter().filter_map(|knot| {
            let mut knot: Vec<usize> = knot.iter().map(|node| node.index()).collect();
            knot.sort_unstable();
            let round = knot.len() > 1 || self.0[knot[0]].contains(&knot[0]);
            (round && among(knot[0])).then_some(knot)
        });
        let mut starts: Vec<usize> = knots
            .flat_map(|knot| knot.into_iter().take(STARTS_MAX))
            .collect();
        starts.sort_unstable();
        starts
            .into_iter()
            .take(STARTS_MAX)
            .filter_map(|start| self.way_back(start, among))
            .min_by_key(Vec::len)
    }

    fn way_back(&self, start: usize, among: &dyn Fn(usize) -> bool) -> Option<Vec<usize>> {
        let mut came_from: Vec<Option<usize>> = vec![None; self.0.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in self.0[at].iter().copied().filter(|next| among(*next)) {
                if next == start {
                    let mut cycle = vec![at];
                    let mut place = at;
                    while place != start {
                        place = came_from[place]?;
                        cycle.push(place);
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if came_from[next].is_none() {
                    came_from[next] = Some(at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}
