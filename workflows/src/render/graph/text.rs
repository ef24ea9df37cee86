//! The graph as a tree for a terminal.

use super::parts::{self, Part};
use crate::machine::{BodyIndex, Machine, Shape, StateEnd, StateIndex, StepIndex};

/// One line per step, below the last of its needs; a step with several needs names them. Steps of a
/// sequence stand below each other, the bodies of a block below the block, marked with `*`.
#[must_use]
pub fn text(machine: &Machine) -> String {
    let mut out = format!("{} {}\n", machine.name(), machine.version());
    let mut tree = Tree::of(machine);
    let mut top = match machine.states() {
        Some(states) => (0..)
            .map(StateIndex)
            .zip(&states.states)
            .map(|(index, _)| Line::State(index))
            .collect(),
        None => tree.body(BodyIndex::MAIN),
    };
    top.extend(parts::of_run(machine).into_iter().map(Line::Part));
    tree.push(top, "");
    // Depth first with a stack of its own: a chain of needs may be as long as the workflow.
    while let Some(open) = tree.open.pop() {
        let branch = if open.last { "`-- " } else { "|-- " };
        let words = tree.words(&open.line);
        out.push_str(&format!("{}{branch}{words}\n", open.prefix));
        let deeper = format!("{}{}", open.prefix, if open.last { "    " } else { "|   " });
        let below = tree.below(open.line);
        tree.push(below, &deeper);
    }
    out
}

enum Line {
    Step(StepIndex),
    Part(Part),
    State(StateIndex),
    Words(String),
}

struct Open {
    line: Line,
    prefix: String,
    last: bool,
}

struct Tree<'m> {
    machine: &'m Machine,
    /// The steps that stand below each step, because it is the need that they wait for longest.
    dependants: Vec<Vec<StepIndex>>,
    open: Vec<Open>,
}

impl<'m> Tree<'m> {
    fn of(machine: &'m Machine) -> Self {
        let mut dependants: Vec<Vec<StepIndex>> = vec![Vec::new(); machine.steps().len()];
        for body in machine.bodies() {
            if body.shape == Shape::Sequence {
                continue;
            }
            for index in &body.steps {
                if let Some(parent) = deepest_need(machine, *index) {
                    dependants[parent.get()].push(*index);
                }
            }
        }
        Self {
            machine,
            dependants,
            open: Vec::new(),
        }
    }

    fn push(&mut self, level: Vec<Line>, prefix: &str) {
        let count = level.len();
        for (place, line) in level.into_iter().enumerate().rev() {
            self.open.push(Open {
                line,
                prefix: prefix.to_owned(),
                last: place + 1 == count,
            });
        }
    }

    /// The lines of a body: all steps of a sequence, the first ones of a graph.
    fn body(&self, index: BodyIndex) -> Vec<Line> {
        let body = self.machine.body(index);
        let steps = body.steps.iter().copied();
        let shown = steps.filter(|step| {
            body.shape == Shape::Sequence || deepest_need(self.machine, *step).is_none()
        });
        shown.map(Line::Step).collect()
    }

    /// What stands below a line.
    fn below(&self, line: Line) -> Vec<Line> {
        match line {
            Line::Words(_) => Vec::new(),
            Line::Part(part) => self.body(part.body),
            Line::Step(index) => {
                let mut below = self.inside(index);
                below.extend(self.dependants[index.get()].iter().copied().map(Line::Step));
                below
            }
            Line::State(index) => {
                let Some(states) = self.machine.states() else {
                    return Vec::new();
                };
                let state = &states.states[index.get()];
                let part = |title: &str, body| {
                    Line::Part(Part {
                        title: title.to_owned(),
                        body,
                    })
                };
                let mut below: Vec<Line> = Vec::new();
                below.extend(state.entry.map(|body| part("entry", body)));
                below.extend(
                    state
                        .activity
                        .into_iter()
                        .flat_map(|step| self.inside(step)),
                );
                below.extend(state.exit.map(|body| part("exit", body)));
                below.extend(super::ways_out(state).into_iter().map(|(words, to)| {
                    Line::Words(format!("{words} -> {}", states.states[to.get()].id))
                }));
                below
            }
        }
    }

    /// The bodies of a step, or the steps of its only one.
    fn inside(&self, index: StepIndex) -> Vec<Line> {
        let step = self.machine.step(index);
        let mut lines = Vec::new();
        for part in parts::of_step(step) {
            if part.title.is_empty() {
                let mark = format!("* {}", body_word(self.machine, part.body));
                lines.push(Line::Part(Part {
                    title: mark,
                    body: part.body,
                }));
            } else {
                lines.push(Line::Part(Part {
                    title: format!("* {}", part.title),
                    body: part.body,
                }));
            }
        }
        lines
    }

    fn words(&self, line: &Line) -> String {
        match line {
            Line::Words(words) => words.clone(),
            Line::Part(part) => {
                let nothing = self.machine.body(part.body).steps.is_empty();
                let end = if nothing { " (nothing)" } else { "" };
                format!("{}{end}", part.title)
            }
            Line::Step(index) => step_words(self.machine, *index),
            Line::State(index) => self.state_words(*index),
        }
    }

    fn state_words(&self, index: StateIndex) -> String {
        let Some(states) = self.machine.states() else {
            return String::new();
        };
        let state = &states.states[index.get()];
        let mut words = state.id.clone();
        if let Some(index) = state.activity {
            let step = self.machine.step(index);
            words.push_str(&format!(" ({})", super::kind(step)));
            if let Some(worker) = super::worker(&step.assign) {
                words.push_str(&format!(" {worker}"));
            }
            push_undo(&mut words, self.machine, index);
        }
        if index == states.initial {
            words.push_str(", initial");
        }
        if let Some(visits) = state.max_visits {
            words.push_str(&format!(", at most {visits} visits"));
        }
        match &state.end {
            Some(StateEnd::Completed(_)) => words.push_str(", the run is completed"),
            Some(StateEnd::Failed(error)) => {
                words.push_str(&format!(", the run fails with {}", error.code));
            }
            None => {}
        }
        words
    }
}

/// `do` or `steps`, as the body was written.
fn body_word(machine: &Machine, body: BodyIndex) -> &'static str {
    match machine.body(body).shape {
        Shape::Sequence => "do",
        Shape::Graph => "steps",
    }
}

/// The need that a step waits for longest.
fn deepest_need(machine: &Machine, index: StepIndex) -> Option<StepIndex> {
    let needs = machine.step(index).needs.iter().copied();
    needs.max_by_key(|need| (machine.rank(*need), std::cmp::Reverse(*need)))
}

fn step_words(machine: &Machine, index: StepIndex) -> String {
    let step = machine.step(index);
    let mut line = format!("{} ({})", step.id, super::kind(step));
    if let Some(worker) = super::worker(&step.assign) {
        line.push_str(&format!(" {worker}"));
    }
    let in_sequence = machine.body(step.body).shape == Shape::Sequence;
    if step.needs.len() > 1 && !in_sequence {
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
    push_undo(&mut line, machine, index);
    line
}

fn push_undo(line: &mut String, machine: &Machine, step: StepIndex) {
    if let Some(undo) = machine.undone_by(step) {
        line.push_str(&format!(" undone by {undo}"));
    }
}
