//! The graph as a tree for a terminal.

use crate::machine::{Compensate, Machine, StepIndex};

/// One line per step, below the last of its needs; a step with several needs names them.
#[must_use]
pub fn text(machine: &Machine) -> String {
    let mut out = format!("{} {}\n", machine.name(), machine.version());
    let mut children: Vec<Vec<StepIndex>> = vec![Vec::new(); machine.steps().len()];
    let mut roots = Vec::new();
    for (index, step) in (0_u32..).map(StepIndex).zip(machine.steps()) {
        // The deepest need is the one that the step waits for longest.
        let parent = step
            .needs
            .iter()
            .max_by_key(|need| (machine.rank(**need), std::cmp::Reverse(**need)));
        match parent {
            Some(parent) => children[parent.get()].push(index),
            None => roots.push(index),
        }
    }
    // Depth first with a stack of its own: a chain of needs may be as long as the workflow.
    let mut open: Vec<(StepIndex, String, bool)> = Vec::new();
    push_level(&mut open, &roots, "");
    while let Some((index, prefix, last)) = open.pop() {
        let branch = if last { "`-- " } else { "|-- " };
        out.push_str(&format!("{prefix}{branch}{}\n", line(machine, index)));
        let deeper = format!("{prefix}{}", if last { "    " } else { "|   " });
        push_level(&mut open, &children[index.get()], &deeper);
    }
    out
}

fn push_level(open: &mut Vec<(StepIndex, String, bool)>, level: &[StepIndex], prefix: &str) {
    for (place, index) in level.iter().enumerate().rev() {
        open.push((*index, prefix.to_owned(), place + 1 == level.len()));
    }
}

fn line(machine: &Machine, index: StepIndex) -> String {
    let step = machine.step(index);
    let mut line = format!("{} ({})", step.id, super::kind(step));
    if let Some(worker) = super::worker(&step.assign) {
        line.push_str(&format!(" {worker}"));
    }
    if step.needs.len() > 1 {
        let needs: Vec<&str> = step
            .needs
            .iter()
            .map(|need| machine.step(*need).id.as_str())
            .collect();
        let join = super::join(step.join)
            .map(|join| format!("{join} of "))
            .unwrap_or_default();
        line.push_str(&format!(" after {join}{}", needs.join(", ")));
    }
    if let Some(condition) = &step.condition {
        line.push_str(&format!(" if {}", condition.source()));
    }
    if let Compensate::Task(undo) = &step.compensate {
        line.push_str(&format!(" undone by {}", undo.task.task_type));
    }
    line
}
