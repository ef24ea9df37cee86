//! What is wrong with a workflow that can be read: one family of rules per file.
//!
//! Every rule is a pure function from the draft to findings and stands on its own; their order
//! here does not matter, as findings are sorted by place.

mod agents;
mod choices;
mod conditions;
mod domains;
mod graph;
mod guards;
mod references;
mod saga;
mod time;

use crate::catalog::Catalog;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft};

/// Applies all rules. Those that reason along the order of steps are left out where there is a
/// cycle, as there is no such order then.
/// `mark` is where the findings about this workflow start.
pub(crate) fn all(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    order: &Order,
    catalog: Option<&Catalog>,
    mark: usize,
) {
    graph::cycles(cx, draft, order);
    let acyclic = order.cycles.is_empty();
    for (index, step) in draft.steps.iter().enumerate() {
        cx.sink.enter(step.id_span);
        time::step(cx, draft, step);
        saga::step(cx, step);
        conditions::step(cx, draft, step);
        choices::switch(cx, draft, step);
        graph::step(cx, draft, index);
        if acyclic {
            references::implied_needs(cx, draft, order, index);
            saga::effects(cx, draft, order, index);
        }
        if let Some(catalog) = catalog {
            agents::step(cx, draft, step, catalog);
        }
    }
    cx.sink.enter(draft.span);
    // While there are errors, a use may be misspelt and a clock may be wrong.
    if !cx.sink.has_errors_since(mark) {
        references::unused(cx, draft);
        time::longest_path(cx, draft, order);
    }
}
