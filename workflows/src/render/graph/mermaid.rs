//! The graph as a Mermaid flowchart, or a state diagram.

use super::parts;
use crate::machine::{BodyIndex, Machine, StateEnd, StatesBody, StepIndex, StepKind};

/// A flowchart from top to bottom; approvals are hexagons, `fail` and `finish` are round, blocks are
/// frames around their steps, a dashed edge leads to a step with a condition. A workflow of states is a
/// state diagram.
#[must_use]
pub fn mermaid(machine: &Machine) -> String {
    match machine.states() {
        Some(states) => diagram(machine, states),
        None => flowchart(machine),
    }
}

fn flowchart(machine: &Machine) -> String {
    let mut out = String::from("flowchart TD\n");
    body(machine, BodyIndex::MAIN, 1, &mut out);
    for (place, part) in parts::of_run(machine).into_iter().enumerate() {
        frame(
            machine,
            &format!("run_{place}"),
            &part.title,
            part.body,
            1,
            &mut out,
        );
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

fn body(machine: &Machine, index: BodyIndex, depth: usize, out: &mut String) {
    for step in &machine.body(index).steps {
        node(machine, *step, depth, out);
    }
}

fn node(machine: &Machine, index: StepIndex, depth: usize, out: &mut String) {
    let step = machine.step(index);
    let margin = "    ".repeat(depth);
    let mut label = format!(
        "{}<br/>{}",
        step.id,
        escaped(&super::short(&super::kind(step)))
    );
    if let Some(worker) = super::worker(&step.assign) {
        label.push_str(&format!("<br/>{}", escaped(&worker)));
    }
    let parts = parts::of_step(step);
    if !step.kind.is_block() {
        let (open, close) = match step.kind {
            StepKind::Approval(_) => ("{{", "}}"),
            StepKind::Fail(_) | StepKind::Finish(_) => ("([", "])"),
            _ => ("[", "]"),
        };
        // The prefix keeps ids apart from words of Mermaid, as `end`.
        out.push_str(&format!("{margin}s_{}{open}\"{label}\"{close}\n", step.id));
    } else {
        let label = label.replace("<br/>", " ");
        out.push_str(&format!("{margin}subgraph s_{}[\"{label}\"]\n", step.id));
    }
    let inner = if step.kind.is_block() {
        depth + 1
    } else {
        depth
    };
    for (place, part) in parts.iter().enumerate() {
        if part.title.is_empty() {
            body(machine, part.body, inner, out);
        } else {
            let name = format!("b_{}_{place}", step.id);
            frame(machine, &name, &part.title, part.body, inner, out);
        }
    }
    if step.kind.is_block() {
        out.push_str(&format!("{margin}end\n"));
    } else if !parts.is_empty() {
        out.push_str(&format!("{margin}s_{} -.-> b_{}_0\n", step.id, step.id));
    }
}

/// A frame around a body that is one of several.
fn frame(
    machine: &Machine,
    name: &str,
    title: &str,
    index: BodyIndex,
    depth: usize,
    out: &mut String,
) {
    let margin = "    ".repeat(depth);
    let title = escaped(&super::short(title));
    out.push_str(&format!("{margin}subgraph {name}[\"{title}\"]\n"));
    if machine.body(index).steps.is_empty() {
        out.push_str(&format!("{margin}    {name}_nothing[\"nothing\"]\n"));
    }
    body(machine, index, depth + 1, out);
    out.push_str(&format!("{margin}end\n"));
}

fn diagram(machine: &Machine, states: &StatesBody) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for state in &states.states {
        let mut label = state.id.clone();
        for line in super::activity(machine, state) {
            label.push_str(&format!("<br/>{}", escaped(&super::short(&line))));
        }
        if let Some(StateEnd::Failed(error)) = &state.end {
            label.push_str(&format!("<br/>fails with {}", error.code));
        }
        out.push_str(&format!("    state \"{label}\" as s_{}\n", state.id));
    }
    let name = |at: crate::machine::StateIndex| &states.states[at.get()].id;
    out.push_str(&format!("    [*] --> s_{}\n", name(states.initial)));
    for state in &states.states {
        for (words, to) in super::ways_out(state) {
            let words = in_state_diagram(&super::short(&words));
            out.push_str(&format!("    s_{} --> s_{}: {words}\n", state.id, name(to)));
        }
        if state.end.is_some() {
            out.push_str(&format!("    s_{} --> [*]\n", state.id));
        }
    }
    out
}

/// The text of a transition: a colon or a semicolon would end it, and entities are Mermaid's own.
fn in_state_diagram(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ':' | ';' | '<' | '>' | '&' | '"' | '#' => {
                written.push_str(&format!("#{};", u32::from(c)));
            }
            c => written.push(c),
        }
    }
    written
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
