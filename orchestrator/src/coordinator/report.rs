//! What people get to see of runs: the wire forms of `crate::protocol`, and the chain of reasons
//! of `why`.

use std::collections::BTreeMap;

use phisync_workflows::Machine;
use phisync_workflows::machine::{Approvers, StepKind};

use crate::engine::{
    PassId, Phase, RunState, Slot, StepState, StepStatus, TaskId, TaskState, Undo, Waker,
};
use crate::protocol::{
    ApprovalSummary, Asked, Asks, Failure, IncidentSummary, Registered, RewoundTo, RunDetail,
    RunSummary, Started, StepDetail, TaskDetail, Why,
};

use super::Refusal;
use super::questions::ANSWER;

/// Tells what keeps each agent from a ready task.
pub(super) type Team<'a> = dyn Fn(&TaskId) -> Vec<(String, String)> + 'a;

pub(super) fn registered(machine: &Machine) -> Registered {
    Registered {
        name: machine.name().to_owned(),
        version: machine.version().to_owned(),
        hash: machine.hash().to_owned(),
    }
}

fn failure(error: &crate::engine::Failure, step: Option<&str>) -> Failure {
    Failure {
        code: error.code.clone(),
        message: error.message.clone(),
        step: step.map(str::to_owned),
        data: error.data.as_ref().map(crate::engine::RawJson::to_boxed),
    }
}

fn run_failure(run: &RunState) -> Option<Failure> {
    let error = run.error.as_ref().filter(|_| !run.recovered)?;
    Some(failure(error, run.failed_step.as_deref()))
}

fn undo_word(undo: Undo) -> &'static str {
    match undo {
        Undo::None => "none",
        Undo::Done => "done",
        Undo::Partial => "partial",
        Undo::Abandoned => "abandoned",
    }
}

pub(super) fn started(run: &RunState) -> Started {
    Started {
        id: run.id.to_string(),
        status: run.status.as_str().to_owned(),
        seq: run.version,
        outputs: run.outputs.as_ref().map(crate::engine::RawJson::to_boxed),
        error: run_failure(run),
        attached: false,
    }
}

pub(super) fn summary(run: &RunState) -> RunSummary {
    RunSummary {
        id: run.id.to_string(),
        workflow: run.machine.name().to_owned(),
        version: run.machine.version().to_owned(),
        status: run.status.as_str().to_owned(),
        phase: run.phase.as_str().to_owned(),
        started_at: run.started_at.to_string(),
        closed_at: run.closed_at.map(|at| at.to_string()),
        by: run.by.clone(),
        labels: run.labels.clone(),
        error: run_failure(run),
        undo: undo_word(run.undo).to_owned(),
    }
}

pub(super) fn detail(run: &RunState) -> RunDetail {
    RunDetail {
        summary: summary(run),
        definition: run.machine.hash().to_owned(),
        events: run.version,
        rewound: run.rewound.as_ref().map(|rewound| RewoundTo {
            event: rewound.to,
            by: rewound.by.clone(),
            reason: rewound.reason.clone(),
            at: rewound.at.to_string(),
        }),
        deadline: run.deadline.to_string(),
        inputs: run.inputs.clone(),
        steps: step_rows(run),
        outputs: run.outputs.as_ref().map(crate::engine::RawJson::parse),
    }
}

/// More rounds of one step than this become one row that counts them.
const ROUNDS_MAX: usize = 6;

/// The steps that came to be, in file order; of one with many rounds those that matter most, after
/// a row that counts all.
fn step_rows(run: &RunState) -> Vec<StepDetail> {
    let mut rounds: Vec<Vec<Slot>> = vec![Vec::new(); run.machine.steps().len()];
    for slot in run.slots() {
        rounds[run.step(slot).spec.get()].push(slot);
    }
    let mut rows = Vec::new();
    for slots in rounds {
        let row = |slot: &Slot| step_detail(run, *slot, run.step(*slot));
        let Some(first) = slots.first().filter(|_| slots.len() > ROUNDS_MAX) else {
            rows.extend(slots.iter().map(row));
            continue;
        };
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for slot in &slots {
            let status = run.step(*slot).status.as_str().to_owned();
            *counts.entry(status).or_default() += 1;
        }
        let words = counts
            .iter()
            .map(|(status, count)| format!("{count} {status}"));
        let status = words.collect::<Vec<_>>().join(", ");
        rows.push(StepDetail {
            id: format!("{}.*", run.spec(*first).id),
            kind: run.spec(*first).kind.name().to_owned(),
            status,
            rounds: counts,
            ..StepDetail::default()
        });
        let matters = |slot: &&Slot| {
            let step = run.step(**slot);
            let waits = step
                .waker
                .as_ref()
                .is_some_and(|waker| *waker != Waker::Needs);
            waits || step.status == StepStatus::Failed
        };
        rows.extend(slots.iter().filter(matters).take(ROUNDS_MAX).map(row));
    }
    rows
}

fn step_detail(run: &RunState, index: Slot, step: &StepState) -> StepDetail {
    let spec = run.spec(index);
    let kind = spec.kind.name();
    let task = step.undo.as_deref().or(step.task.as_deref());
    StepDetail {
        id: run.name(index),
        kind: kind.to_owned(),
        status: step.status.as_str().to_owned(),
        attempts: task.map_or(0, |task| task.attempt),
        agent: task.and_then(|task| task.last_agent.clone()),
        started_at: step.started_at.map(|at| at.to_string()),
        ended_at: step.ended_at.map(|at| at.to_string()),
        output: step.output.as_ref().map(crate::engine::RawJson::parse),
        error: step.error.as_ref().map(|error| failure(error, None)),
        waits_for: step
            .waker
            .as_ref()
            .map(|waker| waits_for(run, index, waker).0),
        rounds: BTreeMap::new(),
    }
}

pub(super) fn approval(run: &RunState, index: Slot) -> Option<ApprovalSummary> {
    let StepKind::Approval(spec) = &run.spec(index).kind else {
        return None;
    };
    let step = run.step(index);
    let approval = step.approval.as_ref()?;
    let id = run.name(index);
    let others = spec.escalate.as_ref().filter(|_| approval.escalated);
    let from = |names: fn(&Approvers) -> &Vec<String>| {
        let mut all = names(&spec.from).clone();
        all.extend(
            others
                .into_iter()
                .flat_map(|others| names(&others.to))
                .cloned(),
        );
        all
    };
    Some(ApprovalSummary {
        id: format!("{}.{id}", run.id),
        kind: Asks::Approval,
        run: run.id.to_string(),
        workflow: run.machine.name().to_owned(),
        step: id,
        status: step.status.as_str().to_owned(),
        prompt: approval.prompt.clone(),
        show: approval.show.as_ref().map(crate::engine::RawJson::parse),
        shown_hash: approval.shown_hash.clone(),
        options: spec.options.clone(),
        form: spec.form.as_ref().map(|form| form.to_json()),
        roles: from(|who| &who.roles),
        users: from(|who| &who.users),
        agents: from(|who| &who.agents),
        excluded: approval.excluded.clone(),
        quorum: spec.quorum,
        approved_by: approval
            .verdicts
            .iter()
            .filter(|verdict| verdict.approves())
            .map(|verdict| verdict.by.clone())
            .collect(),
        requested_at: approval.requested_at.to_string(),
        deadline: approval.deadline.to_string(),
    })
}

/// A task as people look at it; what its holder says of its progress is not known here.
pub(super) fn task(run: &RunState, slot: Slot, undo: bool) -> Option<TaskDetail> {
    let task = run.task(slot, undo)?;
    let rules = crate::engine::rules(run.spec(slot), undo)?;
    let id = TaskId {
        run: run.id.clone(),
        step: slot,
        undo,
    };
    let waits = task.waker.as_ref();
    let waits = waits.map(|waker| waits_for(run, slot, waker));
    let questions = task.questions.iter().map(|question| {
        let answer = question.answer.as_ref();
        Asked {
            question: question.text.clone(),
            by: question.asked_by.clone(),
            at: question.asked_at.to_string(),
            answered_by: answer.map(|answer| answer.by.clone()),
            answer: answer.and_then(|answer| answer.text.clone()),
            form: answer.and_then(|answer| Some(answer.form.as_ref()?.parse())),
        }
    });
    Some(TaskDetail {
        id: id.print(run),
        run: run.id.to_string(),
        workflow: run.machine.name().to_owned(),
        step: run.name(slot),
        task_type: rules.spec.task_type.clone(),
        status: task.status.as_str().to_owned(),
        attempt: task.attempt,
        agent: task.last_agent.clone(),
        waits_for: waits.as_ref().map(|(text, ..)| text.clone()),
        until: waits.and_then(|(_, _, until)| until),
        cancel_requested: task.cancel_requested,
        progress: None,
        input: task.input.to_boxed(),
        prompt: task.prompt.clone(),
        handoff: crate::engine::handoff(task),
        questions: questions.collect(),
    })
}

/// What the holder of a task asked last, whether it is answered or not.
pub(super) fn question(run: &RunState, slot: Slot, undo: bool) -> Option<ApprovalSummary> {
    let task = run.task(slot, undo)?;
    let question = task.questions.last()?;
    let from = run.asks(slot, undo).from.unwrap_or_default();
    let id = TaskId {
        run: run.id.clone(),
        step: slot,
        undo,
    };
    Some(ApprovalSummary {
        id: id.print(run),
        kind: Asks::Question,
        run: run.id.to_string(),
        workflow: run.machine.name().to_owned(),
        step: run.name(slot),
        status: match &question.answer {
            Some(_) => "answered",
            None => task.status.as_str(),
        }
        .to_owned(),
        prompt: Some(question.text.clone()),
        show: None,
        shown_hash: question.shown_hash.clone(),
        options: vec![ANSWER.to_owned()],
        form: question.form.as_ref().map(crate::engine::RawJson::parse),
        roles: from.roles,
        users: from.users,
        agents: from.agents,
        excluded: vec![question.asked_by.clone()],
        quorum: 1,
        approved_by: question
            .answer
            .iter()
            .map(|answer| answer.by.clone())
            .collect(),
        requested_at: question.asked_at.to_string(),
        deadline: question.deadline.to_string(),
    })
}

pub(super) fn incidents(run: &RunState) -> Vec<IncidentSummary> {
    let incidents = run.incidents.iter().map(|(slot, error)| {
        let step = run.name(*slot);
        IncidentSummary {
            id: format!("{}.{step}", run.id),
            run: run.id.to_string(),
            error: failure(error, Some(&step)),
            step,
        }
    });
    incidents.collect()
}

/// A waker in words, as one word, and its deadline.
fn waits_for(run: &RunState, index: Slot, waker: &Waker) -> (String, &'static str, Option<String>) {
    let spec = run.spec(index);
    match waker {
        Waker::Needs => {
            let open = run.needs(index);
            let open = open.filter(|need| run.step(*need).outcome.is_none());
            let open: Vec<_> = open.map(|need| run.name(need)).collect();
            (format!("needs {}", open.join(", ")), "needs", None)
        }
        Waker::Steps => ("its open steps".to_owned(), "steps", None),
        Waker::Child { run } => (format!("run {run} to end"), "run", None),
        Waker::Files { until } => (
            match until {
                Some(_) => "its files to be staged",
                None => "its files to be on disk",
            }
            .to_owned(),
            "files",
            until.map(|until| until.to_string()),
        ),
        Waker::Event { source, until } => (source.clone(), "event", Some(until.to_string())),
        Waker::Agent { until } => {
            let undo = run.step(index).undo.is_some();
            let rules = crate::engine::rules(spec, undo);
            let who = rules.map_or_else(String::new, |rules| match &rules.assign.agent {
                Some(agent) => agent.clone(),
                None if rules.assign.capabilities.is_empty() => "any agent".to_owned(),
                None => format!("an agent that can {}", rules.assign.capabilities.join(", ")),
            });
            (
                format!("{who} to take it"),
                "agent",
                Some(until.to_string()),
            )
        }
        Waker::Lease { agent, until } => (
            format!("a result from {agent}, or the end of its lease"),
            "lease",
            Some(until.to_string()),
        ),
        Waker::Timer { at } => (
            match spec.kind {
                StepKind::Wait(_) => "its time to come",
                StepKind::Loop(_) => "its next iteration",
                _ => "its back-off to end",
            }
            .to_owned(),
            "timer",
            Some(at.to_string()),
        ),
        Waker::Person { until } if !run.is_approval(index) => {
            let undo = run.step(index).undo.is_some();
            let asked = question(run, index, undo);
            let text = asked.map_or_else(String::new, |asked| {
                let names = [asked.roles, asked.users, asked.agents].concat();
                let who = match names.as_slice() {
                    [] => "any person".to_owned(),
                    names => names.join(", "),
                };
                let (asker, prompt) = (asked.excluded.join(", "), asked.prompt.unwrap_or_default());
                format!("an answer of {who} to {asker}: {prompt}")
            });
            (text, "person", Some(until.to_string()))
        }
        Waker::Person { until } => {
            let from = approval(run, index).map_or_else(String::new, |approval| {
                let names = [approval.roles, approval.users, approval.agents].concat();
                names.join(", ")
            });
            (
                format!("a decision by {from}"),
                "person",
                Some(until.to_string()),
            )
        }
        Waker::Undo => ("its steps to be undone".to_owned(), "undo", None),
        Waker::Incident { step } => (
            format!("a person: `{step}` could not be undone (retry, skip or abandon)"),
            "incident",
            None,
        ),
    }
}

/// What a run, or one of its steps, waits for.
pub(super) fn why(run: &RunState, step: Option<&str>, team: &Team<'_>) -> Result<Why, Refusal> {
    let Some(step) = step else {
        return Ok(why_run(run, team));
    };
    let slot = run.slot_named(step).ok_or_else(|| Refusal::NotFound {
        what: "step",
        id: format!("{}/{step}", run.id),
    })?;
    Ok(why_step(run, slot, team))
}

fn why_run(run: &RunState, team: &Team<'_>) -> Why {
    let subject = format!("run {}", run.id);
    let Some(waker) = &run.waker else {
        let error = run_failure(run);
        return Why {
            subject,
            state: run.status.as_str().to_owned(),
            waker: "none".to_owned(),
            text: match error {
                Some(error) => format!("it is closed: {}: {}", error.code, error.message),
                None => format!("it is closed{}", rewound_words(run)),
            },
            until: None,
            because: Vec::new(),
        };
    };
    let (text, word, _) = waits_for(run, Slot(0), waker);
    let because = match waker {
        Waker::Incident { .. } => Vec::new(),
        Waker::Undo => {
            let undone = |slot: &Slot| run.step(*slot).status == StepStatus::Compensating;
            why_steps(run, run.slots().filter(undone), team)
        }
        _ => why_steps(run, open_in(run, run.own_passes()), team),
    };
    Why {
        subject,
        state: run.phase.as_str().to_owned(),
        waker: word.to_owned(),
        text: format!("waits for {text}{}", rewound_words(run)),
        // The run's own clock stops when it begins to end.
        until: (run.phase == Phase::Forward).then(|| run.deadline.to_string()),
        because,
    }
}

fn rewound_words(run: &RunState) -> String {
    run.rewound.as_ref().map_or_else(String::new, |rewound| {
        let (to, by, at, reason) = (rewound.to, &rewound.by, rewound.at, &rewound.reason);
        format!("; {by} rewound it to event {to} at {at}: {reason}")
    })
}

/// At most so many of the things that something waits for are told; the others are counted.
const REASONS_MAX: usize = 20;

/// The steps of these passes that wait for something else than their needs, handlers included.
fn open_in(run: &RunState, passes: impl IntoIterator<Item = PassId>) -> impl Iterator<Item = Slot> {
    let slots = passes.into_iter().flat_map(|pass| run.slots_of(pass));
    slots.flat_map(move |slot| {
        let step = run.step(slot);
        let waits = step
            .waker
            .as_ref()
            .is_some_and(|waker| *waker != Waker::Needs);
        let own = waits.then_some(slot);
        let handler = run.open_handler(slot);
        let inside = handler.into_iter().flat_map(|pass| run.slots_of(pass));
        let inside = inside.filter(|slot| {
            let waker = run.step(*slot).waker.as_ref();
            waker.is_some_and(|waker| *waker != Waker::Needs)
        });
        own.into_iter().chain(inside.collect::<Vec<_>>())
    })
}

fn why_steps(run: &RunState, slots: impl Iterator<Item = Slot>, team: &Team<'_>) -> Vec<Why> {
    let slots: Vec<_> = slots.collect();
    let told = slots.iter().take(REASONS_MAX);
    let mut reasons: Vec<_> = told.map(|slot| why_step(run, *slot, team)).collect();
    if slots.len() > REASONS_MAX {
        let more = slots.len() - REASONS_MAX;
        reasons.push(Why {
            subject: format!("{more} more"),
            state: "open".to_owned(),
            waker: "none".to_owned(),
            text: "they wait likewise".to_owned(),
            until: None,
            because: Vec::new(),
        });
    }
    reasons
}

fn why_step(run: &RunState, index: Slot, team: &Team<'_>) -> Why {
    let step = run.step(index);
    let subject = format!("step {}", run.name(index));
    let Some(waker) = &step.waker else {
        return Why {
            subject,
            state: step.status.as_str().to_owned(),
            waker: "none".to_owned(),
            text: match &step.error {
                Some(error) => format!("it has ended: {}: {}", error.code, error.message),
                None => "it has ended".to_owned(),
            },
            until: None,
            because: Vec::new(),
        };
    };
    let (text, word, until) = waits_for(run, index, waker);
    let because = match waker {
        Waker::Needs => {
            let open = run.needs(index);
            let open = open.filter(|need| run.step(*need).outcome.is_none());
            open.map(|need| why_step(run, need, team)).collect()
        }
        Waker::Steps => {
            let block = step.block.as_ref();
            let passes = block
                .into_iter()
                .flat_map(|block| block.open.iter().copied());
            let undo = step
                .undo_pass
                .filter(|pass| run.pass(*pass).status.is_open());
            let passes = passes.chain(undo);
            why_steps(
                run,
                open_in(run, passes).chain(run.undone_of_block(index)),
                team,
            )
        }
        _ => {
            let undo = step.undo.as_deref();
            let task = undo.or(step.task.as_deref());
            let task = task.map(|task| why_task(run, index, undo.is_some(), task, team));
            task.into_iter().collect()
        }
    };
    Why {
        subject,
        state: step.status.as_str().to_owned(),
        waker: word.to_owned(),
        text: format!("waits for {text}"),
        until,
        because,
    }
}

fn why_task(run: &RunState, index: Slot, undo: bool, task: &TaskState, team: &Team<'_>) -> Why {
    let kind = if undo { "undo" } else { "task" };
    let running = task.holder.is_some();
    let number = task.attempt + u32::from(!running);
    let subject = format!("{kind} {}#{number}", run.name(index));
    let (mut text, word, until) = match &task.waker {
        Some(waker) => {
            let (text, word, until) = waits_for(run, index, waker);
            (format!("waits for {text}"), word, until)
        }
        None => ("it has ended".to_owned(), "none", None),
    };
    let key = TaskId {
        run: run.id.clone(),
        step: index,
        undo,
    };
    let lacking = match task.waker {
        Some(Waker::Agent { .. }) => team(&key),
        _ => Vec::new(),
    };
    if task.cancel_requested {
        text.push_str("; it is asked to stop");
    }
    if let Some(ended) = &task.last_error {
        let error = &ended.error;
        text.push_str(&format!("; before: {}: {}", error.code, error.message));
    }
    Why {
        subject,
        state: task.status.as_str().to_owned(),
        waker: word.to_owned(),
        text,
        until,
        because: lacking
            .into_iter()
            .map(|(agent, lack)| Why {
                subject: format!("agent {agent}"),
                state: "not taking it".to_owned(),
                waker: "none".to_owned(),
                text: lack,
                until: None,
                because: Vec::new(),
            })
            .collect(),
    }
}
