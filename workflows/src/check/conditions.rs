//! Conditions that can go one way only.

use super::domains::Declared;
use super::guards;
use crate::diagnostic::Note;
use crate::expr::Expr;
use crate::expr::formula::Formula;
use crate::lower::{Cx, Draft, StepDraft};
use crate::source::Span;

/// PHI311 for the conditions of a step.
pub(super) fn step(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>) {
    if let Some(condition) = &step.step.condition {
        constant(cx, draft, condition, step.value_span("if"));
    }
}

/// PHI311: the values that the schemas allow leave one verdict. What the checker of expressions
/// found already is not told twice.
pub(super) fn constant(cx: &mut Cx<'_>, draft: &Draft<'_>, condition: &Expr, span: Span) {
    let formula = condition.formula();
    if matches!(formula, Formula::Constant(_)) || cx.sink.has_within("PHI311", span) {
        return;
    }
    let declared = Declared::of(draft);
    let Some(verdict) = guards::verdict(&formula, &|term| declared.domain(term)) else {
        return;
    };
    cx.sink.push(
        Note::warning("PHI311", span, format!("condition is always {verdict}"))
            .label("for every value that the schemas allow"),
    );
}
