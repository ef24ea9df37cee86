//! What an expression reads, without evaluating it.

use std::collections::BTreeSet;

use super::ast::{Ast, BinaryOp, Kind};
use super::check::outcome_test;

/// The fields of a step that are no output; reading another, or none, takes the whole value.
const OTHER_FIELDS: [&str; 6] = [
    "outcome",
    "error",
    "attempts",
    "agent",
    "started_at",
    "ended_at",
];

pub(super) fn step_outputs_read(ast: &Ast) -> BTreeSet<&str> {
    let mut spared = BTreeSet::new();
    for (_, node) in ast.nodes() {
        if let Kind::Select { operand, field, .. } = &node.kind
            && OTHER_FIELDS.contains(&&**field)
        {
            spared.insert(*operand);
        }
    }
    ast.nodes()
        .filter(|(id, _)| !spared.contains(id))
        .filter_map(|(_, node)| match &node.kind {
            Kind::Step(step) => Some(&**step),
            _ => None,
        })
        .collect()
}

pub(super) fn requires_success_of(ast: &Ast) -> Vec<String> {
    let mut required = BTreeSet::new();
    let mut open = vec![ast.root()];
    while let Some(id) = open.pop() {
        let Kind::Binary {
            op, left, right, ..
        } = ast.kind(id)
        else {
            continue;
        };
        match op {
            BinaryOp::And => open.extend([*left, *right]),
            BinaryOp::Equal => {
                if let Some((step, "succeeded")) = outcome_test(ast, *left, *right) {
                    required.insert(step.to_owned());
                }
            }
            _ => {}
        }
    }
    required.into_iter().collect()
}
