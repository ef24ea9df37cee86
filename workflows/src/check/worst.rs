//! How long a run may take at worst, by the clocks that somebody wrote.
//!
//! A sequence adds up, a join takes the longest way, a loop multiplies by `max`, a `foreach` by the
//! rounds it needs, states by their visits. Defaults are far above what steps take, so they count
//! nothing: a warning on every workflow would be none.

use std::collections::BTreeMap;
use std::time::Duration;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::scopes::{Scopes, bodies_of};
use super::time::worst_case;
use crate::lower::{Draft, StepDraft};
use crate::machine::{
    BodyIndex, ForeachSpec, LoopSpec, OnFailure, Owner, ParallelSpec, StateIndex, StepKind,
    Template, WaitSpec,
};

/// The longest times of all bodies.
pub(super) struct Worst<'a, 'n> {
    draft: &'a Draft<'n>,
    steps: Vec<Duration>,
    bodies: BTreeMap<BodyIndex, Path>,
}

/// The longest way through a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    pub(super) time: Duration,
    pub(super) steps: Vec<usize>,
}

impl<'a, 'n> Worst<'a, 'n> {
    pub(super) fn of(draft: &'a Draft<'n>, rank: &[u32], scopes: &Scopes) -> Self {
        let mut worst = Self {
            draft,
            steps: vec![Duration::ZERO; draft.steps.len()],
            bodies: BTreeMap::new(),
        };
        // Inner bodies stand behind the steps that run them.
        for body in (0..draft.bodies().len()).rev() {
            let body = BodyIndex(u32::try_from(body).expect("a text has fewer than 2^32 bodies"));
            let mut inside = scopes.steps(body).to_vec();
            inside.sort_by_key(|step| rank[*step]);
            for step in &inside {
                worst.steps[*step] = worst.step(*step);
            }
            let path = worst.longest(&inside);
            worst.bodies.insert(body, path);
        }
        worst
    }

    /// The longest way through the whole run, its handlers included.
    pub(super) fn path(&self) -> Path {
        let mut path = match &self.draft.states {
            Some(_) => self.states(),
            None => self.body(BodyIndex::MAIN),
        };
        for (at, body) in (0_u32..).map(BodyIndex).zip(self.draft.bodies()) {
            if matches!(body.owner, Owner::OnFailure | Owner::Finally) {
                let more = self.body(at);
                path.time = path.time.saturating_add(more.time);
                path.steps.extend(more.steps);
            }
        }
        path
    }

    /// The longest time of a run; its `timeout` ends it whatever the steps may take.
    pub(super) fn run(&self) -> Duration {
        self.path().time.min(self.draft.timeout)
    }

    fn body(&self, body: BodyIndex) -> Path {
        self.bodies.get(&body).cloned().unwrap_or_default()
    }

    fn longest(&self, inside: &[usize]) -> Path {
        let mut ends: BTreeMap<usize, (Duration, Option<usize>)> = BTreeMap::new();
        for at in inside {
            let needs = self.draft.steps[*at]
                .step
                .needs
                .iter()
                .map(|need| need.get());
            let before = needs.max_by_key(|need| ends.get(need).map(|end| end.0));
            let start = before
                .and_then(|need| ends.get(&need))
                .map_or(Duration::ZERO, |end| end.0);
            ends.insert(*at, (start.saturating_add(self.steps[*at]), before));
        }
        let last = ends
            .iter()
            .max_by_key(|(at, end)| (end.0, std::cmp::Reverse(**at)));
        let mut path = Path::default();
        let Some((last, end)) = last else { return path };
        path.time = end.0;
        let mut at = Some(*last);
        while let Some(step) = at {
            path.steps.push(step);
            at = ends.get(&step).and_then(|end| end.1);
        }
        path.steps.reverse();
        path
    }

    fn step(&self, at: usize) -> Duration {
        let draft = &self.draft.steps[at];
        let time = |body: BodyIndex| self.bodies.get(&body).map_or(Duration::ZERO, |p| p.time);
        let own = match &draft.step.kind {
            StepKind::Do(spec) => time(spec.body),
            StepKind::Foreach(spec) => rounds(draft, spec, time(spec.body)),
            StepKind::Loop(spec) => iterations(spec, time(spec.body)),
            StepKind::Switch(_) => {
                let bodies = bodies_of(&draft.step).into_iter();
                bodies.map(time).max().unwrap_or_default()
            }
            StepKind::Parallel(spec) => branches(spec, time),
            StepKind::Try(spec) => {
                let handler = spec.catch.iter().map(|catch| time(catch.body)).max();
                let finally = spec.finally.map(time);
                let after = handler
                    .unwrap_or_default()
                    .saturating_add(finally.unwrap_or_default());
                time(spec.body).saturating_add(after)
            }
            StepKind::Task(_)
            | StepKind::Approval(_)
            | StepKind::Call(_)
            | StepKind::Wait(_)
            | StepKind::WaitFor(_)
            | StepKind::Emit(_)
            | StepKind::Set(_)
            | StepKind::Files(_)
            | StepKind::Fail(_)
            | StepKind::Finish(_) => written(draft),
        };
        let own = if draft.step.kind.is_block() {
            own.saturating_mul(draft.step.retry.max_attempts)
        } else {
            own
        };
        match draft.step.on_failure {
            OnFailure::Handle { body, .. } => own.saturating_add(time(body)),
            OnFailure::Fail | OnFailure::Continue => own,
        }
    }

    /// A way through states that does not return takes each once; states in a circle are taken as
    /// often as their visits allow, and those between bounded ones as often as the largest bound.
    fn states(&self) -> Path {
        let Some(states) = &self.draft.states else {
            return Path::default();
        };
        let states = &states.body.states;
        let time = |at: usize| {
            let state = &states[at];
            let activity = state
                .activity
                .map_or(Duration::ZERO, |step| self.steps[step.get()]);
            let activity = match state.timeout {
                Some((after, _)) if activity.is_zero() => after,
                Some((after, _)) => activity.min(after),
                None => activity,
            };
            let around = [state.entry, state.exit].into_iter().flatten();
            around.fold(activity, |time, body| {
                time.saturating_add(self.body(body).time)
            })
        };
        let mut graph: DiGraph<(), ()> = DiGraph::new();
        let nodes: Vec<_> = states.iter().map(|_| graph.add_node(())).collect();
        for (from, state) in states.iter().enumerate() {
            let by_time = state.timeout.map(|(_, to)| to);
            let next = state
                .transitions
                .iter()
                .map(|transition| transition.to)
                .chain(by_time);
            for to in next.map(StateIndex::get) {
                graph.add_edge(nodes[from], nodes[to], ());
            }
        }
        // In reverse topological order: what follows a knot is known.
        let mut after: Vec<Path> = vec![Path::default(); states.len()];
        for knot in kosaraju_scc(&graph) {
            let knot: Vec<usize> = knot.iter().map(|node| node.index()).collect();
            let round = knot.len() > 1 || graph.contains_edge(nodes[knot[0]], nodes[knot[0]]);
            let bounds = knot.iter().filter_map(|at| states[*at].max_visits);
            let most = if round { bounds.max().unwrap_or(1) } else { 1 };
            let own = knot.iter().fold(Duration::ZERO, |sum, at| {
                let visits = states[*at]
                    .max_visits
                    .map_or(most, |visits| visits.min(most));
                sum.saturating_add(time(*at).saturating_mul(visits))
            });
            let next = knot
                .iter()
                .flat_map(|at| graph.neighbors(nodes[*at]))
                .map(|node| node.index())
                .filter(|node| !knot.contains(node))
                .max_by_key(|node| after[*node].time);
            let rest = next.map(|node| after[node].clone()).unwrap_or_default();
            let mut steps: Vec<usize> = knot
                .iter()
                .filter_map(|at| states[*at].activity.map(|step| step.get()))
                .collect();
            steps.sort_unstable();
            steps.extend(rest.steps);
            let path = Path {
                time: own.saturating_add(rest.time),
                steps,
            };
            for at in knot {
                after[at] = path.clone();
            }
        }
        self.draft
            .states
            .as_ref()
            .map(|states| after[states.body.initial.get()].clone())
            .unwrap_or_default()
    }
}

/// Rounds of as many items as run at once; only a written `max_items` says how many there are.
fn rounds(draft: &StepDraft<'_>, spec: &ForeachSpec, body: Duration) -> Duration {
    let fields = draft
        .map
        .get("foreach")
        .and_then(|entry| entry.value.as_map());
    let written = fields.is_some_and(|fields| fields.get("max_items").is_some());
    let items = if written { spec.max_items } else { 1 };
    body.saturating_mul(items.div_ceil(spec.concurrency.max(1)))
}

fn iterations(spec: &LoopSpec, body: Duration) -> Duration {
    body.saturating_mul(spec.max).saturating_add(delays(spec))
}

/// All waits between the iterations of a loop.
pub(super) fn delays(spec: &LoopSpec) -> Duration {
    let most = spec.max_delay.unwrap_or(Duration::MAX);
    let mut sum = Duration::ZERO;
    let mut seconds = spec.delay.as_secs_f64();
    for _ in 1..spec.max {
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        sum = sum.saturating_add(wait.min(most));
        seconds *= spec.backoff.unwrap_or(1.0);
    }
    sum
}

fn branches(spec: &ParallelSpec, time: impl Fn(BodyIndex) -> Duration) -> Duration {
    let times = || spec.branches.iter().map(|(_, body)| time(*body));
    let longest = times().max().unwrap_or_default();
    match spec.concurrency {
        None => longest,
        Some(lanes) => {
            let sum = times().fold(Duration::ZERO, Duration::saturating_add);
            longest.max(sum / lanes.max(1))
        }
    }
}

/// The clocks that are written at a step that runs no body.
fn written(draft: &StepDraft<'_>) -> Duration {
    match &draft.step.kind {
        StepKind::Approval(approval) => approval.timeout,
        StepKind::WaitFor(spec) => spec.timeout,
        StepKind::Wait(WaitSpec::For(Template::Literal(text))) => text
            .as_str()
            .and_then(|text| crate::lower::duration::parse(text).ok())
            .unwrap_or_default(),
        StepKind::Task(_) => {
            let clocks = &draft.step.timeouts;
            let timeouts = draft
                .map
                .get("timeouts")
                .and_then(|entry| entry.value.as_map());
            let run_written = draft.map.get("timeout").is_some()
                || timeouts.is_some_and(|map| map.get("run").is_some());
            if !run_written {
                return clocks.total.unwrap_or_default();
            }
            let worst = worst_case(&draft.step.retry, clocks);
            clocks.total.map_or(worst, |total| worst.min(total))
        }
        _ => Duration::ZERO,
    }
}
