//! Names that are not needed. (Names that are not there are found while lowering.)

use std::collections::BTreeSet;

use crate::diagnostic::Note;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft};
use crate::machine::Join;
use crate::source::Span;
use crate::syntax::{Map, Node, Shape};

/// PHI215: a need that another need has already. Says nothing where a join counts needs.
pub(super) fn implied_needs(cx: &mut Cx<'_>, draft: &Draft<'_>, order: &Order, index: usize) {
    let step = &draft.steps[index];
    if step.step.join != Join::All {
        return;
    }
    for (need, span) in step.step.needs.iter().zip(&step.need_spans) {
        let by = step
            .step
            .needs
            .iter()
            .find(|other| order.decided_before[other.get()].contains(need.get()));
        if let Some(by) = by {
            let (need, by) = (
                &draft.steps[need.get()].step.id,
                &draft.steps[by.get()].step.id,
            );
            cx.sink.push(
                Note::info(
                    "PHI215",
                    *span,
                    format!("`needs: {need}` is implied by `{by}`"),
                )
                .help(format!("`{by}` comes after `{need}` anyway")),
            );
        }
    }
}

/// PHI211: definitions that nobody uses.
pub(super) fn unused(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let mut policies = BTreeSet::new();
    let mut schemas = BTreeSet::new();
    for step in &draft.steps {
        let undo = step
            .map
            .get("compensate")
            .and_then(|entry| entry.value.as_map());
        for body in std::iter::once(step.map).chain(undo) {
            policies_used(body, &mut policies);
            if let Some(output) = body.get("output") {
                names(&output.value, &mut schemas);
            }
        }
        for (kind, key) in [("approval", "form"), ("accept", "schema")] {
            let fields = step.map.get(kind).and_then(|entry| entry.value.as_map());
            if let Some(schema) = fields.and_then(|fields| fields.get(key)) {
                names(&schema.value, &mut schemas);
            }
        }
    }
    for entry in &draft.root.entries {
        match entry.key.as_str() {
            "defaults" => {
                if let Some(map) = entry.value.as_map() {
                    policies_used(map, &mut policies);
                }
            }
            "inputs" | "vars" | "config" | "schemas" => names(&entry.value, &mut schemas),
            _ => {}
        }
    }
    report(cx, draft.root, "retry_policies", "retry policy", &policies);
    report(cx, draft.root, "schemas", "schema", &schemas);
}

fn policies_used<'n>(map: &'n Map, used: &mut BTreeSet<&'n str>) {
    used.extend(map.get("retry").and_then(|entry| entry.value.as_str()));
}

/// Every word that may name a schema: short forms and `$ref`s.
fn names<'n>(node: &'n Node, used: &mut BTreeSet<&'n str>) {
    match &node.shape {
        Shape::Scalar(_) => {
            let text = node.as_str().unwrap_or_default();
            let text = text.rsplit('/').next().unwrap_or_default();
            used.insert(text.trim_end_matches(['?', '[', ']']));
        }
        Shape::Seq(items) => items.iter().for_each(|item| names(item, used)),
        Shape::Map(map) => map
            .entries
            .iter()
            .for_each(|entry| names(&entry.value, used)),
    }
}

fn report(cx: &mut Cx<'_>, root: &Map, section: &str, what: &str, used: &BTreeSet<&str>) {
    let defined = root.get(section).and_then(|entry| entry.value.as_map());
    let unused: Vec<(Span, &str)> = defined
        .into_iter()
        .flat_map(|map| &map.entries)
        .filter(|entry| !used.contains(entry.key.as_str()))
        .map(|entry| (entry.key_span, entry.key.as_str()))
        .collect();
    for (span, name) in unused {
        cx.sink.push(Note::info(
            "PHI211",
            span,
            format!("{what} `{name}` is never used"),
        ));
    }
}
