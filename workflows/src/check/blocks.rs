//! Repetition and concurrency: loops that nothing ends, and more work at once than is wise.

use super::scopes::{Scopes, own_bodies};
use crate::diagnostic::Note;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft};
use crate::machine::{BodyIndex, EventSource, LoopTest, Shape, StepKind, Template, TemplatePart};

/// So many tasks at once are more than a team of agents takes.
const AT_ONCE_MAX: u64 = 100;

/// PHI414 and PHI423 of one step, and PHI425.
pub(super) fn step(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    scopes: &Scopes,
    order: &Order,
    index: usize,
) {
    unchanging_test(cx, draft, scopes, index);
    fan_out(cx, draft, scopes, index);
    late_signal(cx, draft, order, index);
}

/// PHI414: a test that reads nothing of what an iteration does.
fn unchanging_test(cx: &mut Cx<'_>, draft: &Draft<'_>, scopes: &Scopes, index: usize) {
    let step = &draft.steps[index];
    let StepKind::Loop(spec) = &step.step.kind else {
        return;
    };
    let (key, test) = match &spec.test {
        LoopTest::While(test) => ("while", test),
        LoopTest::Until(test) => ("until", test),
    };
    let inside = |at: usize| scopes.around(at).any(|outer| outer == index);
    let changes = |path: &str| {
        let fields: Vec<&str> = path.split('.').collect();
        match fields.as_slice() {
            ["steps", id, ..] => {
                let other = draft.steps.iter().position(|draft| draft.step.id == *id);
                other.is_none_or(inside)
            }
            // Somebody else may write a variable meanwhile.
            ["vars", name, ..] => draft.steps.iter().any(|draft| {
                matches!(&draft.step.kind, StepKind::Set(set) if set.values.iter().any(|(n, _)| n == name))
            }),
            ["inputs" | "config", ..] => false,
            ["run", "id" | "workflow" | "version" | "started_at", ..] => false,
            _ => true,
        }
    };
    let reads = test.reads();
    if reads.is_empty() || reads.iter().any(|path| changes(path)) {
        return;
    }
    let read: Vec<String> = reads.iter().map(|path| format!("`{path}`")).collect();
    cx.sink.push(
        Note::warning(
            "PHI414",
            step.nested_span("loop", key),
            format!("nothing in the loop changes {}", read.join(", ")),
        )
        .label("the same in every iteration")
        .help(
            "test what an iteration gives: a step inside, `iter.carry`, or a variable that it sets",
        ),
    );
}

/// PHI423, for the outermost block.
fn fan_out(cx: &mut Cx<'_>, draft: &Draft<'_>, scopes: &Scopes, index: usize) {
    let step = &draft.steps[index];
    let fans = |kind: &StepKind| matches!(kind, StepKind::Foreach(_) | StepKind::Parallel(_));
    let outermost = !scopes
        .around(index)
        .any(|outer| fans(&draft.steps[outer].step.kind));
    if !fans(&step.step.kind) || !outermost {
        return;
    }
    let count = at_once(draft, scopes, index);
    if count > AT_ONCE_MAX {
        let key = step.step.kind.name();
        cx.sink.push(
            Note::warning(
                "PHI423",
                step.key_span(key),
                format!("up to {count} tasks at once"),
            )
            .help("bound it with `concurrency`"),
        );
    }
}

/// How many tasks of a step may be ready at the same time.
fn at_once(draft: &Draft<'_>, scopes: &Scopes, index: usize) -> u64 {
    let step = &draft.steps[index].step;
    let body = |body: BodyIndex| -> u64 {
        let steps = scopes
            .steps(body)
            .iter()
            .map(|at| at_once(draft, scopes, *at));
        match draft.bodies()[body.get()].shape {
            Shape::Sequence => steps.max().unwrap_or(0),
            Shape::Graph => steps.fold(0, u64::saturating_add),
        }
    };
    match &step.kind {
        StepKind::Task(_) => 1,
        StepKind::Foreach(spec) => body(spec.body).saturating_mul(u64::from(spec.concurrency)),
        StepKind::Parallel(spec) => {
            let mut branches: Vec<u64> = spec.branches.iter().map(|(_, b)| body(*b)).collect();
            branches.sort_unstable_by(|a, b| b.cmp(a));
            let lanes = spec
                .concurrency
                .map_or(branches.len(), |lanes| lanes as usize);
            branches
                .iter()
                .take(lanes)
                .fold(0, |sum, branch| sum.saturating_add(*branch))
        }
        kind => own_bodies(kind).into_iter().map(body).max().unwrap_or(0),
    }
}

/// PHI425: the run sends itself a signal only after it has waited for it.
fn late_signal(cx: &mut Cx<'_>, draft: &Draft<'_>, order: &Order, index: usize) {
    let step = &draft.steps[index];
    let StepKind::WaitFor(spec) = &step.step.kind else {
        return;
    };
    let EventSource::Signal(name) = &spec.source else {
        return;
    };
    let senders: Vec<usize> = (0..draft.steps.len())
        .filter(|at| match &draft.steps[*at].step.kind {
            StepKind::Emit(emit) => emit.event == *name && emit.to.as_ref().is_some_and(is_own_run),
            _ => false,
        })
        .collect();
    let Some(first) = senders.first() else { return };
    if senders.iter().all(|sender| order.is_before(index, *sender)) {
        let sender = &draft.steps[*first];
        cx.sink.push(
            Note::error(
                "PHI425",
                step.nested_span("wait_for", "signal"),
                format!(
                    "waits for signal `{name}` that is only sent by `{}` after it",
                    sender.step.id
                ),
            )
            .also(sender.id_span, "sent here")
            .help("send it before, or in a branch of its own"),
        );
    }
}

/// Whether an address is this very run's id.
fn is_own_run(to: &Template) -> bool {
    let expr = match to {
        Template::Expr(expr) => Some(expr),
        Template::Text(parts) => match parts.as_slice() {
            [TemplatePart::Expr(expr)] => Some(expr),
            _ => None,
        },
        Template::Literal(_) | Template::List(_) | Template::Map(_) => None,
    };
    expr.is_some_and(|expr| expr.source() == "run.id")
}
