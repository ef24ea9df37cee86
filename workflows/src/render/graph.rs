//! A machine's graph in four notations, each a pure function.

mod dot;
mod json;
mod mermaid;
mod text;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use text::text;

use crate::machine::{Assign, Join, Step, StepKind};

/// What a step is, in one word or two.
fn kind(step: &Step) -> String {
    match &step.kind {
        StepKind::Task(task) if task.task_type == step.id => "task".to_owned(),
        StepKind::Task(task) => format!("task {}", task.task_type),
        StepKind::Fail(fail) => format!("fail {}", fail.code),
        kind => kind.name().to_owned(),
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
