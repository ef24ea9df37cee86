//! The transition log: what a fact changed, one line per transition, the same bytes for the same
//! facts.

use std::fmt;

use phisync_state::Timestamp;
use phisync_workflows::machine::{OnTimeout, Owner, StepKind};

use super::event::{BlockWork, PassOutcome, RunEvent, Then};
use super::pass::Slot;
use super::run::RunState;
use super::status::TaskStatus;
use super::{RawJson, Resolution, apply};

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
        RunEvent::TaskProgressed { undo, .. } | RunEvent::TaskUnproven { undo, .. } => {
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
        | RunEvent::TaskUnproven { undo, .. }
        | RunEvent::TaskRetried { undo, .. }
        | RunEvent::TaskCancelRequested { undo, .. } => *undo,
        _ => false,
    }
}

fn cause(run: &RunState, step: Option<Slot>, event: &RunEvent) -> String {
    use super::CancelReason::{
        BodyFailed, Outrun, RunCancelled, RunFailed, RunFinished, StateLeft, Upstream,
    };
    let cancelled = |reason: &super::CancelReason| match reason {
        Upstream => "what it needs cannot come",
        RunFailed => "the run failed",
        RunCancelled => "the run was cancelled",
        Outrun => "another branch was faster",
        BodyFailed => "what it belongs to failed",
        RunFinished => "the run was finished",
        StateLeft => "its state was left",
    };
    let said = |words: &Option<String>| match words {
        Some(words) => format!(": {words}"),
        None => String::new(),
    };
    match event {
        RunEvent::RunStarted { by, .. } => format!("started by {by}"),
        RunEvent::RunRewound { to, by, reason, .. } => {
            format!("rewound to event {to} by {by}: {reason}")
        }
        RunEvent::RunPaused { by, reason, .. } => format!("paused by {by}{}", said(reason)),
        RunEvent::RunResumed { by, .. } => format!("resumed by {by}"),
        RunEvent::RunHeld { .. } => "waits for others with the same concurrency key".to_owned(),
        RunEvent::RunAdmitted { .. } => "its turn has come".to_owned(),
        RunEvent::SignalReceived { name, by, .. } => format!("signal {name} from {by}"),
        RunEvent::EventAwaited { subscription, .. } => {
            format!("waits for {}", subscription.source.words())
        }
        RunEvent::EventDelivered { source, number, .. } => {
            format!("{} number {number}", source.words())
        }
        RunEvent::EventEmitted { event, .. } => format!("event `{event}` sent"),
        RunEvent::SignalLost { signal, why, .. } => {
            format!("signal `{signal}` reached nobody: {why}")
        }
        RunEvent::StepSkipped { .. } => "its condition is false".to_owned(),
        RunEvent::StepCompleted { .. } => match step.and_then(|index| decision(run, index)) {
            Some(decision) => decision,
            None => "done".to_owned(),
        },
        RunEvent::StepFailed { error, .. } | RunEvent::TaskFailed { error, .. } => {
            format!("{}: {}", error.code, error.message)
        }
        RunEvent::StepCancelled { reason, .. } => cancelled(reason).to_owned(),
        RunEvent::TaskCancelRequested { undo, reason, .. } => {
            let agent = last_agent(run, step, *undo);
            format!("{agent} is asked to stop: {}", cancelled(reason))
        }
        RunEvent::TaskReady { undo: false, .. } => {
            let needs = step.map_or(&[][..], |index| &run.spec(index).needs);
            let met = if needs.is_empty() {
                "it needs nothing"
            } else {
                "its needs are met"
            };
            met.to_owned()
        }
        RunEvent::TaskReady { undo: true, .. } => "to be undone".to_owned(),
        RunEvent::TaskClaimed { agent, .. } => format!("taken by {agent}"),
        RunEvent::TaskCompleted { undo, .. } => {
            format!("result of {} accepted", last_agent(run, step, *undo))
        }
        RunEvent::TaskReleased { undo, begun, .. } => {
            let midway = if *begun { ", begun" } else { "" };
            format!("given back by {}{midway}", last_agent(run, step, *undo))
        }
        RunEvent::TaskAsked { undo, question, .. } => {
            format!("{} asks: {question}", last_agent(run, step, *undo))
        }
        RunEvent::TaskAnswered { by, text, .. } => format!("answered by {by}{}", said(text)),
        RunEvent::TaskUnproven { unmet, .. } => {
            let words = unmet.iter().map(|u| format!("{}: {}", u.what, u.why));
            format!(
                "result without proof: {}",
                words.collect::<Vec<_>>().join("; ")
            )
        }
        RunEvent::TaskProgressed { undo, progress, .. } => {
            format!(
                "{} was at {}",
                last_agent(run, step, *undo),
                progress.text()
            )
        }
        RunEvent::TaskRetried { .. } => "back-off over".to_owned(),
        RunEvent::ApprovalRequested { prompt, .. } => match prompt {
            Some(prompt) => format!("asks: {prompt}"),
            None => "asks for a decision".to_owned(),
        },
        RunEvent::ApprovalDecided {
            approved,
            decision,
            by,
            comment,
            ..
        } => {
            let verb = match decision {
                Some(option) => option.as_str(),
                None if *approved => "approved",
                None => "rejected",
            };
            format!("{verb} by {by}{}", said(comment))
        }
        RunEvent::ApprovalEscalated { .. } => "others may decide now, too".to_owned(),
        RunEvent::RunFailing { step, error, .. } => match step {
            Some(step) => format!("{step}: {}: {}", error.code, error.message),
            None => format!("{}: {}", error.code, error.message),
        },
        RunEvent::RunCancelling { by, reason, .. } => {
            format!("cancelled by {by}{}", said(reason))
        }
        RunEvent::BlockStarted { attempt, work, .. } => {
            let again = if *attempt > 1 {
                format!(", attempt {attempt}")
            } else {
                String::new()
            };
            format!("{}{again}", work_words(work))
        }
        RunEvent::BlockFailing { error, .. } => format!("{}: {}", error.code, error.message),
        RunEvent::BlockCancelling { reason, .. } | RunEvent::PassStopping { reason, .. } => {
            cancelled(reason).to_owned()
        }
        RunEvent::BlockRetried { error, at, due, .. } => {
            let wait = due.since(*at).as_secs_f64();
            format!("{}: {}; retry in {wait:.3}s", error.code, error.message)
        }
        RunEvent::ChildEnded {
            run,
            outcome,
            error,
            ..
        } => match (error, outcome) {
            (Some(error), _) => format!("{}: {}", error.code, error.message),
            (None, PassOutcome::Cancelled) => format!("run {run} was cancelled"),
            (None, _) => format!("run {run} has completed"),
        },
        RunEvent::FilesWanted { order, .. } => match &order.reverts {
            Some(transaction) => format!("wants {transaction} put back"),
            None => format!("wants {} changes of files", order.changes.len()),
        },
        RunEvent::FilesDecided { transaction, .. } => format!("decided as {transaction}"),
        RunEvent::FilesRetried { error, at, due, .. } => {
            let wait = due.since(*at).as_secs_f64();
            format!("{}: {}; retry in {wait:.3}s", error.code, error.message)
        }
        RunEvent::TimerSet { at, due, .. } => {
            format!("waits {:.3}s", due.since(*at).as_secs_f64())
        }
        RunEvent::PassOpened { .. } => "entered".to_owned(),
        RunEvent::PassFailing { step, error, .. } => {
            format!("{step}: {}: {}", error.code, error.message)
        }
        RunEvent::PassEnded {
            error,
            at,
            due,
            exhausted,
            ..
        } => match (error, due) {
            (Some(error), _) => format!("{}: {}", error.code, error.message),
            (None, Some(due)) => format!("goes on in {:.3}s", due.since(*at).as_secs_f64()),
            (None, None) if *exhausted => "no iteration is left".to_owned(),
            (None, None) => String::new(),
        },
        RunEvent::RunFinishing {
            step, recovered, ..
        } => match step {
            Some(step) => format!("finished by {step}"),
            None if *recovered => "made good by its on_failure".to_owned(),
            None => "all steps have ended".to_owned(),
        },
        RunEvent::StateEntered { .. } => "entered".to_owned(),
        RunEvent::StateLeft { by, .. } => by.clone(),
        RunEvent::UndoStarted { steps, .. } => format!("undoes {}", steps.join(", ")),
        RunEvent::IncidentOpened { error, .. } => {
            format!("incident: {}: {}", error.code, error.message)
        }
        RunEvent::IncidentResolved {
            action, reason, by, ..
        } => {
            let decision = match action {
                Resolution::Retry => "to be tried again",
                Resolution::Skip => "to be skipped",
                Resolution::Abandon => "not to be undone, nor anything else",
            };
            format!("{decision}, says {by}: {reason}")
        }
        RunEvent::StallFound { step, found, .. } => match step {
            Some(step) => format!("stalled: {step}: {found}"),
            None => format!("stalled: {found}"),
        },
        RunEvent::StallResolved {
            action, reason, by, ..
        } => {
            let decision = match action {
                Resolution::Retry | Resolution::Skip => "to be looked at again",
                Resolution::Abandon => "to be closed as it stands",
            };
            format!("{decision}, says {by}: {reason}")
        }
        RunEvent::RunCompleted { .. } => "all steps have ended".to_owned(),
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

fn work_words(work: &BlockWork) -> String {
    match work {
        BlockWork::Do | BlockWork::Try => "begins".to_owned(),
        BlockWork::Parallel => "all branches".to_owned(),
        BlockWork::Switch { case } => format!("case {case}"),
        BlockWork::Foreach { items } => {
            let items = serde_json::from_str::<Vec<RawJson>>(items.text());
            match items.map(|items| items.len()) {
                Ok(1) => "1 item".to_owned(),
                Ok(count) => format!("{count} items"),
                Err(_) => "no items".to_owned(),
            }
        }
        BlockWork::Loop { .. } => "first iteration".to_owned(),
        BlockWork::Call { run, workflow, .. } => format!("calls {workflow} as {run}"),
    }
}

fn last_agent(run: &RunState, step: Option<Slot>, undo: bool) -> &str {
    let task = step.and_then(|index| run.task(index, undo));
    task.and_then(|task| task.last_agent.as_deref())
        .unwrap_or("nobody")
}

/// How an approval ended well: by people, or by the clock.
fn decision(run: &RunState, index: Slot) -> Option<String> {
    let StepKind::Approval(spec) = &run.spec(index).kind else {
        return None;
    };
    let verdicts = &run.step(index).approval.as_ref()?.verdicts;
    let other = verdicts
        .iter()
        .find(|v| !v.approves() && v.decision != "reject");
    if let Some(other) = other {
        return Some(format!("{} says {}", other.by, other.decision));
    }
    let yes = verdicts.iter().filter(|verdict| verdict.approves()).count();
    let no = verdicts.iter().find(|verdict| !verdict.approves());
    if let Some(no) = no.filter(|_| yes < spec.quorum as usize) {
        return Some(format!("rejected by {}, goes on all the same", no.by));
    }
    if yes < spec.quorum as usize {
        let meaning = match spec.on_timeout {
            OnTimeout::Approve => "approved",
            OnTimeout::Reject | OnTimeout::Fail | OnTimeout::Escalate => {
                "rejected, goes on all the same"
            }
        };
        let waited = spec.timeout.as_secs();
        return Some(format!("undecided for {waited}s, counts as {meaning}"));
    }
    Some(format!("{yes} of {} approvals", spec.quorum))
}
