//! Undoing: effects that nobody undoes, and undoes that cannot work.

use super::fate::Fates;
use super::races::Together;
use crate::diagnostic::Note;
use crate::lower::{Cx, StepDraft};
use crate::machine::{
    BodyIndex, Compensate, Effects, OnExpiry, Owner, SagaMode, StepKind, SwitchDefault,
};

/// Rules about one step alone.
pub(super) fn step(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let effectless = matches!(step.step.effects, Effects::None | Effects::Read);
    let undone = matches!(
        step.step.compensate,
        Compensate::Task(_) | Compensate::Body(_)
    );
    if effectless && undone && step.map.get("compensate").is_some() {
        cx.sink.push(
            Note::info(
                "PHI702",
                step.key_span("compensate"),
                "`compensate` on a step without effects",
            )
            .also(step.value_span("effects"), "declared here"),
        );
    }
    repeated_undo(cx, step);
}

/// PHI705. Every undo is attempted ten times unless it says otherwise, so one that says nothing
/// would be warned about everywhere. It is a warning where the undo or its type says that it may not
/// be repeated, and a remark where somebody asked for more attempts and did not say.
fn repeated_undo(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let Compensate::Task(undo) = &step.step.compensate else {
        return;
    };
    let attempts = undo.retry.max_attempts;
    let body = step.map.get("compensate").and_then(|e| e.value.as_map());
    let retry = body.and_then(|body| body.get("retry"));
    let (id, place) = (&step.step.id, step.key_span("compensate"));
    let message = format!("the undo of `{id}` may be attempted {attempts} times");
    let note = match (step.undo_idempotent, retry) {
        _ if attempts <= 1 => return,
        (Some(true), _) | (None, None) => return,
        (Some(false), _) => {
            let message = format!("{message}, and is declared not to be idempotent");
            Note::warning("PHI705", place, message)
        }
        (None, Some(_)) => {
            let message = format!("{message}, and nothing says that it is idempotent");
            Note::info("PHI705", place, message)
        }
    };
    let note = match retry {
        Some(retry) => note.also(retry.value.span, "attempts"),
        None => note.label("ten attempts unless `retry` says otherwise"),
    };
    cx.sink.push(note.help(
        "`idempotent: true` if undoing twice is harmless, else `retry: { max_attempts: 1 }`",
    ));
}

/// What a rule about failures has to know.
pub(super) struct Failures<'a, 'n> {
    pub(super) together: &'a Together<'a, 'n>,
    pub(super) fates: &'a Fates,
}

impl Failures<'_, '_> {
    /// Whether the failure of a step, which is no block's by what is inside, gets through to the
    /// run.
    fn escapes(&self, at: usize) -> bool {
        let steps = &self.together.draft.steps;
        let through = |at: usize| self.fates.get(at).fails && !steps[at].step.on_failure.goes_on();
        fails_itself(&steps[at].step.kind)
            && through(at)
            && self.together.scopes.around(at).all(through)
            && self.in_main(at)
    }

    /// Whether a step belongs to what the run is for, and not to its handlers.
    fn in_main(&self, at: usize) -> bool {
        let draft = self.together.draft;
        let mut around = std::iter::once(at).chain(self.together.scopes.around(at));
        around.all(|at| {
            let body = draft.steps[at].step.body;
            match draft.bodies()[body.get()].owner {
                Owner::OnFailure | Owner::Finally | Owner::Undo(_) => false,
                Owner::Run | Owner::Block(_) | Owner::Handler(_) | Owner::State(_) => true,
            }
        })
    }
}

/// Whether a step can fail by itself. Blocks mostly fail by what is inside, and those steps are
/// asked themselves.
fn fails_itself(kind: &StepKind) -> bool {
    match kind {
        StepKind::Loop(spec) => spec.on_exhausted == OnExpiry::Fail,
        StepKind::Switch(spec) => spec.default == SwitchDefault::Fail,
        kind => !kind.is_block(),
    }
}

/// PHI701 and PHI703: what a later failure leaves behind. Only effects that somebody wrote count:
/// `write` is also what is assumed of a task about which nothing is known.
pub(super) fn effects(cx: &mut Cx<'_>, failures: &Failures<'_, '_>, index: usize) {
    let together = failures.together;
    let steps = &together.draft.steps;
    let step = &steps[index];
    if !matches!(step.step.kind, StepKind::Task(_))
        || step.map.get("effects").is_none()
        || !failures.in_main(index)
    {
        return;
    }
    let irreversible = step.step.effects == Effects::Irreversible;
    let undone = !matches!(step.step.compensate, Compensate::Absent);
    let relevant = match step.step.effects {
        Effects::Write => !undone,
        Effects::Irreversible => true,
        Effects::None | Effects::Read => false,
    };
    if !relevant {
        return;
    }
    // What is ordered before this step has ended when it takes effect.
    let failing = (0..steps.len()).find(|other| {
        let later = if irreversible {
            together.order.is_before(index, *other)
        } else {
            *other != index && !together.order.is_before(*other, index)
        };
        later && failures.escapes(*other) && !together.exclude(index, *other)
    });
    let Some(failing) = failing.map(|at| &steps[at]) else {
        return;
    };
    let (id, other) = (&step.step.id, &failing.step.id);
    let note = if irreversible {
        Note::warning(
            "PHI703",
            step.value_span("effects"),
            format!("`{id}` cannot be undone and `{other}` may fail after it"),
        )
        .help("move it last, or let what follows continue on failure")
    } else {
        Note::warning(
            "PHI701",
            step.id_span,
            format!("`{id}` has effects, `{other}` may fail after it, and nothing undoes `{id}`"),
        )
        .help("add `compensate:`, or `compensate: none` if nothing is to be undone")
    };
    cx.sink.push(note.also(failing.id_span, "may fail"));
}

/// PHI707 and PHI714 of a block.
pub(super) fn scope(cx: &mut Cx<'_>, failures: &Failures<'_, '_>, index: usize) {
    let draft = failures.together.draft;
    let step = &draft.steps[index];
    let own = match &step.step.kind {
        StepKind::Try(spec) => Some(("try", spec.body, spec.saga)),
        StepKind::Do(spec) => Some(("do", spec.body, spec.saga)),
        _ => None,
    };
    if let Some((key, body, saga)) = own
        && saga.mode == SagaMode::Auto
        && !failures.fates.body_fails(body)
    {
        let within = step.map.get(key).and_then(|entry| entry.value.as_map());
        let written = within
            .and_then(|map| map.get("saga"))
            .or_else(|| step.map.get("saga"));
        cx.sink.push(
            Note::warning(
                "PHI707",
                written.map_or(step.id_span, |entry| entry.key_span),
                format!("no failure triggers the saga of `{}`", step.step.id),
            )
            .label("every step inside goes on after a failure, or cannot fail")
            .help("drop `saga`, or let a step fail"),
        );
    }
    if let StepKind::Parallel(spec) = &step.step.kind {
        let undone = |body: &BodyIndex| {
            let inside = failures.together.scopes.steps(*body).iter();
            inside.map(|at| &draft.steps[*at]).find(|draft| {
                matches!(
                    draft.step.compensate,
                    Compensate::Task(_) | Compensate::Body(_)
                )
            })
        };
        let undone: Vec<_> = spec
            .branches
            .iter()
            .filter_map(|(_, b)| undone(b))
            .collect();
        if let [first, second, ..] = undone[..] {
            let (a, b) = (&first.step.id, &second.step.id);
            cx.sink.push(
                Note::info(
                    "PHI714",
                    step.key_span("parallel"),
                    format!(
                        "`{a}` and `{b}` are undone by completion, not by their order in the file"
                    ),
                )
                .also(first.id_span, "undone")
                .also(second.id_span, "undone"),
            );
        }
    }
}

/// PHI713: a step of a `finally` whose failure keeps later ones from running.
pub(super) fn clean_up(cx: &mut Cx<'_>, failures: &Failures<'_, '_>) {
    let draft = failures.together.draft;
    let tries = draft
        .steps
        .iter()
        .filter_map(|draft| match &draft.step.kind {
            StepKind::Try(spec) => spec.finally,
            _ => None,
        });
    for body in tries.chain(draft.finally) {
        let steps = failures.together.scopes.steps(body);
        let Some((_, before_last)) = steps.split_last() else {
            continue;
        };
        for at in before_last {
            let step = &draft.steps[*at];
            if failures.fates.get(*at).fails && !step.step.on_failure.goes_on() {
                cx.sink.enter(step.id_span);
                cx.sink.push(
                    Note::warning(
                        "PHI713",
                        step.id_span,
                        format!(
                            "`{}` may fail, and the rest of the clean-up with it",
                            step.step.id
                        ),
                    )
                    .help("add `on_failure: continue`"),
                );
            }
        }
    }
}
