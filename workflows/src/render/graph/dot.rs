//! The graph for Graphviz.

use super::parts;
use crate::machine::{BodyIndex, Machine, StateEnd, StatesBody, StepIndex, StepKind};

/// A digraph from top to bottom; blocks are frames around their steps, a dashed edge leads to a step
/// with a condition. A workflow of states has its transitions as edges; final states have two lines.
#[must_use]
pub fn dot(machine: &Machine) -> String {
    let mut out = format!("digraph {} {{\n", quoted(machine.name()));
    out.push_str("    compound=true;\n    fontname=\"sans-serif\";\n");
    out.push_str("    node [shape=box, fontname=\"sans-serif\"];\n");
    out.push_str("    edge [fontname=\"sans-serif\", fontsize=10];\n");
    match machine.states() {
        Some(states) => diagram(machine, states, &mut out),
        None => flowchart(machine, &mut out),
    }
    out.push_str("}\n");
    out
}

fn flowchart(machine: &Machine, out: &mut String) {
    body(machine, BodyIndex::MAIN, 1, out);
    for (place, part) in parts::of_run(machine).into_iter().enumerate() {
        frame(
            machine,
            &format!("run {place}"),
            &part.title,
            part.body,
            1,
            out,
        );
    }
    for step in machine.steps() {
        let mut attributes = Vec::new();
        if step.condition.is_some() {
            attributes.push("style=dashed".to_owned());
        }
        attributes.extend(super::join(step.join).map(|join| format!("label={}", quoted(&join))));
        for need in &step.needs {
            let need = machine.step(*need);
            let mut attributes = attributes.clone();
            if need.kind.is_block() {
                attributes.push(format!("ltail={}", cluster(&need.id)));
            }
            if step.kind.is_block() {
                attributes.push(format!("lhead={}", cluster(&step.id)));
            }
            let attributes = if attributes.is_empty() {
                String::new()
            } else {
                format!(" [{}]", attributes.join(", "))
            };
            out.push_str(&format!(
                "    {} -> {}{attributes};\n",
                quoted(&anchor(machine, need.id.clone(), true)),
                quoted(&anchor(machine, step.id.clone(), false))
            ));
        }
    }
}

/// The node at which edges to or from a step end: of a block, the first or last one inside. The edge is
/// cut at the block's frame.
fn anchor(machine: &Machine, id: String, last: bool) -> String {
    let mut id = id;
    loop {
        let Some(index) = machine.step_named(&id) else {
            return id;
        };
        let step = machine.step(index);
        if !step.kind.is_block() {
            return id;
        }
        let parts = parts::of_step(step);
        // What comes after a block stands below its longest body.
        let count = |place: &usize| machine.body(parts[*place].body).steps.len();
        let longest = (0..parts.len()).rev().max_by_key(count).unwrap_or(0);
        let place = if last { longest } else { 0 };
        let steps = parts
            .get(place)
            .map_or(&[][..], |part| &machine.body(part.body).steps);
        let inner = if last { steps.last() } else { steps.first() };
        match inner {
            Some(inner) => id.clone_from(&machine.step(*inner).id),
            None => return nothing(&format!("{id} {place}")),
        }
    }
}

fn body(machine: &Machine, index: BodyIndex, depth: usize, out: &mut String) {
    for step in &machine.body(index).steps {
        node(machine, *step, depth, out);
    }
}

fn node(machine: &Machine, index: StepIndex, depth: usize, out: &mut String) {
    let step = machine.step(index);
    let margin = "    ".repeat(depth);
    let kind = super::short(&super::kind(step));
    let parts = parts::of_step(step);
    if step.kind.is_block() {
        let label = format!("{}: {kind}", step.id);
        out.push_str(&format!("{margin}subgraph {} {{\n", cluster(&step.id)));
        out.push_str(&format!(
            "{margin}    label={}; labeljust=l; style=rounded;\n",
            quoted(&label)
        ));
    } else {
        let mut label = format!("{}\n{kind}", step.id);
        if let Some(worker) = super::worker(&step.assign) {
            label.push_str(&format!("\n{worker}"));
        }
        let shape = match step.kind {
            StepKind::Approval(_) => ", shape=hexagon",
            StepKind::Fail(_) | StepKind::Finish(_) => ", shape=octagon",
            _ => "",
        };
        out.push_str(&format!(
            "{margin}{} [label={}{shape}];\n",
            quoted(&step.id),
            quoted(&label)
        ));
    }
    let inner = if step.kind.is_block() {
        depth + 1
    } else {
        depth
    };
    let one_of_many = parts.len() > 1 || !step.kind.is_block();
    for (place, part) in parts.iter().enumerate() {
        let name = format!("{} {place}", step.id);
        if one_of_many || machine.body(part.body).steps.is_empty() {
            frame(machine, &name, &part.title, part.body, inner, out);
        } else {
            body(machine, part.body, inner, out);
        }
    }
    if step.kind.is_block() {
        out.push_str(&format!("{margin}}}\n"));
    } else if let Some(handler) = parts.first() {
        let first = machine.body(handler.body).steps.first();
        let first = first.map_or_else(
            || nothing(&format!("{} 0", step.id)),
            |first| anchor(machine, machine.step(*first).id.clone(), false),
        );
        out.push_str(&format!(
            "{margin}{} -> {} [style=dotted, label=\"failed\"];\n",
            quoted(&step.id),
            quoted(&first)
        ));
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
    out.push_str(&format!("{margin}subgraph {} {{\n", cluster(name)));
    out.push_str(&format!(
        "{margin}    label={}; labeljust=l; style=\"rounded,dashed\";\n",
        quoted(&super::short(if title.is_empty() { "do" } else { title }))
    ));
    if machine.body(index).steps.is_empty() {
        out.push_str(&format!(
            "{margin}    {} [label=\"nothing\", shape=plaintext];\n",
            quoted(&nothing(name))
        ));
    }
    body(machine, index, depth + 1, out);
    out.push_str(&format!("{margin}}}\n"));
}

/// The name of a frame. Ids of steps have no spaces, so a body's frame is never a step's.
fn cluster(name: &str) -> String {
    quoted(&format!("cluster {name}"))
}

/// The name of the node that stands in an empty frame.
fn nothing(frame: &str) -> String {
    format!("nothing in {frame}")
}

fn diagram(machine: &Machine, states: &StatesBody, out: &mut String) {
    out.push_str(
        "    \"the start\" [label=\"\", shape=circle, style=filled, fillcolor=black, width=0.2];\n",
    );
    for state in &states.states {
        let mut label = state.id.clone();
        for line in super::activity(machine, state) {
            label.push('\n');
            label.push_str(&super::short(&line));
        }
        let look = match &state.end {
            Some(StateEnd::Completed(_)) => ", peripheries=2",
            Some(StateEnd::Failed(error)) => {
                label.push_str(&format!("\nfails with {}", error.code));
                ", peripheries=2, shape=octagon, style=solid"
            }
            None => "",
        };
        out.push_str(&format!(
            "    {} [label={}, style=rounded{look}];\n",
            quoted(&state.id),
            quoted(&label)
        ));
    }
    let name = |at: crate::machine::StateIndex| quoted(&states.states[at.get()].id);
    out.push_str(&format!("    \"the start\" -> {};\n", name(states.initial)));
    for state in &states.states {
        for (words, to) in super::ways_out(state) {
            out.push_str(&format!(
                "    {} -> {} [label={}];\n",
                quoted(&state.id),
                name(to),
                quoted(&super::short(&words))
            ));
        }
    }
}

fn quoted(text: &str) -> String {
    let inner = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{inner}\"")
}
