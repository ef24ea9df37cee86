//! What is wrong with a workflow that can be read: one family of rules per file.
//!
//! Every rule is a pure function from the draft to findings and stands on its own; their order
//! here does not matter, as findings are sorted by place.

mod agents;
mod blocks;
mod choices;
mod conditions;
mod domains;
pub(crate) mod events;
mod fate;
mod files;
mod graph;
mod guards;
mod outside;
mod races;
mod reach;
mod references;
mod saga;
mod scopes;
mod secrets;
#[cfg(test)]
mod soundness;
mod starts;
mod states;
mod team;
mod time;
mod worst;
mod zones;

use fate::Fates;
use scopes::Scopes;
use worst::Worst;

use crate::catalog::Catalog;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft, StepDraft};

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
    let scopes = Scopes::of(draft);
    let fates = acyclic.then(|| Fates::of(draft, order, &scopes));
    let together = races::Together {
        draft,
        order,
        scopes: &scopes,
    };
    let written = |(_, step): &(usize, &StepDraft<'_>)| !step.is_implied;
    for (index, step) in draft.steps.iter().enumerate().filter(written) {
        cx.sink.enter(step.id_span);
        time::step(cx, draft, step);
        saga::step(cx, step);
        conditions::step(cx, draft, step);
        choices::switch(cx, draft, step);
        files::step(cx, step);
        graph::step(cx, draft, index);
        if let Some(fates) = &fates {
            reach::step(cx, draft, fates, index);
            references::implied_needs(cx, draft, order, index);
            let failures = saga::Failures {
                together: &together,
                fates,
            };
            saga::effects(cx, &failures, index);
            saga::scope(cx, &failures, index);
            blocks::step(cx, draft, &scopes, order, index);
        }
        if let Some(catalog) = catalog {
            agents::step(cx, draft, step, catalog);
            outside::prompt(cx, draft, step, catalog);
        }
    }
    if let Some(fates) = &fates {
        races::all(cx, &together);
        saga::clean_up(
            cx,
            &saga::Failures {
                together: &together,
                fates,
            },
        );
        if let Some(catalog) = catalog {
            team::all(cx, draft, &scopes, fates, catalog);
        }
    }
    outside::triggers(cx, draft);
    let worst = acyclic.then(|| Worst::of(draft, &order.rank, &scopes));
    starts::all(cx, draft, worst.as_ref());
    if let Some(states) = &draft.states {
        states::all(cx, draft, states, fates.as_ref());
    }
    cx.sink.enter(draft.span);
    secrets::in_plain_text(cx, draft);
    // While there are errors, a use may be misspelt and a clock may be wrong.
    if !cx.sink.has_errors_since(mark) {
        references::unused(cx, draft);
        if let Some(worst) = &worst {
            time::longest_path(cx, draft, worst);
        }
    }
}
