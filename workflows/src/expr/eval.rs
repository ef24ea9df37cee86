//! The evaluator: a tree and a scope to a value, on a budget.
//!
//! Every node costs one step of fuel, and building or comparing large values costs in proportion to their
//! size, so that no expression outruns its fuel. Running out is final; any other failure is
//! absorbed by `&&` and `||` as CEL defines it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::ast::{Ast, BinaryOp, Coercion, Kind, MacroOp, NodeId, UnaryOp};
use super::function::Function;
use super::{Map, Scope, Value, call, format, operators, value};

/// Steps of one evaluation.
pub(super) const FUEL: u64 = 100_000;

/// Why there is no value.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Something is not there; `coalesce` goes on with the next.
    Absent,
    /// Anything else that is wrong with the values.
    Invalid,
    /// A limit; nothing absorbs it.
    Exhausted,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: Cause::Invalid,
        }
    }

    pub(super) fn absent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: Cause::Absent,
        }
    }

    pub(super) fn exhausted(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: Cause::Exhausted,
        }
    }
}

pub(super) type Outcome = Result<Value, Failure>;

/// What is left of an evaluation's steps.
pub(super) struct Fuel(u64);

impl Fuel {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err(Failure::exhausted(format!(
                    "more than {FUEL} steps of evaluation"
                )))
            }
        }
    }

    /// Pays for reading or writing text.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes > format::RESULT_BYTES_MAX {
            let limit = format::RESULT_BYTES_MAX / 1024;
            return Err(Failure::exhausted(format!(
                "a text is larger than {limit} KiB"
            )));
        }
        self.spend(bytes / 32)
    }
}

/// Evaluates with fresh fuel; the result fits into the size limit.
pub(super) fn evaluate(ast: &Ast, scope: &dyn Scope) -> Outcome {
    let mut evaluator = Evaluator {
        ast,
        scope,
        fuel: Fuel(FUEL),
        locals: Vec::new(),
    };
    let value = evaluator.eval(ast.root())?;
    let mut room = format::RESULT_BYTES_MAX;
    format::measure(&value, &mut room, 0)?;
    Ok(value)
}

struct Evaluator<'a> {
    ast: &'a Ast,
    scope: &'a dyn Scope,
    fuel: Fuel,
    /// Values of the macros' variables, by slot.
    locals: Vec<Value>,
}

impl Evaluator<'_> {
    fn eval(&mut self, id: NodeId) -> Outcome {
        let (first, rest) = self.ast.spine(id);
        let mut outcome = self
            .leaf(first)
            .and_then(|value| self.coerced(first, value));
        for id in rest.into_iter().rev() {
            if let Err(failure) = &outcome
                && failure.cause == Cause::Exhausted
            {
                return outcome;
            }
            outcome = self
                .finish(id, outcome)
                .and_then(|value| self.coerced(id, value));
        }
        outcome
    }

    /// A node without a leading child.
    fn leaf(&mut self, id: NodeId) -> Outcome {
        self.fuel.spend(1)?;
        match self.ast.kind(id) {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Local(slot) => Ok(self.locals[*slot].clone()),
            Kind::Variable(name) => self
                .scope
                .variable(name)
                .ok_or_else(|| Failure::absent(format!("`{name}` has no value here"))),
            Kind::Step(step) => self
                .scope
                .step(step)
                .ok_or_else(|| Failure::absent(format!("`steps.{step}` has no value here"))),
            Kind::List(items) => {
                let items: Result<Vec<Value>, Failure> =
                    items.iter().map(|item| self.eval(*item)).collect();
                Ok(Value::List(Arc::new(items?)))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Has(field) => self.has(*field),
            Kind::Call { args, .. } => self.coalesce_or_empty(args),
            Kind::Select { .. }
            | Kind::Index { .. }
            | Kind::Unary { .. }
            | Kind::Binary { .. }
            | Kind::Conditional { .. }
            | Kind::Macro { .. } => Err(Failure::new("a node without its first child")),
        }
    }

    /// A node whose leading child came out as `leading`.
    fn finish(&mut self, id: NodeId, leading: Outcome) -> Outcome {
        self.fuel.spend(1)?;
        if let Kind::Binary {
            op: op @ (BinaryOp::And | BinaryOp::Or),
            right,
            ..
        } = self.ast.kind(id)
        {
            return self.logical(*op, leading, *right);
        }
        let leading = leading?;
        match self.ast.kind(id) {
            Kind::Select {
                field, optional, ..
            } => operators::select(&leading, field, *optional),
            Kind::Index {
                index, optional, ..
            } => {
                let index = self.eval(*index)?;
                operators::index(&leading, &index, *optional)
            }
            Kind::Unary {
                op: UnaryOp::Not, ..
            } => as_bool(&leading, "`!`").map(|value| Value::Bool(!value)),
            Kind::Unary {
                op: UnaryOp::Negate,
                ..
            } => operators::negate(&leading),
            Kind::Binary { op, right, .. } => {
                let right = self.eval(*right)?;
                operators::binary(*op, &leading, &right, &mut self.fuel)
            }
            Kind::Conditional {
                then, otherwise, ..
            } => {
                let branch = if as_bool(&leading, "`?`")? {
                    then
                } else {
                    otherwise
                };
                self.eval(*branch)
            }
            Kind::Call { function, args, .. } => self.call(*function, leading, args),
            Kind::Macro {
                op,
                slot,
                condition,
                body,
                ..
            } => {
                let outcome = self.comprehension(*op, &leading, *slot, *condition, *body);
                self.locals.truncate(*slot);
                outcome
            }
            Kind::Literal(_)
            | Kind::Variable(_)
            | Kind::Local(_)
            | Kind::Step(_)
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Has(_) => Ok(leading),
        }
    }

    fn coerced(&self, id: NodeId, value: Value) -> Outcome {
        let Some(coercion) = self.ast.coercions[id.index()] else {
            return Ok(value);
        };
        match (coercion, &value) {
            (Coercion::Double, Value::Int(int)) => Ok(Value::Double(operators::to_double(*int))),
            (Coercion::Timestamp, Value::String(text)) => value::timestamp_from(&value)
                .ok_or_else(|| Failure::new(format!("`{text}` is no timestamp"))),
            (Coercion::Duration, Value::String(text)) => value::duration_from(&value)
                .ok_or_else(|| Failure::new(format!("`{text}` is no duration"))),
            (Coercion::Double | Coercion::Timestamp | Coercion::Duration, _) => Ok(value),
        }
    }

    /// One side that decides is enough, even if the other has no value.
    fn logical(&mut self, op: BinaryOp, left: Outcome, right: NodeId) -> Outcome {
        let decisive = op == BinaryOp::Or;
        let symbol = if decisive { "`||`" } else { "`&&`" };
        let left = left.and_then(|value| as_bool(&value, symbol));
        if matches!(left, Ok(value) if value == decisive) {
            return Ok(Value::Bool(decisive));
        }
        let right = self.eval(right).and_then(|value| as_bool(&value, symbol));
        match (left, right) {
            (_, Err(failure)) if failure.cause == Cause::Exhausted => Err(failure),
            (_, Ok(right)) if right == decisive => Ok(Value::Bool(decisive)),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
            (Ok(_), Ok(_)) => Ok(Value::Bool(!decisive)),
        }
    }

    fn map(&mut self, entries: &[(NodeId, NodeId)]) -> Outcome {
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Value::String(name) = self.eval(*key)? else {
                return Err(Failure::new("the keys of a map are strings"));
            };
            pairs.push((name, self.eval(*value)?));
        }
        let map: Map = pairs.into_iter().collect();
        if map.len() < entries.len() {
            return Err(Failure::new("a key stands twice in the map"));
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn has(&mut self, field: NodeId) -> Outcome {
        let found = match self.ast.kind(field) {
            Kind::Select { operand, field, .. } => {
                let operand = self.eval(*operand)?;
                operators::select(&operand, field, true)?
            }
            Kind::Index { operand, index, .. } => {
                let operand = self.eval(*operand)?;
                let index = self.eval(*index)?;
                operators::index(&operand, &index, true)?
            }
            _ => return Err(Failure::new("`has` takes a field")),
        };
        Ok(Value::Bool(matches!(found, Value::Optional(Some(_)))))
    }

    /// The first argument that is there and not null; null if there is none.
    fn coalesce_or_empty(&mut self, args: &[NodeId]) -> Outcome {
        for arg in args {
            match self.eval(*arg) {
                Ok(Value::Null | Value::Optional(None)) => {}
                Ok(Value::Optional(Some(value))) => return Ok(value.as_ref().clone()),
                Err(failure) if failure.cause == Cause::Absent => {}
                other => return other,
            }
        }
        Ok(Value::Null)
    }

    fn call(&mut self, function: Function, first: Value, args: &[NodeId]) -> Outcome {
        let mut values = Vec::with_capacity(args.len());
        values.push(first);
        for arg in &args[1..] {
            values.push(self.eval(*arg)?);
        }
        let compiled = match function {
            Function::Matches => self.ast.patterns.get(&args[1]),
            _ => None,
        };
        call::call(function, &values, compiled, &mut self.fuel)
    }

    fn comprehension(
        &mut self,
        op: MacroOp,
        over: &Value,
        slot: usize,
        condition: Option<NodeId>,
        body: NodeId,
    ) -> Outcome {
        let items: Vec<Value> = match over {
            Value::List(items) => {
                self.fuel.spend(items.len())?;
                items.to_vec()
            }
            Value::Map(map) => {
                self.fuel.spend(map.len())?;
                map.iter()
                    .map(|(key, _)| Value::String(key.clone()))
                    .collect()
            }
            other => {
                return Err(Failure::new(format!(
                    "expected list or map, found {}",
                    other.kind()
                )));
            }
        };
        match op {
            MacroOp::All => self.quantify(items, slot, body, false),
            MacroOp::Exists => self.quantify(items, slot, body, true),
            MacroOp::ExistsOne => {
                let mut count = 0_usize;
                for item in items {
                    count += usize::from(self.test(item, slot, body)?);
                }
                Ok(Value::Bool(count == 1))
            }
            MacroOp::Filter => {
                let mut kept = Vec::new();
                for item in items {
                    if self.test(item.clone(), slot, body)? {
                        kept.push(item);
                    }
                }
                Ok(Value::List(Arc::new(kept)))
            }
            MacroOp::Map => {
                let mut mapped = Vec::new();
                for item in items {
                    let wanted = match condition {
                        Some(condition) => self.test(item.clone(), slot, condition)?,
                        None => true,
                    };
                    if wanted {
                        mapped.push(self.with_local(item, slot, body)?);
                    }
                }
                Ok(Value::List(Arc::new(mapped)))
            }
            MacroOp::SortBy => self.sort(items, slot, body),
        }
    }

    fn with_local(&mut self, item: Value, slot: usize, body: NodeId) -> Outcome {
        self.locals.truncate(slot);
        self.locals.push(item);
        self.eval(body)
    }

    fn test(&mut self, item: Value, slot: usize, body: NodeId) -> Result<bool, Failure> {
        let verdict = self.with_local(item, slot, body)?;
        as_bool(&verdict, "the macro's condition")
    }

    /// `exists` (`decisive` true) and `all` (false): one deciding item is enough, whatever fails for others.
    fn quantify(
        &mut self,
        items: Vec<Value>,
        slot: usize,
        body: NodeId,
        decisive: bool,
    ) -> Outcome {
        let mut first_failure = None;
        for item in items {
            match self.test(item, slot, body) {
                Ok(verdict) if verdict == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(failure) if failure.cause == Cause::Exhausted => return Err(failure),
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                }
            }
        }
        first_failure.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    /// Stable; every key has an order with the first one.
    fn sort(&mut self, items: Vec<Value>, slot: usize, body: NodeId) -> Outcome {
        let mut keyed: Vec<(Value, Value)> = Vec::with_capacity(items.len());
        for item in items {
            let key = self.with_local(item.clone(), slot, body)?;
            let first = keyed.first().map_or(&key, |(first, _)| first);
            if !matches!(first.order(&key), Some(Some(_))) {
                let (a, b) = (first.kind(), key.kind());
                return Err(Failure::new(format!(
                    "{a} and {b} have no order to sort by"
                )));
            }
            keyed.push((key, item));
        }
        let rounds = usize::BITS - keyed.len().leading_zeros();
        self.fuel.spend(keyed.len() * rounds as usize)?;
        keyed.sort_by(|(a, _), (b, _)| a.order(b).flatten().unwrap_or(Ordering::Equal));
        Ok(Value::List(Arc::new(
            keyed.into_iter().map(|(_, item)| item).collect(),
        )))
    }
}

fn as_bool(value: &Value, place: &str) -> Result<bool, Failure> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(Failure::new(format!(
            "{place} wants a bool, found {}",
            other.kind()
        ))),
    }
}
