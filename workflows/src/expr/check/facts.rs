//! What the outcome of a condition says about which values are there.

use crate::expr::Value;
use crate::expr::ast::{Ast, BinaryOp, Kind, NodeId, UnaryOp};

/// The paths that are certain to have a value when `condition` came out as `truth`.
pub(super) fn of(ast: &Ast, condition: NodeId, truth: bool) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![(condition, truth)];
    while let Some((id, truth)) = open.pop() {
        match ast.kind(id) {
            Kind::Binary {
                op, left, right, ..
            } => match (op, truth) {
                (BinaryOp::And, true) | (BinaryOp::Or, false) => {
                    open.extend([(*left, truth), (*right, truth)]);
                }
                (BinaryOp::Equal, true) | (BinaryOp::NotEqual, false) => {
                    if let Some((step, outcome)) = outcome_test(ast, *left, *right) {
                        paths.extend(
                            fields_after(outcome)
                                .iter()
                                .map(|field| format!("steps.{step}.{field}")),
                        );
                    }
                }
                _ => {}
            },
            Kind::Unary {
                op: UnaryOp::Not,
                operand,
            } => open.push((*operand, !truth)),
            Kind::Has(field) if truth => paths.extend(ast.path(*field)),
            _ => {}
        }
    }
    paths
}

/// `steps.X.outcome` and a literal, in either order.
pub(in crate::expr) fn outcome_test(
    ast: &Ast,
    left: NodeId,
    right: NodeId,
) -> Option<(&str, &str)> {
    let step = |id: NodeId| match ast.kind(id) {
        Kind::Select {
            operand,
            field,
            optional: false,
        } if &**field == "outcome" => match ast.kind(*operand) {
            Kind::Step(step) => Some(&**step),
            _ => None,
        },
        _ => None,
    };
    let text = |id: NodeId| match ast.kind(id) {
        Kind::Literal(Value::String(text)) => Some(&**text),
        _ => None,
    };
    match (step(left), text(right)) {
        (Some(step), Some(text)) => Some((step, text)),
        _ => Some((step(right)?, text(left)?)),
    }
}

/// What a step with this outcome is certain to have.
fn fields_after(outcome: &str) -> &'static [&'static str] {
    match outcome {
        "succeeded" => &["output", "agent", "started_at", "ended_at"],
        "failed" => &["error"],
        _ => &[],
    }
}
