//! The graph as a Mermaid flowchart.

use crate::machine::{Machine, StepKind};

/// A flowchart from top to bottom; approvals are hexagons, `fail` is round, a dashed edge leads
/// to a step with a condition.
#[must_use]
pub fn mermaid(machine: &Machine) -> String {
    let mut out = String::from("flowchart TD\n");
    for step in machine.steps() {
        let mut label = format!("{}<br/>{}", step.id, escaped(&super::kind(step)));
        if let Some(worker) = super::worker(&step.assign) {
            label.push_str(&format!("<br/>{}", escaped(&worker)));
        }
        let (open, close) = match step.kind {
            StepKind::Approval(_) => ("{{", "}}"),
            StepKind::Fail(_) | StepKind::Finish(_) => ("([", "])"),
            _ => ("[", "]"),
        };
        // The prefix keeps ids apart from words of Mermaid, as `end`.
        out.push_str(&format!("    s_{}{open}\"{label}\"{close}\n", step.id));
    }
    for step in machine.steps() {
        let arrow = if step.condition.is_some() {
            "-.->"
        } else {
            "-->"
        };
        let label = super::join(step.join)
            .map(|join| format!("|{join}|"))
            .unwrap_or_default();
        for need in &step.needs {
            out.push_str(&format!(
                "    s_{} {arrow}{label} s_{}\n",
                machine.step(*need).id,
                step.id
            ));
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
