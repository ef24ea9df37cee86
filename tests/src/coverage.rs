//! Every pair of a state and an input, for each of the machines that a run is made of: the run, its
//! steps, their tasks, approvals and sagas.
//!
//! [`STATES`] and [`INPUTS`] are the list. [`probe`] tries every input on a state of a run that was
//! really reached and says what became of it; a pair that nothing tried is uncovered.

use std::collections::BTreeSet;

use phisync::engine::{
    ChildEnd, Delivery, Failure, FilesEnd, Input, Moment, PassOutcome, Phase, Progress, RawJson,
    Resolution, RunState, RunStatus, Slot, Source, StepStatus, TaskStatus, Undoing, decide,
};
use phisync_state::Timestamp;
use serde_json::json;

use crate::of_task;

/// The machines, and the states of each.
pub const STATES: [(&str, &[&str]); 5] = [
    (
        "run",
        &[
            "queued",
            "paused",
            "forward",
            "failing",
            "cancelling",
            "finishing",
            "handling",
            "compensating",
            "cleaning",
            "completed",
            "failed",
            "cancelled",
        ],
    ),
    (
        "step",
        &[
            "pending",
            "ready",
            "running",
            "waiting",
            "completed",
            "failed",
            "skipped",
            "cancelled",
            "compensating",
            "compensated",
            "compensation_failed",
        ],
    ),
    (
        "task",
        &[
            "none",
            "ready",
            "running",
            "stopping",
            "asking",
            "backoff",
            "completed",
            "failed",
            "cancelled",
        ],
    ),
    (
        "approval",
        &[
            "not asked",
            "open",
            "half decided",
            "escalated",
            "decided",
            "withdrawn",
        ],
    ),
    ("saga", &["idle", "undoing", "parked", "through"]),
];

/// The inputs. Those of a task, an approval and so on are about one step, the last seven about the run.
pub const INPUTS: [&str; 30] = [
    "claim",
    "complete",
    "complete, stale",
    "fail, final",
    "fail, transient",
    "release",
    "lose lease",
    "ask",
    "answer",
    "note progress",
    "write",
    "approve",
    "reject",
    "an unknown answer",
    "about other content",
    "deliver",
    "child ended",
    "files decided",
    "files done",
    "files failed",
    "resolve: retry",
    "resolve: skip",
    "resolve: abandon",
    "look again",
    "cancel",
    "pause",
    "resume",
    "admit",
    "signal",
    "time passes",
];

/// What became of a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The machine.
    pub machine: &'static str,
    /// Where it stood.
    pub from: &'static str,
    /// What came.
    pub input: &'static str,
    /// Where it went; `refused`, or `ignored` if nothing at all happened.
    pub to: &'static str,
}

/// Every pair of the list.
#[must_use]
pub fn pairs() -> BTreeSet<(&'static str, &'static str, &'static str)> {
    let machines = STATES.iter();
    let states = machines.flat_map(|(machine, states)| states.iter().map(move |s| (*machine, *s)));
    let pairs = states.flat_map(|(m, state)| INPUTS.iter().map(move |input| (m, state, *input)));
    pairs.collect()
}

/// Tries every input on a run.
pub fn probe(run: &RunState, now: Timestamp, seen: &mut BTreeSet<Seen>) {
    for slot in run.slots() {
        for (input, what) in about_step(run, slot, false) {
            let tried = attempt(run, what, now);
            note(seen, "run", run_word(run), input, tried.to(run_word));
            let step = |run: &RunState| run.step(slot).status.as_str();
            note(seen, "step", step(run), input, tried.to(step));
            let task = |run: &RunState| task_word(run, slot, false);
            if is_task(run, slot) {
                note(seen, "task", task(run), input, tried.to(task));
            }
            let approval = |run: &RunState| approval_word(run, slot);
            if run.is_approval(slot) {
                note(seen, "approval", approval(run), input, tried.to(approval));
            }
        }
        for (input, what) in about_step(run, slot, true) {
            let tried = attempt(run, what, now);
            note(seen, "saga", saga_word(run), input, tried.to(saga_word));
        }
    }
    for (input, what, at) in about_run(run, now) {
        let tried = attempt(run, what, at);
        note(seen, "run", run_word(run), input, tried.to(run_word));
        note(seen, "saga", saga_word(run), input, tried.to(saga_word));
        for slot in run.slots() {
            let step = |run: &RunState| run.step(slot).status.as_str();
            note(seen, "step", step(run), input, tried.to(step));
            let task = |run: &RunState| task_word(run, slot, false);
            if is_task(run, slot) {
                note(seen, "task", task(run), input, tried.to(task));
            }
            let approval = |run: &RunState| approval_word(run, slot);
            if run.is_approval(slot) {
                note(seen, "approval", approval(run), input, tried.to(approval));
            }
        }
    }
}

/// How an input ended.
enum Tried {
    Refused,
    Ignored,
    Done(Box<RunState>),
}

impl Tried {
    /// Where something went, in its own word.
    fn to(&self, word: impl Fn(&RunState) -> &'static str) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Ignored => "ignored",
            Self::Done(run) => word(run),
        }
    }
}

fn attempt(run: &RunState, input: Input, now: Timestamp) -> Tried {
    let mut after = run.clone();
    match decide(&mut after, input, Moment { now, dice: 0 }) {
        Err(_) => {
            assert!(after == *run, "what is refused changes nothing");
            Tried::Refused
        }
        Ok(decision) if decision.events.is_empty() => Tried::Ignored,
        Ok(_) => Tried::Done(Box::new(after)),
    }
}

fn note(
    seen: &mut BTreeSet<Seen>,
    machine: &'static str,
    from: &'static str,
    input: &'static str,
    to: &'static str,
) {
    seen.insert(Seen {
        machine,
        from,
        input,
        to,
    });
}

fn is_task(run: &RunState, slot: Slot) -> bool {
    run.spec(slot).kind.name() == "task"
}

fn run_word(run: &RunState) -> &'static str {
    match run.status {
        RunStatus::Running if run.paused.is_some() => "paused",
        RunStatus::Running if run.held => "queued",
        RunStatus::Running => run.phase.as_str(),
        status => status.as_str(),
    }
}

fn task_word(run: &RunState, slot: Slot, undo: bool) -> &'static str {
    match run.task(slot, undo) {
        None => "none",
        Some(task) if task.cancel_requested && task.status == TaskStatus::Running => "stopping",
        Some(task) => task.status.as_str(),
    }
}

fn approval_word(run: &RunState, slot: Slot) -> &'static str {
    let step = run.step(slot);
    match (&step.approval, step.outcome) {
        (_, Some(StepStatus::Cancelled)) => "withdrawn",
        (None, _) => "not asked",
        (Some(_), Some(_)) => "decided",
        (Some(approval), None) if !approval.verdicts.is_empty() => "half decided",
        (Some(approval), None) if approval.escalated => "escalated",
        (Some(_), None) => "open",
    }
}

fn saga_word(run: &RunState) -> &'static str {
    let mut sagas = run.undoing.values();
    if !run.incidents.is_empty() {
        "parked"
    } else if sagas.clone().next().is_none() {
        "idle"
    } else if run.phase == Phase::Closed || sagas.all(Undoing::is_through) {
        "through"
    } else {
        "undoing"
    }
}

fn about_step(run: &RunState, slot: Slot, undo: bool) -> Vec<(&'static str, Input)> {
    let step = run.name(slot);
    let task = run.task(slot, undo);
    let token = task
        .and_then(|task| task.holder.as_ref())
        .map_or(0, |holder| holder.token);
    let output = RawJson::from_value(&json!({"ok": true}));
    let answer = |by: &str, decision: &str, shown: Option<&str>| Input::Decide {
        step: step.clone(),
        decision: decision.to_owned(),
        by: by.to_owned(),
        comment: None,
        form: None,
        shown_hash: shown.map(str::to_owned),
    };
    let attempt = run.step(slot).files.as_ref().map_or(1, |work| work.attempt);
    let files = |end| Input::FilesEnded {
        step: step.clone(),
        attempt,
        end,
    };
    let resolve = |action| Input::Resolve {
        step: step.clone(),
        action,
        reason: "because".to_owned(),
        by: "p1".to_owned(),
    };
    let child = run
        .step(slot)
        .block
        .as_ref()
        .and_then(|block| match &block.progress {
            Progress::Call { run, .. } => Some(run.clone()),
            _ => None,
        });
    let heard = run.heard(&step);
    let source = heard.map_or(Source::Signal("go".to_owned()), |wait| {
        wait.subscription.source.clone()
    });
    let number = heard.map_or(1, |wait| wait.heard.len() as u64 + 1);
    let mut inputs = Vec::from(of_task(&step, undo, token, false));
    inputs.extend([
        (
            "ask",
            Input::Ask {
                step: step.clone(),
                undo,
                token,
                question: "which".to_owned(),
                form: None,
            },
        ),
        (
            "answer",
            Input::Answer {
                step: step.clone(),
                undo,
                by: "p5".to_owned(),
                text: Some("that one".to_owned()),
                form: None,
                shown_hash: None,
            },
        ),
        (
            "note progress",
            Input::NoteProgress {
                step: step.clone(),
                undo,
                token,
                progress: output.clone(),
                said_at: run.started_at,
            },
        ),
        (
            "write",
            Input::Write {
                step: step.clone(),
                undo,
                token,
                transaction: "tx-1".to_owned(),
                documents: Vec::new(),
                files: Vec::new(),
            },
        ),
        ("approve", answer("p8", "approve", None)),
        ("reject", answer("p9", "reject", None)),
        ("an unknown answer", answer("p7", "perhaps", None)),
        (
            "about other content",
            answer("p6", "approve", Some("another")),
        ),
        (
            "deliver",
            Input::Deliver {
                step: step.clone(),
                what: Delivery {
                    source,
                    number,
                    data: output.clone(),
                    at: run.started_at,
                },
            },
        ),
        (
            "child ended",
            Input::ChildEnded {
                step: step.clone(),
                end: ChildEnd {
                    run: child.unwrap_or_else(|| run.id.clone()),
                    outcome: PassOutcome::Succeeded,
                    output: Some(output.clone()),
                    error: None,
                },
            },
        ),
        (
            "files decided",
            files(FilesEnd::Decided {
                transaction: "t-1".to_owned(),
                output: output.clone(),
            }),
        ),
        ("files done", files(FilesEnd::Done)),
        (
            "files failed",
            files(FilesEnd::Failed(Failure::new("files.conflict", "x"))),
        ),
        ("resolve: retry", resolve(Resolution::Retry)),
        ("resolve: skip", resolve(Resolution::Skip)),
        ("resolve: abandon", resolve(Resolution::Abandon)),
    ]);
    inputs
}

fn about_run(run: &RunState, now: Timestamp) -> Vec<(&'static str, Input, Timestamp)> {
    let by = || "p1".to_owned();
    let look = Input::ResolveStall {
        action: Resolution::Retry,
        reason: "because".to_owned(),
        by: by(),
    };
    let signal = Input::Signal {
        name: "go".to_owned(),
        data: RawJson::from_value(&json!(null)),
        by: by(),
    };
    vec![
        ("look again", look, now),
        (
            "cancel",
            Input::Cancel {
                by: by(),
                reason: None,
            },
            now,
        ),
        (
            "pause",
            Input::Pause {
                by: by(),
                reason: None,
            },
            now,
        ),
        ("resume", Input::Resume { by: by() }, now),
        ("admit", Input::Admit, now),
        ("signal", signal, now),
        (
            "time passes",
            Input::Tick,
            run.next_deadline().unwrap_or(now),
        ),
    ]
}
