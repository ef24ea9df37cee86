//! Why a fact changed something: the last column of the transition log.

use phisync_workflows::machine::{OnTimeout, StepKind};

use crate::engine::event::{BlockWork, PassOutcome, RunEvent};
use crate::engine::pass::Slot;
use crate::engine::run::RunState;
use crate::engine::{RawJson, Resolution};

/// What made the transition, in a few words, after the fact was applied.
pub(super) fn cause(run: &RunState, step: Option<Slot>, event: &RunEvent) -> String {
    use crate::engine::CancelReason::{
        BodyFailed, Outrun, RunCancelled, RunFailed, RunFinished, StateLeft, Upstream,
    };
    let cancelled = |reason: &crate::engine::CancelReason| match reason {
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
        RunEvent::TaskWrote {
            documents, files, ..
        } => {
            let documents = documents.iter().map(|document| document.name.as_str());
            let files = files.iter().map(|file| file.path.as_str());
            let all: Vec<_> = documents.chain(files).collect();
            format!("wrote {}", all.join(", "))
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
            run: child,
            outcome,
            error,
            ..
        } => match (error, outcome) {
            (Some(error), _) => format!("{}: {}", error.code, error.message),
            (None, PassOutcome::Cancelled) => format!("run {child} was cancelled"),
            (None, _) if step.is_some_and(|step| run.unwinds(step)) => {
                format!("run {child} has undone it")
            }
            (None, _) => format!("run {child} has completed"),
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
            None => match (&run.walk, run.machine.states()) {
                (Some(walk), Some(states)) => {
                    let state = states.states.get(walk.state.get());
                    let name = state.map_or("", |state| state.id.as_str());
                    format!("`{name}` is final")
                }
                _ => "all steps have ended".to_owned(),
            },
        },
        RunEvent::StateEntered { .. } => "entered".to_owned(),
        RunEvent::StateLeft { by, .. } => by.clone(),
        RunEvent::UndoStarted { steps, already, .. } => match (steps.len(), already.len()) {
            (_, 0) => format!("undoes {}", steps.join(", ")),
            (0, _) => format!("{} undone before", already.join(", ")),
            _ => format!(
                "undoes {}; {} undone before",
                steps.join(", "),
                already.join(", ")
            ),
        },
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
                Resolution::Retry => "to be looked at again",
                Resolution::Skip => "to fail by its own rules",
                Resolution::Abandon => "to be closed as it stands",
            };
            format!("{decision}, says {by}: {reason}")
        }
        RunEvent::RunCompleted { .. } => "all steps have ended".to_owned(),
        RunEvent::RunFailed { undo, .. } | RunEvent::RunCancelled { undo, .. } => {
            let error = run.error.as_ref();
            let error = error.map_or_else(String::new, |error| format!("{}, ", error.code));
            let undone = match undo {
                crate::engine::Undo::None => "nothing to undo",
                crate::engine::Undo::Done => "undone",
                crate::engine::Undo::Partial => "undone in part",
                crate::engine::Undo::Abandoned => "undoing abandoned",
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
        BlockWork::Call {
            run,
            undoes: Some(undone),
            ..
        } => format!("has run {undone} undone, by {run}"),
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
