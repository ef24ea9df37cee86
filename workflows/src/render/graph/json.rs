//! The graph as JSON, for programs.

use serde_json::{Value as Json, json as object};

use crate::machine::{Compensate, Machine, StepKind};

/// `{workflow, version, hash, steps: [{id, kind, type, agent, capabilities, needs, join, if, rank,
/// undone_by}]}`; keys without a value are null.
#[must_use]
pub fn json(machine: &Machine) -> String {
    let steps: Vec<Json> = machine
        .steps()
        .iter()
        .map(|step| {
            let task_type = match &step.kind {
                StepKind::Task(task) => Some(task.task_type.as_str()),
                _ => None,
            };
            let needs: Vec<&str> = step
                .needs
                .iter()
                .map(|need| machine.step(*need).id.as_str())
                .collect();
            let undone_by = match &step.compensate {
                Compensate::Task(undo) => Some(undo.task.task_type.as_str()),
                Compensate::Absent | Compensate::None | Compensate::Revert => None,
            };
            let rank = machine
                .step_named(&step.id)
                .map(|index| machine.rank(index));
            object!({
                "id": step.id,
                "kind": step.kind.name(),
                "type": task_type,
                "agent": step.assign.agent,
                "capabilities": step.assign.capabilities,
                "needs": needs,
                "join": super::join(step.join).unwrap_or_else(|| "all".to_owned()),
                "if": step.condition.as_ref().map(|condition| condition.source()),
                "rank": rank,
                "undone_by": undone_by,
            })
        })
        .collect();
    let graph = object!({
        "workflow": machine.name(),
        "version": machine.version(),
        "hash": machine.hash(),
        "steps": steps,
    });
    format!("{graph:#}\n")
}
