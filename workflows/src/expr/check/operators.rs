//! Which operators are defined for which types.

use std::ops::Range;

use super::super::ast::{BinaryOp, Kind, NodeId, UnaryOp};
use super::super::nearest::nearest;
use super::super::{ExprError, Type, Value};
use super::Checker;
use crate::diagnostic::Severity;

impl Checker<'_> {
    pub(super) fn unary(&mut self, id: NodeId, op: UnaryOp, ty: &Type) -> Type {
        let (symbol, result) = match (op, ty) {
            (UnaryOp::Not, Type::Bool | Type::Any) => return Type::Bool,
            (UnaryOp::Negate, Type::Int | Type::Double | Type::Duration | Type::Any) => {
                return ty.clone();
            }
            (UnaryOp::Not, _) => ("!", Type::Bool),
            (UnaryOp::Negate, _) => ("-", Type::Any),
        };
        let start = self.ast.range(id).start;
        let message = format!("`{symbol}` is not defined for {ty}");
        self.report(ExprError::new("PHI310", start..start + 1, message));
        result
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        op_range: Range<usize>,
        left: NodeId,
        left_type: &Type,
        right: NodeId,
    ) -> Type {
        let right_type = match op {
            BinaryOp::And => self.assuming(left, true, |checker| checker.present(right)),
            BinaryOp::Or => self.assuming(left, false, |checker| checker.present(right)),
            _ => self.present(right),
        };
        if let Some(result) = result(op, left_type, &right_type) {
            match op {
                BinaryOp::Equal | BinaryOp::NotEqual => {
                    self.compare_with_known(op, left_type, right);
                    self.compare_with_known(op, &right_type, left);
                }
                BinaryOp::Divide | BinaryOp::Remainder => {
                    self.warn_of_zero(&op_range, left_type, right);
                }
                _ => {}
            }
            return result;
        }
        let message = format!(
            "`{}` is not defined for {left_type} and {right_type}",
            op.symbol()
        );
        let error = ExprError::new("PHI310", op_range, message);
        self.report(match help(op, left_type, &right_type) {
            Some(help) => error.help(help),
            None => error,
        });
        match op {
            BinaryOp::Add
            | BinaryOp::Subtract
            | BinaryOp::Multiply
            | BinaryOp::Divide
            | BinaryOp::Remainder => Type::Any,
            _ => Type::Bool,
        }
    }

    /// PHI311 for a literal that a value with known texts never has.
    fn compare_with_known(&mut self, op: BinaryOp, ty: &Type, other: NodeId) {
        let Type::Enum(values) = ty else { return };
        let Kind::Literal(Value::String(text)) = self.ast.kind(other) else {
            return;
        };
        if values.iter().any(|value| **value == **text) {
            return;
        }
        let verdict = op == BinaryOp::NotEqual;
        let near = nearest(text, values.iter().map(String::as_str));
        let list = format!("its values: {}", values.join(", "));
        let finding = ExprError::new(
            "PHI311",
            self.ast.range(other),
            format!("comparison is always {verdict}: the value is never `{text}`"),
        )
        .severity(Severity::Warning)
        .suggest(near, Some(list));
        self.report(finding);
    }

    fn warn_of_zero(&mut self, op_range: &Range<usize>, left: &Type, right: NodeId) {
        if matches!(left, Type::Int | Type::Any)
            && matches!(self.ast.kind(right), Kind::Literal(Value::Int(0)))
        {
            self.report(
                ExprError::new("PHI316", op_range.clone(), "division by zero")
                    .severity(Severity::Warning),
            );
        }
    }
}

/// The type of the result, `None` if the operator is not defined.
fn result(op: BinaryOp, left: &Type, right: &Type) -> Option<Type> {
    use BinaryOp as Op;
    match op {
        Op::And | Op::Or => (is(left, &Type::Bool) && is(right, &Type::Bool)).then_some(Type::Bool),
        Op::Equal | Op::NotEqual => left.comparable(right).then_some(Type::Bool),
        Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
            let ordered = has_order(left) && has_order(right) && left.comparable(right);
            ordered.then_some(Type::Bool)
        }
        Op::In => membership(left, right).then_some(Type::Bool),
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Remainder => {
            arithmetic(op, left, right)
        }
    }
}

fn is(ty: &Type, wanted: &Type) -> bool {
    ty == wanted || *ty == Type::Any
}

fn has_order(ty: &Type) -> bool {
    ty.is_scalar() && *ty != Type::Null
}

fn membership(item: &Type, container: &Type) -> bool {
    match container {
        Type::List(known, _) => known.comparable(item),
        Type::Map(_) | Type::Object(_) => item.is_text() || *item == Type::Any,
        Type::Any => true,
        _ => false,
    }
}

fn arithmetic(op: BinaryOp, left: &Type, right: &Type) -> Option<Type> {
    use BinaryOp as Op;
    match (left, right) {
        (Type::Any, other) | (other, Type::Any) => {
            let known = match op {
                Op::Add => {
                    other.is_number()
                        || other.is_text()
                        || matches!(other, Type::List(..) | Type::Timestamp | Type::Duration)
                }
                Op::Subtract => {
                    other.is_number() || matches!(other, Type::Timestamp | Type::Duration)
                }
                Op::Multiply | Op::Divide => other.is_number(),
                _ => *other == Type::Int,
            };
            let result = match other {
                Type::String | Type::Enum(_) => Type::String,
                Type::List(..) => Type::list(Type::Any),
                Type::Double => Type::Double,
                _ => Type::Any,
            };
            (known || *other == Type::Any).then_some(result)
        }
        (Type::Int, Type::Int) => Some(Type::Int),
        (a, b) if a.is_number() && b.is_number() && op != Op::Remainder => Some(Type::Double),
        (a, b) if a.is_text() && b.is_text() && op == Op::Add => Some(Type::String),
        (Type::List(a, most_a), Type::List(b, most_b)) if op == Op::Add && a.comparable(b) => {
            let most = most_a.zip(*most_b).map(|(a, b)| a.saturating_add(b));
            Some(Type::list_of(a.join(b), most))
        }
        (Type::Timestamp, Type::Timestamp) if op == Op::Subtract => Some(Type::Duration),
        (Type::Timestamp, Type::Duration) if matches!(op, Op::Add | Op::Subtract) => {
            Some(Type::Timestamp)
        }
        (Type::Duration, Type::Timestamp) if op == Op::Add => Some(Type::Timestamp),
        (Type::Duration, Type::Duration) if matches!(op, Op::Add | Op::Subtract) => {
            Some(Type::Duration)
        }
        _ => None,
    }
}

fn help(op: BinaryOp, left: &Type, right: &Type) -> Option<&'static str> {
    let either = |test: fn(&Type) -> bool| test(left) || test(right);
    match op {
        BinaryOp::And | BinaryOp::Or => {
            Some("both sides are conditions: compare them with something")
        }
        BinaryOp::Add if either(Type::is_text) && left.is_scalar() && right.is_scalar() => {
            Some("`string(...)` makes text of a value")
        }
        BinaryOp::Add if either(Type::is_text) => Some("`json(...)` makes text of a list or map"),
        _ if either(|ty| *ty == Type::Timestamp) && either(Type::is_text) => {
            Some("`timestamp(\"2026-01-31T12:00:00Z\")` makes a timestamp of text")
        }
        _ if either(|ty| *ty == Type::Duration) && either(Type::is_text) => {
            Some("`duration(\"90s\")` makes a duration of text")
        }
        _ if either(Type::is_text) && either(Type::is_number) => {
            Some("`int(...)` or `double(...)` makes a number of text")
        }
        _ => None,
    }
}
