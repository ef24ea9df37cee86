//! Who does what beside whom: separation of duties, and how many tasks at once the team takes.

use std::collections::{BTreeMap, BTreeSet};

use super::agents::fits;
use super::fate::Fates;
use super::scopes::{Scopes, bodies_of};
use crate::catalog::Catalog;
use crate::diagnostic::Note;
use crate::lower::{Cx, Draft};
use crate::machine::{StepIndex, StepKind};

/// Components larger than this are not searched.
const SEARCHED_MAX: usize = 20;

/// PHI605, PHI611 and PHI612.
pub(super) fn all(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    scopes: &Scopes,
    fates: &Fates,
    catalog: &Catalog,
) {
    separation(cx, draft, scopes, catalog);
    for at in 0..draft.steps.len() {
        cx.sink.enter(draft.steps[at].id_span);
        capacity(cx, draft, scopes, catalog, at);
        sticky(cx, draft, fates, at);
    }
}

/// Who may do each of some steps, and which must not be the same.
struct Duties {
    /// The agents of each step, by their place in the catalogue.
    allowed: BTreeMap<usize, BTreeSet<usize>>,
    apart: BTreeMap<usize, BTreeSet<usize>>,
}

/// PHI605: colouring the steps with agents, exactly, one component after the other.
fn separation(cx: &mut Cx<'_>, draft: &Draft<'_>, scopes: &Scopes, catalog: &Catalog) {
    let mut duties = Duties {
        allowed: BTreeMap::new(),
        apart: BTreeMap::new(),
    };
    for (at, step) in draft.steps.iter().enumerate() {
        let others = match &step.step.kind {
            StepKind::Approval(approval) => &approval.not_same_as,
            _ => &step.step.assign.not_same_as,
        };
        for other in others
            .iter()
            .flat_map(|other| tasks_of(draft, scopes, *other))
        {
            let (Some(own), Some(others)) = (
                candidates(draft, catalog, at),
                candidates(draft, catalog, other),
            ) else {
                continue;
            };
            duties.allowed.insert(at, own);
            duties.allowed.insert(other, others);
            duties.apart.entry(at).or_default().insert(other);
            duties.apart.entry(other).or_default().insert(at);
        }
    }
    let mut seen = BTreeSet::new();
    for start in duties.apart.keys() {
        let component = duties.component(*start, &mut seen);
        if component.is_empty() || component.len() > SEARCHED_MAX {
            continue;
        }
        // A step that nobody can do at all is told elsewhere.
        if component.iter().any(|at| duties.allowed[at].is_empty())
            || duties.colour(&component, &mut BTreeMap::new())
        {
            continue;
        }
        report(cx, draft, catalog, &duties, &component);
    }
}

fn report(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    catalog: &Catalog,
    duties: &Duties,
    component: &[usize],
) {
    let names: Vec<String> = component
        .iter()
        .map(|at| format!("`{}`", draft.steps[*at].step.id))
        .collect();
    let agents: BTreeSet<usize> = component
        .iter()
        .flat_map(|at| duties.allowed[at].iter().copied())
        .collect();
    let team: Vec<&str> = agents
        .iter()
        .map(|at| catalog.agents[*at].name.as_str())
        .collect();
    let asks = |at: &&usize| {
        let step = &draft.steps[**at].step;
        match &step.kind {
            StepKind::Approval(approval) => !approval.not_same_as.is_empty(),
            _ => !step.assign.not_same_as.is_empty(),
        }
    };
    let at = *component.iter().rfind(asks).unwrap_or(&component[0]);
    cx.sink.enter(draft.steps[at].id_span);
    let key = if matches!(draft.steps[at].step.kind, StepKind::Approval(_)) {
        "approval"
    } else {
        "assign"
    };
    let mut note = Note::error(
        "PHI605",
        draft.steps[at].nested_span(key, "not_same_as"),
        format!(
            "{} cannot all be done by different agents: only {} can do them",
            names.join(", "),
            team.join(", ")
        ),
    )
    .help("let other agents do one of them, or drop a `not_same_as`");
    for other in component.iter().filter(|other| **other != at) {
        let able: Vec<&str> = duties.allowed[other]
            .iter()
            .map(|agent| catalog.agents[*agent].name.as_str())
            .collect();
        note = note.also(
            draft.steps[*other].id_span,
            format!("can be done by {}", able.join(", ")),
        );
    }
    cx.sink.push(note);
}

impl Duties {
    /// The steps that are tied to `start`, in file order; none if they were seen.
    fn component(&self, start: usize, seen: &mut BTreeSet<usize>) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                found.push(at);
                open.extend(self.apart.get(&at).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found
    }

    /// Whether the rest of `component` can be given out, the narrowest choice first.
    fn colour(&self, component: &[usize], given: &mut BTreeMap<usize, usize>) -> bool {
        let free = |at: usize, given: &BTreeMap<usize, usize>| -> Vec<usize> {
            let taken: Vec<usize> = self.apart[&at]
                .iter()
                .filter_map(|other| given.get(other).copied())
                .collect();
            let allowed = self.allowed[&at].iter().copied();
            allowed.filter(|agent| !taken.contains(agent)).collect()
        };
        let open = component.iter().filter(|at| !given.contains_key(at));
        let Some(next) = open.copied().min_by_key(|at| free(*at, given).len()) else {
            return true;
        };
        for agent in free(next, given) {
            given.insert(next, agent);
            if self.colour(component, given) {
                return true;
            }
            given.remove(&next);
        }
        false
    }
}

/// The agents that can do a step; `None` if people may do it too, or nobody is asked.
fn candidates(draft: &Draft<'_>, catalog: &Catalog, at: usize) -> Option<BTreeSet<usize>> {
    let step = &draft.steps[at].step;
    let agents = catalog.agents.iter().enumerate();
    match &step.kind {
        StepKind::Approval(approval) => {
            let from = &approval.from;
            if !from.roles.is_empty() || !from.users.is_empty() {
                return None;
            }
            let named = |name: &str| from.agents.iter().any(|a| a.eq_ignore_ascii_case(name));
            Some(
                agents
                    .filter(|(_, a)| named(&a.name))
                    .map(|(at, _)| at)
                    .collect(),
            )
        }
        StepKind::Task(_) => Some(
            agents
                .filter(|(_, agent)| agent.concurrency > 0 && fits(agent, &step.assign))
                .map(|(at, _)| at)
                .collect(),
        ),
        _ => None,
    }
}

/// The tasks of a step: itself, or those inside it.
fn tasks_of(draft: &Draft<'_>, scopes: &Scopes, step: StepIndex) -> Vec<usize> {
    let mut tasks = Vec::new();
    let mut open = vec![step.get()];
    while let Some(at) = open.pop() {
        let step = &draft.steps[at].step;
        if !step.kind.is_block() {
            tasks.push(at);
        }
        for body in bodies_of(step) {
            open.extend(scopes.steps(body));
        }
    }
    tasks
}

/// PHI611: a written `concurrency` that the team cannot use.
fn capacity(cx: &mut Cx<'_>, draft: &Draft<'_>, scopes: &Scopes, catalog: &Catalog, at: usize) {
    let step = &draft.steps[at];
    let StepKind::Foreach(spec) = &step.step.kind else {
        return;
    };
    let fields = step
        .map
        .get("foreach")
        .and_then(|entry| entry.value.as_map());
    if fields.is_none_or(|fields| fields.get("concurrency").is_none()) {
        return;
    }
    for task in tasks_of(draft, scopes, super::scopes::index(at)) {
        let inner = &draft.steps[task].step;
        if !matches!(inner.kind, StepKind::Task(_)) {
            continue;
        }
        let able = catalog
            .agents
            .iter()
            .filter(|agent| fits(agent, &inner.assign));
        let capacity = able.fold(0_u32, |sum, agent| sum.saturating_add(agent.concurrency));
        if capacity > 0 && capacity < spec.concurrency {
            cx.sink.push(
                Note::info(
                    "PHI611",
                    step.nested_span("foreach", "concurrency"),
                    format!(
                        "{} tasks `{}` at once, the team takes {capacity}",
                        spec.concurrency, inner.id
                    ),
                )
                .help("the others wait in the queue: mind `timeouts.queue`"),
            );
            return;
        }
    }
}

/// PHI612.
fn sticky(cx: &mut Cx<'_>, draft: &Draft<'_>, fates: &Fates, at: usize) {
    let step = &draft.steps[at];
    let Some(other) = step.step.assign.sticky else {
        return;
    };
    if fates.get(other.get()).misses {
        let other = &draft.steps[other.get()];
        cx.sink.push(
            Note::warning(
                "PHI612",
                step.nested_span("assign", "sticky"),
                format!(
                    "`{}` may not have run, so nobody is to be the same",
                    other.step.id
                ),
            )
            .also(other.id_span, "may be skipped, or fail")
            .help("any agent that fits takes the step then"),
        );
    }
}
