//! What people get to see of runs: the wire forms of `crate::protocol`. Why something waits is told
//! by `why`.

use std::collections::BTreeMap;

use phisync_workflows::Machine;
use phisync_workflows::machine::{Approvers, StepKind};

use crate::engine::{RunState, Slot, StepState, StepStatus, TaskId, Undo, Waker};
use crate::protocol::{
    ApprovalSummary, Asked, Asks, Failure, IncidentSummary, Registered, RewoundTo, RunDetail,
    RunSummary, Started, StepDetail, TaskDetail,
};

use super::questions::ANSWER;
use super::why::{stands_still, waits_for};

pub(super) fn registered(machine: &Machine) -> Registered {
    Registered {
        name: machine.name().to_owned(),
        version: machine.version().to_owned(),
        hash: machine.hash().to_owned(),
    }
}

pub(super) fn failure(error: &crate::engine::Failure, step: Option<&str>) -> Failure {
    Failure {
        code: error.code.clone(),
        message: error.message.clone(),
        step: step.map(str::to_owned),
        data: error.data.as_ref().map(crate::engine::RawJson::to_boxed),
    }
}

pub(super) fn run_failure(run: &RunState) -> Option<Failure> {
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
        config: run.config.clone(),
        stands_still: stands_still(run)
            .map(|(state, _, text)| format!("{state}: waits for {text}")),
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
    let stalled = run.stalled.iter().map(|stall| IncidentSummary {
        id: run.id.to_string(),
        kind: "stall".to_owned(),
        run: run.id.to_string(),
        error: failure(&stall.failure(), stall.step.as_deref()),
        step: stall.step.clone().unwrap_or_default(),
    });
    let incidents = run.incidents.iter().map(|(slot, error)| {
        let step = run.name(*slot);
        IncidentSummary {
            id: format!("{}.{step}", run.id),
            kind: "undo".to_owned(),
            run: run.id.to_string(),
            error: failure(error, Some(&step)),
            step,
        }
    });
    stalled.chain(incidents).collect()
}
