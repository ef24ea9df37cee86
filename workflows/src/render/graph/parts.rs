//! The bodies that a step or the run has, each with the words that say what it is for.

use crate::machine::{BodyIndex, Machine, OnFailure, Step, StepKind, SwitchDefault};

/// A body below something.
pub(super) struct Part {
    /// As `case small: size(x) < 3`; empty if there is but one body and nothing to say.
    pub(super) title: String,
    pub(super) body: BodyIndex,
}

fn part(title: impl Into<String>, body: BodyIndex) -> Part {
    Part {
        title: title.into(),
        body,
    }
}

/// The bodies of a step, in the order in which they are written.
pub(super) fn of_step(step: &Step) -> Vec<Part> {
    let mut parts = match &step.kind {
        StepKind::Foreach(each) => vec![part("", each.body)],
        StepKind::Loop(rounds) => vec![part("", rounds.body)],
        StepKind::Do(inner) => vec![part("", inner.body)],
        StepKind::Switch(switch) => {
            let cases = switch.cases.iter();
            let mut parts: Vec<Part> = cases
                .map(|case| {
                    part(
                        format!("case {}: {}", case.id, case.when.source()),
                        case.body,
                    )
                })
                .collect();
            if let SwitchDefault::Body(body) = switch.default {
                parts.push(part("default", body));
            }
            parts
        }
        StepKind::Parallel(parallel) => parallel
            .branches
            .iter()
            .map(|(name, body)| part(format!("branch {name}"), *body))
            .collect(),
        StepKind::Try(attempt) => {
            let mut parts = vec![part("", attempt.body)];
            for catch in &attempt.catch {
                let codes: Vec<&str> = catch.errors.iter().map(|code| code.0.as_str()).collect();
                let mut title = if codes.is_empty() {
                    "catch all".to_owned()
                } else {
                    format!("catch {}", codes.join(", "))
                };
                if let Some(when) = &catch.when {
                    title.push_str(&format!(" if {}", when.source()));
                }
                parts.push(part(title, catch.body));
            }
            parts.extend(attempt.finally.map(|body| part("finally", body)));
            parts
        }
        StepKind::Task(_)
        | StepKind::Approval(_)
        | StepKind::Call(_)
        | StepKind::Wait(_)
        | StepKind::WaitFor(_)
        | StepKind::Emit(_)
        | StepKind::Set(_)
        | StepKind::Files(_)
        | StepKind::Fail(_)
        | StepKind::Finish(_) => Vec::new(),
    };
    if let OnFailure::Handle { body, .. } = step.on_failure {
        parts.push(part("on failure", body));
    }
    parts
}

/// The bodies of the run beside its main one.
pub(super) fn of_run(machine: &Machine) -> Vec<Part> {
    let handler = machine.on_failure();
    let mut parts: Vec<Part> = handler
        .map(|handler| part("on failure of the run", handler.body))
        .into_iter()
        .collect();
    parts.extend(
        machine
            .finally()
            .map(|body| part("finally, at the end of the run", body)),
    );
    parts
}
