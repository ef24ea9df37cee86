//! Operators, fields and indices at run time.

use std::cmp::Ordering;
use std::sync::Arc;

use super::ast::BinaryOp;
use super::eval::{Failure, Fuel, Outcome};
use super::format::VALUE_DEPTH_MAX;
use super::{Value, time};

/// `a.f`, or `a.?f` and `has(a.f)`, for which null is no value.
pub(super) fn select(base: &Value, field: &str, optional: bool) -> Outcome {
    match base {
        Value::Map(map) => match map.get(field) {
            Some(Value::Null) | None if optional => Ok(Value::Optional(None)),
            Some(value) if optional => Ok(some(value.clone())),
            Some(value) => Ok(value.clone()),
            None => Err(Failure::absent(format!("there is no field `{field}`"))),
        },
        Value::Optional(Some(inner)) => select(inner, field, true),
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Null if optional => Ok(Value::Optional(None)),
        Value::Null => Err(Failure::absent(format!("null has no field `{field}`"))),
        other => Err(Failure::new(format!(
            "{} has no field `{field}`",
            other.kind()
        ))),
    }
}

/// `a[k]` or `a[?k]`.
pub(super) fn index(base: &Value, index: &Value, optional: bool) -> Outcome {
    match (base, index) {
        (Value::Map(_) | Value::Null, Value::String(key)) => select(base, key, optional),
        (Value::List(items), Value::Int(at)) => {
            let item = usize::try_from(*at).ok().and_then(|at| items.get(at));
            match item {
                Some(Value::Null) | None if optional => Ok(Value::Optional(None)),
                Some(item) if optional => Ok(some(item.clone())),
                Some(item) => Ok(item.clone()),
                None => {
                    let message = format!("index {at} is out of range of {} items", items.len());
                    Err(Failure::absent(message))
                }
            }
        }
        (Value::Optional(Some(inner)), _) => self::index(inner, index, true),
        (Value::Optional(None), _) => Ok(Value::Optional(None)),
        (Value::Null, _) if optional => Ok(Value::Optional(None)),
        (Value::Null, _) => Err(Failure::absent("null has no items")),
        (base, index) => {
            let message = format!("{} cannot be indexed by {}", base.kind(), index.kind());
            Err(Failure::new(message))
        }
    }
}

fn some(value: Value) -> Value {
    match value {
        Value::Optional(_) => value,
        value => Value::Optional(Some(Arc::new(value))),
    }
}

pub(super) fn negate(value: &Value) -> Outcome {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        Value::Duration(micros) => micros
            .checked_neg()
            .map(Value::Duration)
            .ok_or_else(overflow),
        other => Err(Failure::new(format!(
            "`-` is not defined for {}",
            other.kind()
        ))),
    }
}

/// All binary operators but `&&` and `||`.
pub(super) fn binary(op: BinaryOp, left: &Value, right: &Value, fuel: &mut Fuel) -> Outcome {
    match op {
        BinaryOp::Equal => equal(left, right, fuel, 0).map(Value::Bool),
        BinaryOp::NotEqual => equal(left, right, fuel, 0).map(|same| Value::Bool(!same)),
        BinaryOp::Less => compare(op, left, right, fuel, Ordering::is_lt),
        BinaryOp::LessEqual => compare(op, left, right, fuel, Ordering::is_le),
        BinaryOp::Greater => compare(op, left, right, fuel, Ordering::is_gt),
        BinaryOp::GreaterEqual => compare(op, left, right, fuel, Ordering::is_ge),
        BinaryOp::In => contains(left, right, fuel),
        BinaryOp::Add => add(left, right, fuel),
        BinaryOp::Subtract => subtract(left, right),
        BinaryOp::Multiply => numeric(op, left, right, i64::checked_mul, |a, b| a * b),
        BinaryOp::Divide => {
            reject_zero(left, right)?;
            numeric(op, left, right, i64::checked_div, |a, b| a / b)
        }
        BinaryOp::Remainder => match (left, right) {
            (Value::Int(a), Value::Int(b)) => {
                reject_zero(left, right)?;
                a.checked_rem(*b).map(Value::Int).ok_or_else(overflow)
            }
            _ => Err(undefined(op, left, right)),
        },
        BinaryOp::And | BinaryOp::Or => Err(undefined(op, left, right)),
    }
}

/// CEL's equality: numbers by value, values of different types are not equal.
pub(super) fn equal(
    left: &Value,
    right: &Value,
    fuel: &mut Fuel,
    depth: usize,
) -> Result<bool, Failure> {
    if depth > VALUE_DEPTH_MAX {
        return Err(Failure::new("the values are nested too deep"));
    }
    fuel.spend(1)?;
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::String(a), Value::String(b)) => {
            fuel.spend_bytes(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b, fuel, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, a) in a.iter() {
                let Some(b) = b.get(key) else {
                    return Ok(false);
                };
                if !equal(a, b, fuel, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(a, b, fuel, depth + 1),
            (a, b) => Ok(a.is_none() && b.is_none()),
        },
        (a, b) => Ok(a.order(b) == Some(Some(Ordering::Equal))),
    }
}

fn compare(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    fuel: &mut Fuel,
    verdict: fn(Ordering) -> bool,
) -> Outcome {
    if let (Value::String(a), Value::String(b)) = (left, right) {
        fuel.spend_bytes(a.len().min(b.len()))?;
    }
    match left.order(right) {
        Some(order) => Ok(Value::Bool(order.is_some_and(verdict))),
        None => Err(undefined(op, left, right)),
    }
}

fn contains(item: &Value, container: &Value, fuel: &mut Fuel) -> Outcome {
    match (item, container) {
        (item, Value::List(items)) => {
            for known in items.iter() {
                if equal(item, known, fuel, 0)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        (Value::String(key), Value::Map(map)) => Ok(Value::Bool(map.get(key).is_some())),
        (item, container) => Err(undefined(BinaryOp::In, item, container)),
    }
}

fn add(left: &Value, right: &Value, fuel: &mut Fuel) -> Outcome {
    match (left, right) {
        (Value::String(a), Value::String(b)) => {
            fuel.spend_bytes(a.len() + b.len())?;
            Ok(Value::string([&**a, &**b].concat()))
        }
        (Value::List(a), Value::List(b)) => {
            fuel.spend(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).cloned()))
        }
        (Value::Timestamp(instant), Value::Duration(length))
        | (Value::Duration(length), Value::Timestamp(instant)) => {
            self::instant(instant.checked_add(*length))
        }
        (Value::Duration(a), Value::Duration(b)) => {
            a.checked_add(*b).map(Value::Duration).ok_or_else(overflow)
        }
        _ => numeric(BinaryOp::Add, left, right, i64::checked_add, |a, b| a + b),
    }
}

fn subtract(left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or_else(overflow)
        }
        (Value::Timestamp(instant), Value::Duration(length)) => {
            self::instant(instant.checked_sub(*length))
        }
        _ => numeric(BinaryOp::Subtract, left, right, i64::checked_sub, |a, b| {
            a - b
        }),
    }
}

/// A point in time within the years that have a text.
fn instant(micros: Option<i64>) -> Outcome {
    micros
        .filter(|micros| time::INSTANTS.contains(micros))
        .map(Value::Timestamp)
        .ok_or_else(|| Failure::new("timestamp out of the years 1 to 9999"))
}

fn numeric(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    ints: fn(i64, i64) -> Option<i64>,
    doubles: fn(f64, f64) -> f64,
) -> Outcome {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => ints(*a, *b).map(Value::Int).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(doubles(*a, *b))),
        (Value::Int(a), Value::Double(b)) => Ok(Value::Double(doubles(to_double(*a), *b))),
        (Value::Double(a), Value::Int(b)) => Ok(Value::Double(doubles(*a, to_double(*b)))),
        _ => Err(undefined(op, left, right)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the nearest double is what is wanted"
)]
pub(super) fn to_double(int: i64) -> f64 {
    int as f64
}

fn reject_zero(left: &Value, right: &Value) -> Result<(), Failure> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) => Err(Failure::new("division by zero")),
        _ => Ok(()),
    }
}

fn overflow() -> Failure {
    Failure::new("number out of 64-bit range")
}

fn undefined(op: BinaryOp, left: &Value, right: &Value) -> Failure {
    Failure::new(format!(
        "`{}` is not defined for {} and {}",
        op.symbol(),
        left.kind(),
        right.kind()
    ))
}
