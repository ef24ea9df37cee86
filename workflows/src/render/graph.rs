//! A machine's graph in four notations, each a pure function.

mod dot;
mod json;
mod mermaid;
mod parts;
mod text;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use text::text;

use crate::lower::duration;
use crate::machine::{
    ActivityOutcome, Assign, EventSource, Join, LoopTest, Machine, Owner, State, Step, StepKind,
    Template, Transition, TransitionTrigger, WaitSpec,
};

/// What a step is, in one word or two.
fn kind(step: &Step) -> String {
    let name = step.kind.name();
    match &step.kind {
        StepKind::Task(task) if task.task_type == step.id => name.to_owned(),
        StepKind::Task(task) => format!("task {}", task.task_type),
        StepKind::Fail(fail) => format!("fail {}", fail.code),
        StepKind::Call(call) => format!("call {}", call.workflow),
        StepKind::Wait(wait) => match (wait, wait.template()) {
            (WaitSpec::For(_), Template::Literal(text)) => {
                format!("wait {}", text.as_str().unwrap_or_default())
            }
            (WaitSpec::Until(_), Template::Literal(text)) => {
                format!("wait until {}", text.as_str().unwrap_or_default())
            }
            _ => name.to_owned(),
        },
        StepKind::WaitFor(wait) => format!("wait_for {}", source(&wait.source)),
        StepKind::Emit(emit) => format!("emit {}", emit.event),
        StepKind::Set(set) => {
            let names: Vec<&str> = set.values.iter().map(|(name, _)| name.as_str()).collect();
            format!("set {}", names.join(", "))
        }
        StepKind::Foreach(each) => {
            format!("foreach {} in {}", each.as_name, each.items.source())
        }
        StepKind::Loop(rounds) => match &rounds.test {
            LoopTest::While(test) => {
                format!("loop at most {}, while {}", rounds.max, test.source())
            }
            LoopTest::Until(test) => {
                format!("loop at most {}, until {}", rounds.max, test.source())
            }
        },
        StepKind::Approval(_)
        | StepKind::Switch(_)
        | StepKind::Parallel(_)
        | StepKind::Try(_)
        | StepKind::Do(_)
        | StepKind::Files(_)
        | StepKind::Finish(_) => name.to_owned(),
    }
}

fn source(source: &EventSource) -> String {
    match source {
        EventSource::Event(name) => format!("event {name}"),
        EventSource::Signal(name) => format!("signal {name}"),
    }
}

/// Who does a step, if that is limited.
fn worker(assign: &Assign) -> Option<String> {
    match (&assign.agent, assign.capabilities.as_slice()) {
        (Some(agent), _) => Some(agent.clone()),
        (None, []) => None,
        (None, capabilities) => Some(format!("[{}]", capabilities.join(", "))),
    }
}

/// A join other than the default.
fn join(join: Join) -> Option<String> {
    match join {
        Join::All => None,
        Join::Any => Some("any".to_owned()),
        Join::First => Some("first".to_owned()),
        Join::AtLeast(count) => Some(format!("at least {count}")),
    }
}

/// What a transition answers, and what narrows it.
fn trigger(transition: &Transition) -> String {
    let mut text = match &transition.trigger {
        TransitionTrigger::Outcome(ActivityOutcome::Succeeded) => "succeeded".to_owned(),
        TransitionTrigger::Outcome(ActivityOutcome::Failed) => "failed".to_owned(),
        TransitionTrigger::Outcome(ActivityOutcome::Option(name)) => name.clone(),
        TransitionTrigger::Event(event) => source(event),
    };
    if !transition.errors.is_empty() {
        let codes: Vec<&str> = transition
            .errors
            .iter()
            .map(|code| code.0.as_str())
            .collect();
        text.push_str(&format!(" {}", codes.join(", ")));
    }
    if let Some(when) = &transition.when {
        text.push_str(&format!(" if {}", when.source()));
    }
    text
}

/// Where a state leads, and by what.
fn ways_out(state: &State) -> Vec<(String, crate::machine::StateIndex)> {
    let after = state
        .timeout
        .iter()
        .map(|(limit, to)| (format!("after {}", duration::show(*limit)), *to));
    let answered = state
        .transitions
        .iter()
        .map(|transition| (trigger(transition), transition.to));
    answered.chain(after).collect()
}

/// What is done in a state, a line each: the activity, then the steps inside it.
fn activity(machine: &Machine, state: &State) -> Vec<String> {
    let Some(index) = state.activity else {
        return Vec::new();
    };
    let step = machine.step(index);
    let mut lines = vec![match worker(&step.assign) {
        Some(worker) => format!("{} {worker}", kind(step)),
        None => kind(step),
    }];
    // Only what stands in the activity itself: a picture of states is no place for more.
    for body in machine.bodies() {
        if body.owner == Owner::Block(index) {
            for inner in &body.steps {
                let inner = machine.step(*inner);
                lines.push(format!("{}: {}", inner.id, kind(inner)));
            }
        }
    }
    lines
}

/// A text that is cut where it would spoil a picture.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 72;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(CHARS_MAX - 3).collect();
    format!("{head}...")
}
