//! What is possible at a path, as the declarations say it.

use std::collections::BTreeSet;

use crate::expr::formula::Term;
use crate::lower::{Draft, StepDraft};
use crate::machine::{Join, Owner, State, StepKind};
use crate::schema::Domain;

/// The outcomes that a step can have.
const OUTCOMES: [&str; 4] = ["succeeded", "failed", "skipped", "cancelled"];

/// Answers for the conditions of a workflow.
pub(super) struct Declared<'a, 'n> {
    draft: &'a Draft<'n>,
    state: Option<&'a State>,
}

impl<'a, 'n> Declared<'a, 'n> {
    /// Anywhere.
    pub(super) fn of(draft: &'a Draft<'n>) -> Self {
        Self { draft, state: None }
    }

    /// In the transitions of `state`.
    pub(super) fn in_state(draft: &'a Draft<'n>, state: &'a State) -> Self {
        Self {
            draft,
            state: Some(state),
        }
    }

    /// Whether a step may be looked at before it has ended: who comes after it, or after what is around
    /// it, does not wait for all needs.
    fn may_be_open(&self, id: &str) -> bool {
        let steps = &self.draft.steps;
        let mut open: Vec<usize> = steps
            .iter()
            .position(|s| s.step.id == id)
            .into_iter()
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            for (at, other) in steps.iter().enumerate() {
                if other.step.needs.iter().any(|need| need.get() == index) {
                    if other.step.join != Join::All {
                        return true;
                    }
                    open.push(at);
                }
            }
            let body = &self.draft.bodies()[steps[index].step.body.get()];
            match body.owner {
                Owner::Block(outer) | Owner::Handler(outer) | Owner::Undo(outer) => {
                    open.push(outer.get());
                }
                Owner::Run | Owner::OnFailure | Owner::Finally | Owner::State(_) => {}
            }
        }
        false
    }

    pub(super) fn domain(&self, term: &Term) -> Domain {
        let fields: Vec<&str> = term.path().split('.').collect();
        let schema = match fields.as_slice() {
            [root @ ("inputs" | "config"), name, rest @ ..] => {
                let declared = &self.draft.declared;
                let of_root = if *root == "inputs" {
                    &declared.inputs
                } else {
                    &declared.config
                };
                let found = of_root.iter().find(|input| input.name == *name);
                found.map(|input| (&input.schema, rest))
            }
            ["vars", name, rest @ ..] => {
                let vars = &self.draft.declared.vars;
                let found = vars.iter().find(|var| var.name == *name);
                found.map(|var| (&var.schema, rest))
            }
            ["steps", id, "output", rest @ ..] => {
                let mut steps = self.draft.steps.iter();
                let step = steps.find(|draft| draft.step.id == *id);
                return output(step, rest, term);
            }
            ["state", "output", rest @ ..] => {
                let activity = self.state.and_then(|state| state.activity);
                let step = activity.map(|step| &self.draft.steps[step.get()]);
                return output(step, rest, term);
            }
            ["state", "visits"] => {
                let most = self.state.and_then(|state| state.max_visits);
                return Domain::Int(Some(1), most.map(i64::from));
            }
            ["steps", id, "outcome"] if self.may_be_open(id) => {
                return Domain::texts(OUTCOMES.into_iter().chain(["open"]));
            }
            ["steps", _, "outcome"] => return Domain::texts(OUTCOMES),
            ["steps", _, "attempts"] => return Domain::Int(Some(0), None),
            ["error", "attempt"] | ["run", "attempt"] => return Domain::Int(Some(1), None),
            _ => None,
        };
        match (schema, term) {
            (Some((schema, rest)), Term::Path(_)) => schema.domain(rest),
            (Some((schema, rest)), Term::Size(_)) => schema.sizes(rest),
            (None, Term::Path(_)) => Domain::Anything,
            (None, Term::Size(_)) => Domain::Int(Some(0), None),
        }
    }
}

/// What a step gives at `rest` below its output.
fn output(step: Option<&StepDraft<'_>>, rest: &[&str], term: &Term) -> Domain {
    let unknown = match term {
        Term::Path(_) => Domain::Anything,
        Term::Size(_) => Domain::Int(Some(0), None),
    };
    let Some(step) = step.filter(|draft| draft.step.yields.is_none()) else {
        return unknown;
    };
    match (&step.step.kind, rest, term) {
        (StepKind::Task(_), rest, Term::Path(_)) => step.step.output.domain(rest),
        (StepKind::Task(_), rest, Term::Size(_)) => step.step.output.sizes(rest),
        (StepKind::Approval(approval), ["decision"], Term::Path(_)) => {
            Domain::texts(approval.options.iter().map(String::as_str))
        }
        _ => unknown,
    }
}
