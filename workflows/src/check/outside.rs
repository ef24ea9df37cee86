//! Text from outside: where what others wrote could become an instruction.

use super::domains::Declared;
use crate::catalog::Catalog;
use crate::diagnostic::Note;
use crate::expr::Expr;
use crate::expr::formula::Term;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{StepKind, Template};
use crate::schema::Domain;
use crate::source::Span;
use crate::syntax::Node;

/// What gives an agent a shell.
const SHELL: &str = "shell";

/// PHI803: the prompt of an agent with a shell holds text that nobody bounded.
pub(super) fn prompt(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>, catalog: &Catalog) {
    let StepKind::Task(task) = &step.step.kind else {
        return;
    };
    let assign = &step.step.assign;
    let able = |name: &str| {
        catalog.agents.iter().any(|agent| {
            agent.name.eq_ignore_ascii_case(name) && agent.capabilities.iter().any(|c| c == SHELL)
        })
    };
    let has_shell = assign
        .capabilities
        .iter()
        .any(|capability| capability == SHELL)
        || assign.agent.as_deref().is_some_and(able);
    let Some(prompt) = task.prompt.as_ref().filter(|_| has_shell) else {
        return;
    };
    let declared = Declared::of(draft);
    let mut found = None;
    prompt.for_each_expr(&mut |expr: &Expr| {
        let open = |path: &String| {
            let from_others = path.starts_with("event.") || reads_task(draft, path);
            let term = Term::Path(path.clone());
            from_others && matches!(declared.domain(&term), Domain::Text | Domain::Anything)
        };
        if found.is_none() {
            found = expr.reads().into_iter().find(open);
        }
    });
    let Some(path) = found else { return };
    cx.sink.push(
        Note::warning(
            "PHI803",
            prompt_span(step),
            format!("`{path}` reaches the prompt of an agent with a shell"),
        )
        .label("whoever wrote that text could give orders here")
        .help("pass it as `input`, or declare an `output` that bounds it, as an `enum`"),
    );
}

/// Whether a path reads what an agent or a person gave.
fn reads_task(draft: &Draft<'_>, path: &str) -> bool {
    let Some((id, rest)) = path
        .strip_prefix("steps.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let step = draft.steps.iter().find(|draft| draft.step.id == id);
    let by_others = step.is_some_and(|draft| {
        matches!(
            draft.step.kind,
            StepKind::Task(_) | StepKind::Approval(_) | StepKind::WaitFor(_)
        )
    });
    by_others && rest.starts_with("output")
}

fn prompt_span(step: &StepDraft<'_>) -> Span {
    if step.map.get("prompt").is_some() {
        step.value_span("prompt")
    } else {
        step.nested_span("task", "prompt")
    }
}

/// PHI805: data of an event goes into an input without a schema, and from there into a prompt.
pub(super) fn triggers(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let items = draft
        .root
        .get("triggers")
        .and_then(|entry| entry.value.as_seq());
    let maps = items.unwrap_or_default().iter().filter_map(Node::as_map);
    for (trigger, map) in draft.triggers.iter().zip(maps) {
        let fields = map.get("input").and_then(|entry| entry.value.as_map());
        for (name, value) in &trigger.input {
            let input = draft
                .declared
                .inputs
                .iter()
                .find(|input| input.name == *name);
            if !input.is_some_and(|input| input.schema.is_any()) || !reads_event(value) {
                continue;
            }
            let reader = draft.steps.iter().find(|draft| in_prompt(draft, name));
            let place = fields.and_then(|fields| fields.get(name));
            if let (Some(reader), Some(place)) = (reader, place) {
                cx.sink.push(
                    Note::warning(
                        "PHI805",
                        place.value.span,
                        format!(
                            "data of `{}` without a schema starts the run",
                            trigger.event
                        ),
                    )
                    .also(prompt_span(reader), "and stands in a prompt")
                    .help(format!("give input `{name}` a schema")),
                );
            }
        }
    }
}

fn reads_event(value: &Template) -> bool {
    let mut reads = false;
    value.for_each_expr(&mut |expr: &Expr| {
        reads |= expr.reads().iter().any(|path| path.starts_with("event"));
    });
    reads
}

fn in_prompt(step: &StepDraft<'_>, input: &str) -> bool {
    let StepKind::Task(task) = &step.step.kind else {
        return false;
    };
    let own = format!("inputs.{input}");
    let mut reads = false;
    if let Some(prompt) = &task.prompt {
        prompt.for_each_expr(&mut |expr: &Expr| {
            reads |= expr.reads().iter().any(|path| {
                path.strip_prefix(&own)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
        });
    }
    reads
}
