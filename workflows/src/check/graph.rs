//! The graph: cycles, joins that drop results.

use crate::diagnostic::Note;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft};
use crate::machine::Join;

/// PHI401: one finding per knot of needs, with a shortest cycle.
pub(super) fn cycles(cx: &mut Cx<'_>, draft: &Draft<'_>, order: &Order) {
    const NAMED_MAX: usize = 12;
    for cycle in &order.cycles {
        let id = |index: &usize| draft.steps[*index].step.id.as_str();
        let mut path: Vec<&str> = cycle.iter().take(NAMED_MAX).map(id).collect();
        if cycle.len() > NAMED_MAX {
            path.push("...");
        }
        path.extend(cycle.first().map(id));
        let path = path.join(" -> ");
        let mut places = cycle.iter().enumerate().filter_map(|(place, index)| {
            let next = cycle[(place + 1) % cycle.len()];
            let step = &draft.steps[*index];
            let edge = step.step.needs.iter().position(|need| need.get() == next)?;
            let label = format!("`{}` needs `{}`", step.step.id, draft.steps[next].step.id);
            Some((step.need_spans[edge], label))
        });
        let Some((span, label)) = places.next() else {
            continue;
        };
        let note = Note::error("PHI401", span, format!("`needs` form a cycle: {path}"))
            .label(label)
            .help("drop one of these needs");
        cx.sink.push(
            places
                .take(NAMED_MAX)
                .fold(note, |note, (span, label)| note.also(span, label)),
        );
    }
}

/// Rules about one step and its needs.
pub(super) fn step(cx: &mut Cx<'_>, draft: &Draft<'_>, index: usize) {
    let step = &draft.steps[index];
    if step.step.join == Join::First && step.step.needs.len() > 1 {
        for need in &step.step.needs {
            let other = &draft.steps[need.get()].step;
            if other.output_is_read {
                cx.sink.push(
                    Note::info(
                        "PHI421",
                        step.value_span("join"),
                        format!("results of `{}` are dropped unless it is first", other.id),
                    )
                    .help("`join: any` lets the others finish"),
                );
            }
        }
    }
}
