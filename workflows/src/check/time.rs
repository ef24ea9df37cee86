//! Clocks and retries: what contradicts itself, and what may take longer than it is given.

use std::time::Duration;

use super::worst::{self, Worst};

use crate::diagnostic::Note;
use crate::expr::time::parse_timestamp;
use crate::lower::duration::show;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{
    Backoff, Compensate, Effects, LoopSpec, OnTimeout, Retry, Step, StepKind, Template, Timeouts,
    WaitSpec,
};
use crate::syntax::{Entry, Node};

/// A lease below this is lost by the first hiccup of a network.
const LEASE_MIN: Duration = Duration::from_secs(5);

/// Rules about one step.
pub(super) fn step(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>) {
    match &step.step.kind {
        StepKind::Approval(approval) => {
            if approval.on_timeout == OnTimeout::Approve {
                cx.sink.push(
                    Note::warning(
                        "PHI521",
                        step.nested_span("approval", "on_timeout"),
                        "approval is granted by timeout",
                    )
                    .help("`on_timeout: reject` lets nothing pass that nobody looked at"),
                );
            }
            if approval.timeout > draft.timeout {
                cx.sink.push(over_workflow(
                    step,
                    ("approval", "timeout"),
                    approval.timeout,
                    draft.timeout,
                ));
            }
        }
        StepKind::Task(_) => {
            clocks(cx, draft, step);
            retry(cx, step);
            if let Compensate::Task(undo) = &step.step.compensate
                && undo.timeouts.lease > undo.timeouts.run
            {
                let span = step.value_span("compensate");
                cx.sink.push(lease_over_run(span, &undo.timeouts));
            }
        }
        StepKind::Wait(WaitSpec::Until(Template::Literal(text))) => past(cx, step, text),
        StepKind::Loop(spec) => delays(cx, draft, step, spec),
        _ => {}
    }
}

/// The dialect is not older: no run can wait for an earlier time.
const FIRST_RUN: &str = "2026-01-01T00:00:00Z";

/// PHI518.
fn past(cx: &mut Cx<'_>, step: &StepDraft<'_>, until: &serde_json::Value) {
    let instant = until.as_str().and_then(parse_timestamp);
    if instant.is_some() && instant < parse_timestamp(FIRST_RUN) {
        cx.sink.push(
            Note::warning(
                "PHI518",
                step.nested_span("wait", "until"),
                "`until` lies in the past",
            )
            .help("the step ends at once"),
        );
    }
}

/// PHI519.
fn delays(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>, spec: &LoopSpec) {
    let sum = worst::delays(spec);
    if sum > draft.timeout {
        cx.sink.push(
            Note::warning(
                "PHI519",
                step.nested_span("loop", "delay"),
                format!(
                    "loop delays add up to {}, the workflow's timeout is {}",
                    show(rounded(sum)),
                    show(draft.timeout)
                ),
            )
            .help("lower `max` or `delay`, or say `max_delay`"),
        );
    }
}

fn clocks(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>) {
    let clocks = &step.step.timeouts;
    let span = |clock: &str| {
        let short = clock == "run" && step.map.get("timeout").is_some();
        if short {
            step.value_span("timeout")
        } else {
            step.nested_span("timeouts", clock)
        }
    };
    if clocks.lease < LEASE_MIN && clocks.lease != clocks.run {
        let lease = show(clocks.lease);
        cx.sink.push(
            Note::error(
                "PHI503",
                span("lease"),
                format!("lease {lease} is shorter than 5s"),
            )
            .help("an agent beats every third of its lease; a hiccup must not lose it"),
        );
    }
    if clocks.lease > clocks.run {
        let place = if step.map.get("timeouts").is_some() {
            span("lease")
        } else {
            span("run")
        };
        cx.sink.push(lease_over_run(place, clocks));
    }
    if let Some(total) = clocks.total {
        if clocks.run > total {
            cx.sink.push(
                Note::error(
                    "PHI504",
                    span("total"),
                    format!(
                        "`total` {} is shorter than `run` {}",
                        show(total),
                        show(clocks.run)
                    ),
                )
                .help("`lease` <= `run` <= `total` <= the workflow's `timeout`"),
            );
        } else if total > draft.timeout {
            cx.sink.push(over_workflow(
                step,
                ("timeouts", "total"),
                total,
                draft.timeout,
            ));
        }
    }
    if clocks.run > draft.timeout {
        let written = step.map.get("timeout").is_some() || step.map.get("timeouts").is_some();
        let note = if written {
            over_workflow(step, ("timeouts", "run"), clocks.run, draft.timeout).at(span("run"))
        } else {
            return;
        };
        cx.sink.push(note);
    }
}

fn lease_over_run(span: crate::source::Span, clocks: &Timeouts) -> Note {
    Note::error(
        "PHI503",
        span,
        format!(
            "lease {} is longer than `run` {}",
            show(clocks.lease),
            show(clocks.run)
        ),
    )
    .help("a task would end before its agent could be found silent: shorten `lease`")
}

fn over_workflow(
    step: &StepDraft<'_>,
    place: (&str, &str),
    clock: Duration,
    workflow: Duration,
) -> Note {
    let (outer, inner) = place;
    Note::error(
        "PHI504",
        step.nested_span(outer, inner),
        format!(
            "`{inner}` {} is longer than the workflow's `timeout` {}",
            show(clock),
            show(workflow)
        ),
    )
    .help("raise the workflow's `timeout`, or shorten this one")
}

fn retry(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let Step {
        retry,
        timeouts,
        effects,
        idempotent,
        ..
    } = &step.step;
    let span = step.key_span("retry");
    if step.map.get("retry").is_none() {
        return;
    }
    let written = step.map.get("retry").and_then(|entry| entry.value.as_map());
    if retry.max_attempts == 1 && written.is_some() {
        cx.sink.push(
            Note::warning("PHI508", span, "retry has no effect: one attempt is all")
                .help("`max_attempts` counts the first attempt too"),
        );
        return;
    }
    let written = written.and_then(|map| map.get("errors"));
    let none_written = |entry: &Entry| entry.value.as_seq().is_some_and(<[Node]>::is_empty);
    if written.is_some_and(none_written) {
        cx.sink.push(Note::warning(
            "PHI508",
            span,
            "retry has no effect: no error is repeated",
        ));
        return;
    }
    let repeatable = *idempotent || matches!(effects, Effects::None | Effects::Read);
    if step.retry_errors_written
        && !repeatable
        && let Some(pattern) = retry.errors.iter().find(|pattern| {
            pattern.matches("timeout.run") && !retry.except.iter().any(|e| e.matches("timeout.run"))
        })
    {
        let code = &pattern.0;
        cx.sink.push(
            Note::warning(
                "PHI507",
                step.nested_span("retry", "errors"),
                format!(
                    "`{}` is not idempotent but is retried after an unknown end",
                    step.step.id
                ),
            )
            .label(format!("`{code}` may come after the effect"))
            .help("say `idempotent: true` if doing it twice is harmless, or drop the code"),
        );
    }
    for pattern in &retry.errors {
        let code = pattern.0.trim_end_matches(".*");
        let elsewhere = [
            "approval", "files", "call", "loop", "foreach", "event", "saga",
        ];
        if elsewhere.contains(&code.split('.').next().unwrap_or_default()) {
            cx.sink.push(
                Note::warning(
                    "PHI509",
                    step.nested_span("retry", "errors"),
                    format!("error `{code}` cannot occur in a task"),
                )
                .help("tasks end with `transient.*`, `app.*`, `timeout.*`, `agent.*`, `schema.*` or `task.failed`"),
            );
        }
    }
    if let Some(total) = timeouts.total
        && retry.max_attempts > 1
    {
        let worst = worst_case(retry, timeouts);
        if worst > total {
            cx.sink.push(
                Note::warning(
                    "PHI505",
                    span,
                    format!(
                        "{} attempts may take {}, `total` is {}",
                        retry.max_attempts,
                        show(rounded(worst)),
                        show(total)
                    ),
                )
                .help("later attempts may never start"),
            );
        }
    }
}

/// How long all attempts and waits may take, the time in queues left out.
pub(super) fn worst_case(retry: &Retry, clocks: &Timeouts) -> Duration {
    let mut time = clocks.run.saturating_mul(retry.max_attempts);
    for attempt in 1..retry.max_attempts {
        time = time.saturating_add(wait(retry, attempt));
    }
    time
}

/// The longest wait after attempt number `attempt`.
fn wait(retry: &Retry, attempt: u32) -> Duration {
    let wait = match retry.backoff {
        Backoff::None => return Duration::ZERO,
        Backoff::Fixed => retry.delay,
        Backoff::Linear => retry.delay.saturating_mul(attempt),
        Backoff::Exponential => {
            let exponent = i32::try_from(attempt - 1).unwrap_or(i32::MAX);
            let seconds = retry.delay.as_secs_f64() * retry.factor.powi(exponent);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        }
    };
    wait.min(retry.max_delay)
}

/// Whole seconds, for people.
fn rounded(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

/// PHI506: the longest path by the clocks of its steps.
pub(super) fn longest_path(cx: &mut Cx<'_>, draft: &Draft<'_>, worst: &Worst<'_, '_>) {
    const NAMED_MAX: usize = 12;
    let path = worst.path();
    if path.time <= draft.timeout {
        return;
    }
    let mut names: Vec<&str> = path
        .steps
        .iter()
        .take(NAMED_MAX)
        .map(|step| draft.steps[*step].step.id.as_str())
        .collect();
    if path.steps.len() > NAMED_MAX {
        names.push("...");
    }
    let span = draft
        .root
        .get("timeout")
        .map_or(draft.name_span, |entry| entry.value.span);
    cx.sink.push(
        Note::warning(
            "PHI506",
            span,
            format!(
                "longest path may take {}, the workflow's timeout is {}",
                show(rounded(path.time)),
                show(draft.timeout)
            ),
        )
        .label(format!("path: {}", names.join(" -> ")))
        .help("raise `timeout`, or shorten the clocks of these steps"),
    );
}
