//! The transition log: what a fact changed, one line per transition, the same bytes for the same
//! facts.

mod cause;

use std::fmt;

use phisync_state::Timestamp;
use phisync_workflows::machine::Owner;

use super::apply;
use super::event::{PassOutcome, RunEvent, Then};
use super::pass::Slot;
use super::run::RunState;
use super::status::TaskStatus;
use cause::cause;

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
    let step = match event.step() {
        Some(id) => run.slot_named(id),
        None => undone_by_pass(run, event),
    };
    let run_before = if run.version == 0 { "new" } else { run.word() };
    let step_before = step.map(|index| run.step(index).status);
    let task_before = step.and_then(|index| run.task(index, undoes(event)));
    let task_before = task_before.map(|task| task.status);
    apply(run, event);
    let cause = cause(run, step, event);
    let mut transitions = Vec::new();
    let run_after = run.word();
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
        RunEvent::RunStarted { .. }
            | RunEvent::RunRewound { .. }
            | RunEvent::RunFailing { .. }
            | RunEvent::SignalReceived { .. }
            | RunEvent::StallFound { .. }
            | RunEvent::StallResolved { .. }
    ) || run_before != run_after
    {
        push("run".to_owned(), run_before, run_after, &cause);
    }
    match event {
        RunEvent::UndoStarted {
            block: Some(block), ..
        } => {
            push(format!("step {block}"), "running", "running", &cause);
        }
        RunEvent::StateEntered { state, visit, .. } => {
            push(format!("state {state}.{visit}"), "new", "visited", &cause);
        }
        RunEvent::StateLeft {
            state,
            visit,
            to,
            by,
            ..
        } => {
            let why = format!("{by}, next is {to}");
            push(format!("state {state}.{visit}"), "visited", "left", &why);
        }
        _ => {}
    }
    if let Some((name, from, to)) = pass_change(run, event) {
        push(format!("body {name}"), from, to, &cause);
    }
    let (Some(index), Some(before)) = (step, step_before) else {
        return transitions;
    };
    let id = &run.name(index);
    for (number, undo, from, to, why) in attempts(run, index, event, task_before, &cause) {
        let kind = if undo { "undo" } else { "task" };
        push(format!("{kind} {id}#{number}"), from, to, &why);
    }
    let after = run.step(index).status;
    if before != after {
        // The line of the attempt or of the body has said why.
        let told = tells_a_task(event) || event.step().is_none();
        let own = if told { "" } else { &cause };
        push(format!("step {id}"), before.as_str(), after.as_str(), own);
    } else if let RunEvent::ApprovalDecided { .. }
    | RunEvent::ApprovalEscalated { .. }
    | RunEvent::SignalLost { .. }
    | RunEvent::IncidentResolved { .. }
    | RunEvent::BlockFailing { .. }
    | RunEvent::ChildEnded { .. }
    | RunEvent::BlockCancelling { .. } = event
    {
        push(
            format!("step {id}"),
            before.as_str(),
            after.as_str(),
            &cause,
        );
    }
    transitions
}

/// The step that a fact about a pass through its undo changes.
fn undone_by_pass(run: &RunState, event: &RunEvent) -> Option<Slot> {
    let (RunEvent::PassOpened { pass, .. } | RunEvent::PassEnded { pass, .. }) = event else {
        return None;
    };
    let (owner, body, _) = run.read_pass_name(pass)?;
    let undoes = matches!(run.machine.body(body).owner, Owner::Undo(_));
    owner.filter(|_| undoes)
}

/// What a fact about a pass changed, after it was applied.
fn pass_change<'e>(
    run: &RunState,
    event: &'e RunEvent,
) -> Option<(&'e str, &'static str, &'static str)> {
    let (name, from) = match event {
        RunEvent::PassOpened { pass, .. } => (pass, "new"),
        RunEvent::PassFailing { pass, .. } | RunEvent::PassStopping { pass, .. } => {
            (pass, "running")
        }
        RunEvent::PassEnded { pass, outcome, .. } => (
            pass,
            match outcome {
                PassOutcome::Succeeded => "running",
                PassOutcome::Failed => "failing",
                PassOutcome::Cancelled => "cancelling",
            },
        ),
        _ => return None,
    };
    let id = run.pass_named(name)?;
    Some((name, from, run.pass(id).status.as_str()))
}

fn tells_a_task(event: &RunEvent) -> bool {
    matches!(
        event,
        RunEvent::TaskReady { .. }
            | RunEvent::TaskClaimed { .. }
            | RunEvent::TaskCompleted { .. }
            | RunEvent::TaskFailed { .. }
            | RunEvent::TaskReleased { .. }
            | RunEvent::TaskAsked { .. }
            | RunEvent::TaskAnswered { .. }
            | RunEvent::TaskRetried { .. }
    )
}

type AttemptChange = (u32, bool, &'static str, &'static str, String);

/// The lives of the attempts that the fact touches, after it was applied to a task that stood at
/// `before`.
fn attempts(
    run: &RunState,
    index: Slot,
    event: &RunEvent,
    before: Option<TaskStatus>,
    cause: &str,
) -> Vec<AttemptChange> {
    let before = before.map_or("new", TaskStatus::as_str);
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
            (
                number(*undo) + 1,
                *undo,
                "new",
                "ready",
                "offered again".to_owned(),
            ),
        ],
        RunEvent::TaskAsked { undo, .. } => {
            vec![(number(*undo), *undo, "running", "asking", cause)]
        }
        RunEvent::TaskAnswered { undo, .. } => vec![
            (number(*undo), *undo, "asking", "answered", cause),
            (
                number(*undo) + 1,
                *undo,
                "new",
                "ready",
                "offered again".to_owned(),
            ),
        ],
        RunEvent::TaskProgressed { undo, .. }
        | RunEvent::TaskUnproven { undo, .. }
        | RunEvent::TaskWrote { undo, .. } => {
            vec![(number(*undo), *undo, "running", "running", cause)]
        }
        RunEvent::TaskCancelRequested { undo, .. } => {
            vec![(number(*undo), *undo, "running", "running", cause)]
        }
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
                None if before == TaskStatus::Asking.as_str() => (number(*undo), before, "failed"),
                None => (number(*undo) + 1, before, "failed"),
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
            Some(task) if before == TaskStatus::Asking.as_str() => {
                vec![(task.attempt, false, before, "cancelled", cause)]
            }
            Some(task) => vec![(task.attempt + 1, false, before, "cancelled", cause)],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn undoes(event: &RunEvent) -> bool {
    match event {
        RunEvent::TaskReady { undo, .. }
        | RunEvent::TaskClaimed { undo, .. }
        | RunEvent::TaskCompleted { undo, .. }
        | RunEvent::TaskFailed { undo, .. }
        | RunEvent::TaskReleased { undo, .. }
        | RunEvent::TaskAsked { undo, .. }
        | RunEvent::TaskAnswered { undo, .. }
        | RunEvent::TaskProgressed { undo, .. }
        | RunEvent::TaskWrote { undo, .. }
        | RunEvent::TaskUnproven { undo, .. }
        | RunEvent::TaskRetried { undo, .. }
        | RunEvent::TaskCancelRequested { undo, .. } => *undo,
        _ => false,
    }
}
