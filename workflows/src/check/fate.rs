//! What can become of each step: whether it can start, succeed, fail, and let others go on.
//!
//! Conditions, agents and people are free here: an `if` may be true or false, a task may succeed
//! or fail. Within a body one pass in the order of needs is enough: if every step that can succeed
//! does, whatever can start starts, so what each step can do alone they can do together. The one
//! exception are needs of a `join: first` that others need as well; of those this says too much.
//! Expressions that fail and the run's own `timeout` are left out: they can strike anywhere.
//! Nesting adds nothing but a level: a block has one way in and one way out.

use super::scopes::{Scopes, own_bodies};
use crate::lower::Draft;
use crate::lower::order::Order;
use crate::machine::{
    ApprovalSpec, BodyIndex, Catch, Compensate, Join, LoopTest, OnExpiry, OnFailure, OnReject,
    OnTimeout, Owner, Step, StepKind, SwitchDefault, SwitchSpec, Then, Tolerance, TrySpec,
};

/// What can become of one step, if the body that it stands in starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// Its join can be met.
    pub(super) met: bool,
    /// It can start.
    pub(super) runs: bool,
    /// It can end as succeeded.
    pub(super) succeeds: bool,
    /// It can end as failed.
    pub(super) fails: bool,
    /// It can end without success and without failing its body.
    pub(super) misses: bool,
}

impl Fate {
    /// It can end so that a `join: all` goes on.
    pub(super) fn passes(self) -> bool {
        self.succeeds || self.misses
    }
}

/// What can become of a body, if it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyFate {
    pub(super) succeeds: bool,
    pub(super) fails: bool,
}

impl BodyFate {
    /// That of a body without steps.
    const GOES_ON: Self = Self {
        succeeds: true,
        fails: false,
    };
}

/// The fates of all steps.
pub(super) struct Fates {
    steps: Vec<Fate>,
    /// Whether each body can start at all.
    starts: Vec<bool>,
    /// Whether each body can fail.
    failing: Vec<bool>,
    /// What can become of the main body.
    #[cfg(test)]
    pub(super) main: BodyFate,
}

impl Fates {
    /// `order` has no cycle.
    pub(super) fn of(draft: &Draft<'_>, order: &Order, scopes: &Scopes) -> Self {
        let fates = vec![Fate::default(); draft.steps.len()];
        let mut raced = vec![None; draft.steps.len()];
        for (index, draft) in draft.steps.iter().enumerate() {
            if draft.step.join == Join::First && draft.step.needs.len() > 1 {
                for need in &draft.step.needs {
                    raced[need.get()] = Some(index);
                }
            }
        }
        let mut reader = Reader {
            draft,
            scopes,
            rank: &order.rank,
            raced,
            fates,
        };
        // What is inside a block stands after it, so that inner bodies are known first.
        let mut bodies: Vec<BodyIndex> = draft.steps.iter().map(|draft| draft.step.body).collect();
        bodies.sort_unstable();
        bodies.dedup();
        for body in bodies.into_iter().rev() {
            reader.body(body);
        }
        let main = if draft.states.is_some() {
            // Limits of states can always be exceeded.
            BodyFate {
                succeeds: true,
                fails: true,
            }
        } else {
            reader.fate_of(BodyIndex::MAIN)
        };
        let failing = (0_u32..)
            .zip(draft.bodies())
            .map(|(at, _)| reader.fate_of(BodyIndex(at)).fails)
            .collect();
        let mut starts = reader.starts();
        for (at, body) in draft.bodies().iter().enumerate() {
            if body.owner == Owner::OnFailure {
                starts.resize(starts.len().max(at + 1), true);
                starts[at] = main.fails;
            }
        }
        Self {
            starts,
            failing,
            #[cfg(test)]
            main,
            steps: reader.fates,
        }
    }

    /// What can become of a step if its body starts.
    pub(super) fn get(&self, step: usize) -> Fate {
        self.steps[step]
    }

    /// Whether `body` can fail.
    pub(super) fn body_fails(&self, body: BodyIndex) -> bool {
        self.failing.get(body.get()).copied().unwrap_or(false)
    }

    /// Whether anything can start `body`.
    pub(super) fn starts(&self, body: BodyIndex) -> bool {
        self.starts.get(body.get()).copied().unwrap_or(true)
    }
}

struct Reader<'a, 'n> {
    draft: &'a Draft<'n>,
    scopes: &'a Scopes,
    rank: &'a [u32],
    /// The `join: first` that may stop a step.
    raced: Vec<Option<usize>>,
    fates: Vec<Fate>,
}

impl Reader<'_, '_> {
    fn body(&mut self, body: BodyIndex) {
        let mut steps = self.scopes.steps(body).to_vec();
        steps.sort_by_key(|step| self.rank[*step]);
        for step in steps {
            self.fates[step] = self.step(step);
        }
    }

    /// From the outside in: which bodies can start.
    fn starts(&self) -> Vec<bool> {
        let mut starts = Vec::new();
        let mut set = |body: BodyIndex, value: bool| {
            if starts.len() <= body.get() {
                starts.resize(body.get() + 1, true);
            }
            starts[body.get()] = value;
            value
        };
        let mut running = vec![true; self.draft.steps.len()];
        for at in 0..self.draft.steps.len() {
            let step = &self.draft.steps[at].step;
            // A step that stands in a body that never starts was marked by its owner.
            let runs = running[at] && self.fates[at].runs;
            let mut mark = |body: BodyIndex, value: bool| {
                let value = set(body, value);
                for inner in self.scopes.steps(body) {
                    running[*inner] = value;
                }
            };
            for body in own_bodies(&step.kind) {
                mark(body, runs);
            }
            if let StepKind::Try(spec) = &step.kind {
                let tried = self.fate_of(spec.body);
                let mut open = tried.fails;
                for catch in &spec.catch {
                    mark(catch.body, runs && open);
                    open &= !catches_all(catch);
                }
                if let Some(finally) = spec.finally {
                    // What always ends the run never comes to its own end.
                    mark(finally, runs && (tried.succeeds || tried.fails));
                }
            }
            if let OnFailure::Handle { body, .. } = step.on_failure {
                mark(body, runs && self.fates[at].fails);
            }
            if let Compensate::Body(body) = step.compensate {
                mark(body, runs);
            }
        }
        starts
    }

    fn step(&self, at: usize) -> Fate {
        let step = &self.draft.steps[at].step;
        let met = self.met(step);
        let barred = step.condition.as_ref().is_some_and(|condition| {
            let wanted = condition.requires_success_of();
            wanted.iter().any(|id| self.never_succeeds(id))
        });
        let runs = met && !barred;
        let skipped = met && step.condition.is_some();
        let kind = self.kind(step);
        let fails = runs && kind.fails;
        let handled = match step.on_failure {
            OnFailure::Handle { body, .. } => self.fate_of(body).succeeds,
            OnFailure::Fail | OnFailure::Continue => true,
        };
        let passed_by = matches!(
            &step.kind,
            StepKind::Switch(SwitchSpec {
                default: SwitchDefault::Skip,
                ..
            })
        );
        Fate {
            met,
            runs,
            succeeds: runs && kind.succeeds,
            fails,
            misses: skipped
                || (runs && passed_by)
                || (fails && step.on_failure.goes_on() && handled),
        }
    }

    fn never_succeeds(&self, id: &str) -> bool {
        let other = self
            .draft
            .steps
            .iter()
            .position(|draft| draft.step.id == id);
        other.is_some_and(|other| !self.fates[other].succeeds)
    }

    fn met(&self, step: &Step) -> bool {
        let fates = || step.needs.iter().map(|need| self.fates[need.get()]);
        let succeeding = fates().filter(|need| need.succeeds).count();
        match step.join {
            Join::All => fates().all(Fate::passes),
            Join::Any | Join::First => succeeding >= 1 || step.needs.is_empty(),
            Join::AtLeast(least) => succeeding >= least as usize,
        }
    }

    /// Whether the needs can end so that the step never starts and its body fails.
    fn can_be_cut_off(&self, at: usize) -> bool {
        let step = &self.draft.steps[at].step;
        // A step that races its own needs has started when it stops them.
        let raced = |need: usize| self.raced[need].is_some_and(|winner| winner != at);
        let missing = step
            .needs
            .iter()
            .filter(|need| self.fates[need.get()].misses || raced(need.get()))
            .count();
        let spare = match step.join {
            Join::All => {
                return step.needs.iter().any(|need| raced(need.get()));
            }
            Join::Any | Join::First => step.needs.len().saturating_sub(1),
            Join::AtLeast(least) => step.needs.len().saturating_sub(least as usize),
        };
        !step.needs.is_empty() && missing > spare
    }

    /// Whether another need of the same `join: first` can succeed before the step at `at` ends.
    fn can_be_outrun(&self, at: usize) -> bool {
        let Some(winner) = self.raced[at] else {
            return false;
        };
        let needs = self.draft.steps[winner].step.needs.iter();
        needs
            .map(|need| need.get())
            .any(|need| need != at && self.fates[need].succeeds)
    }

    /// Whether the step can fail its body: by its own failure, in its handler, or because its join
    /// cannot be met any more.
    fn fails_body(&self, at: usize) -> bool {
        let on_failure = self.draft.steps[at].step.on_failure;
        let handler = match on_failure {
            OnFailure::Handle { body, .. } => self.fate_of(body),
            OnFailure::Fail | OnFailure::Continue => BodyFate::GOES_ON,
        };
        let fails = self.fates[at].fails;
        (fails && (handler.fails || (handler.succeeds && !on_failure.goes_on())))
            || self.can_be_cut_off(at)
    }

    fn fate_of(&self, body: BodyIndex) -> BodyFate {
        let steps = self.scopes.steps(body);
        BodyFate {
            succeeds: steps
                .iter()
                .all(|at| self.fates[*at].passes() || self.can_be_outrun(*at)),
            fails: steps.iter().any(|at| self.fails_body(*at)),
        }
    }

    fn kind(&self, step: &Step) -> BodyFate {
        let either = |succeeds, fails| BodyFate { succeeds, fails };
        match &step.kind {
            StepKind::Task(_) | StepKind::Call(_) | StepKind::Files(_) => either(true, true),
            StepKind::Approval(approval) => either(true, approval_fails(approval)),
            StepKind::Wait(_) | StepKind::Emit(_) | StepKind::Set(_) => either(true, false),
            StepKind::WaitFor(spec) => either(true, spec.on_timeout == OnExpiry::Fail),
            StepKind::Fail(_) => either(false, true),
            // What comes after the end of the run never comes.
            StepKind::Finish(_) => either(false, false),
            StepKind::Do(spec) => self.fate_of(spec.body),
            StepKind::Foreach(spec) => {
                let tolerated = spec.tolerate == Tolerance::Percent(100.0);
                // There may be no items.
                either(true, self.fate_of(spec.body).fails && !tolerated)
            }
            StepKind::Loop(spec) => {
                let body = self.fate_of(spec.body);
                let zero = matches!(spec.test, LoopTest::While(_));
                either(
                    body.succeeds || zero,
                    body.fails || (body.succeeds && spec.on_exhausted == OnExpiry::Fail),
                )
            }
            StepKind::Parallel(spec) => {
                let branches = spec.branches.iter().map(|(_, body)| self.fate_of(*body));
                let branches: Vec<BodyFate> = branches.collect();
                let wanted = match spec.join {
                    Join::All => branches.len(),
                    Join::Any | Join::First => 1,
                    Join::AtLeast(least) => least as usize,
                };
                let failing = branches.iter().filter(|branch| branch.fails).count();
                let succeeding = branches.iter().filter(|branch| branch.succeeds).count();
                either(succeeding >= wanted, failing + wanted > branches.len())
            }
            StepKind::Switch(spec) => {
                let bodies = own_bodies(&step.kind);
                let fates: Vec<BodyFate> = bodies.iter().map(|body| self.fate_of(*body)).collect();
                either(
                    fates.iter().any(|body| body.succeeds),
                    fates.iter().any(|body| body.fails) || spec.default == SwitchDefault::Fail,
                )
            }
            StepKind::Try(spec) => self.attempt(spec),
        }
    }

    fn attempt(&self, spec: &TrySpec) -> BodyFate {
        let body = self.fate_of(spec.body);
        let mut succeeds = body.succeeds;
        let mut fails = false;
        let mut open = body.fails;
        for catch in spec.catch.iter().filter(|_| body.fails) {
            let handler = self.fate_of(catch.body);
            succeeds |= open && catch.then == Then::Continue && handler.succeeds;
            fails |= open && (handler.fails || (handler.succeeds && catch.then != Then::Continue));
            open &= !catches_all(catch);
        }
        // The end is always run, and its own failure is only recorded; but it may end the run.
        let ends = spec.finally.is_none_or(|finally| {
            let finally = self.fate_of(finally);
            finally.succeeds || finally.fails
        });
        BodyFate {
            succeeds: succeeds && ends,
            fails: (fails || open) && ends,
        }
    }
}

/// Whether nothing is left for later handlers.
pub(super) fn catches_all(catch: &Catch) -> bool {
    let all = catch.errors.is_empty() || catch.errors.iter().any(|pattern| pattern.0 == "all");
    all && catch.when.is_none()
}

fn approval_fails(approval: &ApprovalSpec) -> bool {
    approval.on_reject != OnReject::Continue || approval.on_timeout == OnTimeout::Fail
}
