//! What is possible at a path, as the declarations say it.

use crate::expr::formula::Term;
use crate::lower::Draft;
use crate::machine::StepKind;
use crate::schema::Domain;

/// The outcomes that a step can have.
const OUTCOMES: [&str; 4] = ["succeeded", "failed", "skipped", "cancelled"];

/// Answers for the conditions of a workflow.
pub(super) struct Declared<'a, 'n> {
    pub(super) draft: &'a Draft<'n>,
}

impl Declared<'_, '_> {
    pub(super) fn domain(&self, term: &Term) -> Domain {
        let fields: Vec<&str> = term.path().split('.').collect();
        let schema = match fields.as_slice() {
            ["inputs", name, rest @ ..] => {
                let inputs = &self.draft.declared.inputs;
                let input = inputs.iter().find(|input| input.name == *name);
                input.map(|input| (&input.schema, rest))
            }
            ["steps", id, "output", rest @ ..] => return self.output(id, rest, term),
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

    fn output(&self, id: &str, rest: &[&str], term: &Term) -> Domain {
        let unknown = match term {
            Term::Path(_) => Domain::Anything,
            Term::Size(_) => Domain::Int(Some(0), None),
        };
        let step = self.draft.steps.iter().find(|draft| draft.step.id == id);
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
}
