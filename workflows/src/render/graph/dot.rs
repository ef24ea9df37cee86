//! The graph for Graphviz.

use crate::machine::{Machine, StepKind};

/// A digraph from top to bottom; a dashed edge leads to a step with a condition.
#[must_use]
pub fn dot(machine: &Machine) -> String {
    let mut out = format!("digraph {} {{\n", quoted(machine.name()));
    out.push_str("    node [shape=box];\n");
    for step in machine.steps() {
        let mut label = format!("{}\n{}", step.id, super::kind(step));
        if let Some(worker) = super::worker(&step.assign) {
            label.push_str(&format!("\n{worker}"));
        }
        let shape = match step.kind {
            StepKind::Approval(_) => ", shape=hexagon",
            StepKind::Fail(_) | StepKind::Finish(_) => ", shape=octagon",
            _ => "",
        };
        out.push_str(&format!(
            "    {} [label={}{shape}];\n",
            quoted(&step.id),
            quoted(&label)
        ));
    }
    for step in machine.steps() {
        let mut attributes = Vec::new();
        if step.condition.is_some() {
            attributes.push("style=dashed".to_owned());
        }
        attributes.extend(super::join(step.join).map(|join| format!("label={}", quoted(&join))));
        let attributes = if attributes.is_empty() {
            String::new()
        } else {
            format!(" [{}]", attributes.join(", "))
        };
        for need in &step.needs {
            let need = &machine.step(*need).id;
            out.push_str(&format!(
                "    {} -> {}{attributes};\n",
                quoted(need),
                quoted(&step.id)
            ));
        }
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    let inner = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{inner}\"")
}
