//! Which steps stand in which body, and which bodies a step runs.

use crate::lower::Draft;
use crate::machine::{BodyIndex, Compensate, OnFailure, Step, StepIndex, StepKind, SwitchDefault};

/// The tree of bodies of a workflow.
pub(super) struct Scopes {
    /// The steps of each body, in file order.
    steps: Vec<Vec<usize>>,
    /// The step that runs the body of each step.
    parents: Vec<Option<usize>>,
}

impl Scopes {
    pub(super) fn of(draft: &Draft<'_>) -> Self {
        let bodies = draft.steps.iter().map(|draft| draft.step.body.get() + 1);
        let mut steps = vec![Vec::new(); bodies.max().unwrap_or(0)];
        for (index, draft) in draft.steps.iter().enumerate() {
            steps[draft.step.body.get()].push(index);
        }
        let mut parents = vec![None; draft.steps.len()];
        for (index, draft) in draft.steps.iter().enumerate() {
            for body in bodies_of(&draft.step) {
                for inner in steps.get(body.get()).into_iter().flatten() {
                    parents[*inner] = Some(index);
                }
            }
        }
        Self { steps, parents }
    }

    /// The steps of `body`, without those inside them.
    pub(super) fn steps(&self, body: BodyIndex) -> &[usize] {
        self.steps.get(body.get()).map_or(&[], Vec::as_slice)
    }

    /// The step that runs the body in which `step` stands.
    pub(super) fn parent(&self, step: usize) -> Option<usize> {
        self.parents[step]
    }

    /// The steps around `step`, innermost first.
    pub(super) fn around(&self, step: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parent(step), |outer| self.parent(*outer))
    }
}

/// The bodies that a step runs for what it is there for.
pub(super) fn own_bodies(kind: &StepKind) -> Vec<BodyIndex> {
    match kind {
        StepKind::Foreach(spec) => vec![spec.body],
        StepKind::Loop(spec) => vec![spec.body],
        StepKind::Do(spec) => vec![spec.body],
        StepKind::Try(spec) => vec![spec.body],
        StepKind::Parallel(spec) => spec.branches.iter().map(|(_, body)| *body).collect(),
        StepKind::Switch(spec) => {
            let default = match spec.default {
                SwitchDefault::Body(body) => Some(body),
                SwitchDefault::Fail | SwitchDefault::Skip => None,
            };
            spec.cases
                .iter()
                .map(|case| case.body)
                .chain(default)
                .collect()
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
        | StepKind::Finish(_) => Vec::new(),
    }
}

/// All bodies that a step runs, those of its handlers too.
pub(super) fn bodies_of(step: &Step) -> Vec<BodyIndex> {
    let mut bodies = own_bodies(&step.kind);
    if let StepKind::Try(spec) = &step.kind {
        bodies.extend(spec.catch.iter().map(|catch| catch.body));
        bodies.extend(spec.finally);
    }
    if let OnFailure::Handle { body, .. } = step.on_failure {
        bodies.push(body);
    }
    if let Compensate::Body(body) = step.compensate {
        bodies.push(body);
    }
    bodies
}

/// The index of a step.
pub(super) fn index(step: usize) -> StepIndex {
    StepIndex(u32::try_from(step).expect("a text has fewer than 2^32 steps"))
}
