//! The transition log: what a fact changed, one line per transition, the same bytes for the same
//! facts.

use std::fmt;

use phisync_state::Timestamp;

use super::event::{RunEvent, Then};
use super::run::{Phase, RunState, RunStatus};
use super::{Resolution, apply};

/// One thing that went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// `run`, `step NAME`, `task NAME#ATTEMPT` or `undo NAME#ATTEMPT`.
    pub subject: String,
    /// The state before; `new` if it did not exist.
    pub from: &'static str,
    /// The state after.
    pub to: &'static str,
    /// Why.
    pub cause: String,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = format!("{} -> {}", self.from, self.to);
        let line = format!("{:<24} {change:<26} {}", self.subject, self.cause);
        f.write_str(line.trim_end())
    }
}

impl Transition {
    /// One line of the log: sequence, seconds since the run's start, subject, change, cause.
    #[must_use]
    pub fn line(&self, seq: u64, at: Timestamp, started: Timestamp) -> String {
        format!("{seq:>6} {:>10.3}  {self}", at.since(started).as_secs_f64())
    }
}

/// Folds one fact and tells what it changed.
pub fn apply_traced(run: &mut RunState, event: &RunEvent) -> Vec<Transition> {
    let step = subject_step(event).and_then(|id| run.machine.step_named(id));
    let run_before = if run.version == 0 {
        "new"
    } else {
        run_word(run)
    };
    let step_before = step.map(|index| run.step(index).status);
    apply(run, event);
    let cause = cause(run, event);
    let mut transitions = Vec::new();
    let run_after = run_word(run);
    let mut push = |subject: String, from, to, cause: &str| {
        transitions.push(Transition {
            subject,
            from,
            to,
            cause: cause.to_owned(),
        });
    };
    if matches!(
        event,
        RunEvent::RunStarted { .. } | RunEvent::RunFailing { .. }
    ) || run_before != run_after
    {
        push("run".to_owned(), run_before, run_after, &cause);
    }
    let (Some(index), Some(before)) = (step, step_before) else {
        return transitions;
    };
    let id = &run.machine.step(index).id;
    for (number, undo, from, to, why) in attempts(run, index, event, &cause) {
        let kind = if undo { "undo" } else { "task" };
        push(format!("{kind} {id}#{number}"), from, to, &why);
    }
    let after = run.step(index).status;
    if before != after {
        // The attempt's own line has said why.
        let own = if tells_a_task(event) { "" } else { &cause };
        push(format!("step {id}"), before.as_str(), after.as_str(), own);
    } else if let RunEvent::ApprovalDecided { .. } | RunEvent::TaskCancelRequested { .. } = event {
        push(
            format!("step {id}"),
            before.as_str(),
            after.as_str(),
            &cause,
        );
    }
    transitions
}

fn run_word(run: &RunState) -> &'static str {
    match (run.status, run.phase) {
        (RunStatus::Running, Phase::Forward) => "running",
        (RunStatus::Running, phase) => phase.as_str(),
        (status, _) => status.as_str(),
    }
}

fn tells_a_task(event: &RunEvent) -> bool {
    matches!(
        event,
        RunEvent::TaskReady { .. }
            | RunEvent::TaskClaimed { .. }
            | RunEvent::TaskCompleted { .. }
            | RunEvent::TaskFailed { .. }
            | RunEvent::TaskReleased { .. }
            | RunEvent::TaskRetried { .. }
    )
}

type AttemptChange = (u32, bool, &'static str, &'static str, String);

/// The lives of the attempts that the fact touches, after it was applied.
fn attempts(
    run: &RunState,
    index: phisync_workflows::StepIndex,
    event: &RunEvent,
    cause: &str,
) -> Vec<AttemptChange> {
    let number = |undo| run.task(index, undo).map_or(0, |task| task.attempt);
    let cause = cause.to_owned();
    match event {
        RunEvent::TaskReady { undo, .. } => {
            vec![(number(*undo) + 1, *undo, "new", "ready", cause)]
        }
        RunEvent::TaskClaimed { undo, .. } => {
            vec![(number(*undo), *undo, "ready", "running", cause)]
        }
        RunEvent::TaskCompleted { undo, .. } => {
            vec![(number(*undo), *undo, "running", "completed", cause)]
        }
        RunEvent::TaskReleased { undo, .. } => vec![
            (number(*undo), *undo, "running", "released", cause),
            (number(*undo) + 1, *undo, "new", "ready", String::new()),
        ],
        RunEvent::TaskRetried { undo, .. } => {
            vec![(number(*undo) + 1, *undo, "backoff", "ready", cause)]
        }
        RunEvent::TaskFailed {
            undo,
            token,
            error,
            then,
            at,
            ..
        } => {
            let ended = match token {
                Some(_) if error.code == "agent.lost" => (number(*undo), "running", "lost"),
                Some(_) => (number(*undo), "running", "failed"),
                None => (number(*undo) + 1, "ready", "failed"),
            };
            let next = number(*undo) + 1;
            let mut changes = vec![(ended.0, *undo, ended.1, ended.2, cause)];
            match then {
                Then::Requeue { .. } => {
                    changes.push((next, *undo, "new", "ready", "reassigned".to_owned()));
                }
                Then::Retry { at: due } => {
                    let wait = due.since(*at).as_secs_f64();
                    let why = format!("retry in {wait:.3}s");
                    changes.push((next, *undo, "new", "backoff", why));
                }
                Then::Fail => {}
            }
            changes
        }
        RunEvent::StepCancelled { .. } => match run.task(index, false) {
            Some(task) => vec![(task.attempt + 1, false, "ready", "cancelled", cause)],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn subject_step(event: &RunEvent) -> Option<&str> {
    match event {
        RunEvent::StepSkipped { step, .. }
        | RunEvent::StepCompleted { step, .. }
        | RunEvent::StepFailed { step, .. }
        | RunEvent::StepCancelled { step, .. }
        | RunEvent::TaskReady { step, .. }
        | RunEvent::TaskClaimed { step, .. }
        | RunEvent::TaskCompleted { step, .. }
        | RunEvent::TaskFailed { step, .. }
        | RunEvent::TaskReleased { step, .. }
        | RunEvent::TaskRetried { step, .. }
        | RunEvent::TaskCancelRequested { step, .. }
        | RunEvent::ApprovalRequested { step, .. }
        | RunEvent::ApprovalDecided { step, .. }
        | RunEvent::IncidentOpened { step, .. }
        | RunEvent::IncidentResolved { step, .. } => Some(step),
        RunEvent::RunStarted { .. }
        | RunEvent::RunFailing { .. }
        | RunEvent::RunCancelling { .. }
        | RunEvent::UndoStarted { .. }
        | RunEvent::RunCompleted { .. }
        | RunEvent::RunFailed { .. }
        | RunEvent::RunCancelled { .. } => None,
    }
}

fn cause(run: &RunState, event: &RunEvent) -> String {
    use super::CancelReason::{Outrun, RunCancelled, RunFailed, Upstream};
    let cancelled = |reason: &super::CancelReason| match reason {
        Upstream => "what it needs cannot come",
        RunFailed => "the run failed",
        RunCancelled => "the run was cancelled",
        Outrun => "another branch was faster",
    };
    let said = |words: &Option<String>| match words {
        Some(words) => format!(": {words}"),
        None => String::new(),
    };
    match event {
        RunEvent::RunStarted { by, .. } => format!("started by {by}"),
        RunEvent::StepSkipped { .. } => "its condition is false".to_owned(),
        RunEvent::StepCompleted { .. } => "decided".to_owned(),
        RunEvent::StepFailed { error, .. } | RunEvent::TaskFailed { error, .. } => {
            format!("{}: {}", error.code, error.message)
        }
        RunEvent::StepCancelled { reason, .. } => cancelled(reason).to_owned(),
        RunEvent::TaskCancelRequested { reason, .. } => {
            format!("asked to stop: {}", cancelled(reason))
        }
        RunEvent::TaskReady { undo: false, .. } => "its needs are met".to_owned(),
        RunEvent::TaskReady { undo: true, .. } => "to be undone".to_owned(),
        RunEvent::TaskClaimed { agent, token, .. } => format!("taken by {agent}, token {token}"),
        RunEvent::TaskCompleted { .. } => "result accepted".to_owned(),
        RunEvent::TaskReleased { .. } => "given back".to_owned(),
        RunEvent::TaskRetried { .. } => "back-off over".to_owned(),
        RunEvent::ApprovalRequested { prompt, .. } => match prompt {
            Some(prompt) => format!("asks: {prompt}"),
            None => "asks for a decision".to_owned(),
        },
        RunEvent::ApprovalDecided {
            approved,
            by,
            comment,
            ..
        } => {
            let verb = if *approved { "approved" } else { "rejected" };
            format!("{verb} by {by}{}", said(comment))
        }
        RunEvent::RunFailing { step, error, .. } => match step {
            Some(step) => format!("{step}: {}: {}", error.code, error.message),
            None => format!("{}: {}", error.code, error.message),
        },
        RunEvent::RunCancelling { by, reason, .. } => {
            format!("cancelled by {by}{}", said(reason))
        }
        RunEvent::UndoStarted { steps, .. } => format!("undoes {}", steps.join(", ")),
        RunEvent::IncidentOpened { error, .. } => {
            format!("incident: {}: {}", error.code, error.message)
        }
        RunEvent::IncidentResolved {
            action, reason, by, ..
        } => {
            let verb = match action {
                Resolution::Retry => "retried",
                Resolution::Skip => "skipped",
                Resolution::Abandon => "abandoned",
            };
            format!("{verb} by {by}: {reason}")
        }
        RunEvent::RunCompleted { .. } => "every step has its outcome".to_owned(),
        RunEvent::RunFailed { undo, .. } | RunEvent::RunCancelled { undo, .. } => {
            let error = run.error.as_ref();
            let error = error.map_or_else(String::new, |error| format!("{}, ", error.code));
            let undone = match undo {
                super::Undo::None => "nothing to undo",
                super::Undo::Done => "undone",
                super::Undo::Partial => "undone in part",
                super::Undo::Abandoned => "undoing abandoned",
            };
            format!("{error}{undone}")
        }
    }
}
