//! Static checks: names, fields, types, and values that may be absent.
//!
//! The walk follows the evaluator's: down the spine in a loop, into other children by recursion.
//! What a condition says about its branch (`steps.x.outcome == 'succeeded' && ...`) is kept as
//! [`facts`] while the branch is walked. After an error the value counts as [`Type::Any`], so
//! that one mistake is told once.

mod access;
mod calls;
mod cost;
mod facts;
mod operators;

pub(super) use facts::outcome_test;

use std::collections::BTreeSet;
use std::ops::Range;

use cost::Cost;

use super::ast::{Ast, Coercion, Kind, MacroOp, NodeId};
use super::parser::{self, Parsed};
use super::{Checked, Env, Expr, ExprError, ObjectType, Scope, Type, Value, eval};
use crate::diagnostic::Severity;

/// What is known of a map literal is forgotten above this many types: literals that hold one
/// another twice, a few dozen deep, would otherwise take for ever to compare.
const MAP_WEIGHT_MAX: u32 = 20_000;

/// Parses and checks an expression that gives a value.
///
/// # Errors
/// Everything that is wrong with it, by place; at least one error.
pub fn check(text: &str, env: &Env) -> Result<Checked, Vec<ExprError>> {
    run(text, env, |_, _| {})
}

/// Like [`check`], for a condition: anything but a bool is an error (PHI307); a value of which
/// nothing is known is allowed here and checked when it is evaluated.
///
/// # Errors
/// See [`check`].
pub fn check_condition(text: &str, env: &Env) -> Result<Checked, Vec<ExprError>> {
    run(text, env, |checker, ty| {
        let root = checker.ast.root();
        if !matches!(ty, Type::Bool | Type::Any) {
            let error = ExprError::new(
                "PHI307",
                checker.ast.range(root),
                format!("condition is {ty}, not bool"),
            );
            let source = checker.source(checker.ast.range(root));
            // A long expression would drown the hint.
            let source = if source.len() <= 40 { source } else { "x" };
            let help = match ty {
                Type::String | Type::Enum(_) => format!("as `{source} != \"\"`"),
                Type::List(..) | Type::Map(_) | Type::Object(_) => {
                    format!("as `size({source}) > 0`")
                }
                Type::Int | Type::Double => format!("as `{source} != 0`"),
                _ => "a condition compares or tests something".to_owned(),
            };
            checker.report(error.help(help));
        } else if let Some(verdict) = constant(&checker.ast) {
            checker.report(
                ExprError::new(
                    "PHI311",
                    checker.ast.range(root),
                    format!("condition is always {verdict}"),
                )
                .severity(Severity::Warning),
            );
        }
    })
}

/// Like [`check`], for an expression within text: a list or a map is an error (PHI309).
///
/// # Errors
/// See [`check`].
pub fn check_text(text: &str, env: &Env) -> Result<Checked, Vec<ExprError>> {
    run(text, env, |checker, ty| {
        if !ty.is_scalar() {
            let kind = if matches!(ty, Type::List(..)) {
                "list"
            } else {
                "map"
            };
            checker.report(
                ExprError::new(
                    "PHI309",
                    checker.ast.range(checker.ast.root()),
                    format!("{kind} inside text"),
                )
                .help("`json(...)` writes it as text; or make the expression the whole value"),
            );
        }
    })
}

fn run(
    text: &str,
    env: &Env,
    last: impl FnOnce(&mut Checker<'_>, &Type),
) -> Result<Checked, Vec<ExprError>> {
    let Parsed { ast, errors, holes } = parser::parse(text).map_err(|error| vec![error])?;
    let mut checker = Checker {
        text,
        env,
        ast,
        holes,
        findings: errors,
        facts: Vec::new(),
        locals: Vec::new(),
        tolerant: false,
        tolerated: false,
        unchecked: BTreeSet::new(),
        cost: Cost::new(),
    };
    let root = checker.ast.root();
    let ty = checker.present(root);
    if checker
        .findings
        .iter()
        .all(|finding| finding.severity != Severity::Error)
    {
        last(&mut checker, &ty);
        let range = checker.ast.range(root);
        checker.findings.extend(checker.cost.finding(range));
    }
    let Checker {
        ast, mut findings, ..
    } = checker;
    findings.sort_by_key(|finding| (finding.range.start, finding.range.end, finding.code));
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(findings);
    }
    Ok(Checked {
        expr: Expr::new(text, ast),
        ty,
        warnings: findings,
    })
}

/// The verdict of a condition that reads nothing.
fn constant(ast: &Ast) -> Option<bool> {
    struct Nothing;
    impl Scope for Nothing {
        fn variable(&self, _name: &str) -> Option<Value> {
            None
        }
        fn step(&self, _id: &str) -> Option<Value> {
            None
        }
    }
    let reads = ast
        .nodes()
        .any(|(_, node)| matches!(node.kind, Kind::Variable(_) | Kind::Step(_)));
    if reads {
        return None;
    }
    match eval::evaluate(ast, &Nothing) {
        Ok(Value::Bool(verdict)) => Some(verdict),
        Ok(_) | Err(_) => None,
    }
}

struct Checker<'a> {
    text: &'a str,
    env: &'a Env,
    ast: Ast,
    /// Nodes that stand for something unknown, which was reported.
    holes: Vec<NodeId>,
    findings: Vec<ExprError>,
    /// Paths that are certain to be there at this place.
    facts: Vec<String>,
    /// Types of the macros' variables, by slot.
    locals: Vec<Type>,
    /// Whether the next walk may meet absent values: an argument of `coalesce`.
    tolerant: bool,
    /// Whether such a walk met a value that may be absent.
    tolerated: bool,
    /// Steps whose missing schema was remarked on.
    unchecked: BTreeSet<String>,
    cost: Cost,
}

impl Checker<'_> {
    fn report(&mut self, finding: ExprError) {
        self.findings.push(finding);
    }

    fn source(&self, range: Range<usize>) -> &str {
        &self.text[range]
    }

    /// The type of a node whose value must be there: an optional is an error.
    fn present(&mut self, id: NodeId) -> Type {
        let ty = self.walk(id);
        self.unwrapped(id, ty)
    }

    fn unwrapped(&mut self, id: NodeId, ty: Type) -> Type {
        let Type::Optional(inner) = &ty else {
            return ty;
        };
        let range = self.ast.range(id);
        let message = format!("`{}` may be absent", self.source(range.clone()));
        self.report(
            ExprError::new("PHI305", range, message)
                .label(format!("this is `{ty}`"))
                .help("`.orValue(...)` gives a value for that case"),
        );
        inner.as_ref().clone()
    }

    fn walk(&mut self, id: NodeId) -> Type {
        let tolerant = std::mem::take(&mut self.tolerant);
        let (first, rest) = self.ast.spine(id);
        let mut ty = self.leaf(first);
        self.note_coercion(first, &ty);
        for id in rest.into_iter().rev() {
            ty = self.finish(id, ty, tolerant);
            self.note_coercion(id, &ty);
        }
        ty
    }

    fn note_coercion(&mut self, id: NodeId, ty: &Type) {
        self.cost.step();
        self.ast.coercions[id.index()] = match ty {
            Type::Double => Some(Coercion::Double),
            Type::Timestamp => Some(Coercion::Timestamp),
            Type::Duration => Some(Coercion::Duration),
            _ => None,
        };
    }

    /// A node without a leading child.
    fn leaf(&mut self, id: NodeId) -> Type {
        if self.holes.contains(&id) {
            return Type::Any;
        }
        match self.ast.kind(id) {
            Kind::Literal(value) => literal(value),
            Kind::Local(slot) => self.locals[*slot].clone(),
            Kind::Variable(name) => {
                let name = name.clone();
                self.variable(id, &name)
            }
            Kind::Step(step) => {
                let step = step.clone();
                self.step(id, &step)
            }
            Kind::List(items) => {
                let items = items.clone();
                let most = u32::try_from(items.len()).ok();
                let types = items.into_iter().map(|item| self.present(item));
                let joined = types.reduce(|joined, ty| joined.join(&ty));
                Type::list_of(joined.unwrap_or(Type::Any), most)
            }
            Kind::Map(entries) => {
                let entries = entries.clone();
                self.map(&entries)
            }
            Kind::Has(field) => {
                let field = *field;
                self.has(field)
            }
            Kind::Call { args, .. } => {
                let args = args.clone();
                self.call(id, None, &args)
            }
            Kind::Select { .. }
            | Kind::Index { .. }
            | Kind::Unary { .. }
            | Kind::Binary { .. }
            | Kind::Conditional { .. }
            | Kind::Macro { .. } => Type::Any,
        }
    }

    /// A node whose leading child has type `ty`.
    fn finish(&mut self, id: NodeId, ty: Type, tolerant: bool) -> Type {
        match self.ast.kind(id) {
            Kind::Select {
                operand,
                field,
                optional,
            } => {
                let (operand, field, optional) = (*operand, field.clone(), *optional);
                self.select(id, operand, &ty, &field, optional, tolerant)
            }
            Kind::Index {
                index, optional, ..
            } => {
                let (index, optional) = (*index, *optional);
                self.index(id, &ty, index, optional, tolerant)
            }
            Kind::Unary { op, operand } => {
                let (op, operand) = (*op, *operand);
                let ty = self.unwrapped(operand, ty);
                self.unary(id, op, &ty)
            }
            Kind::Binary {
                op,
                op_range,
                left,
                right,
            } => {
                let (op, op_range, left, right) = (*op, op_range.clone(), *left, *right);
                let ty = self.unwrapped(left, ty);
                self.binary(op, op_range, left, &ty, right)
            }
            Kind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let (condition, then, otherwise) = (*condition, *then, *otherwise);
                let ty = self.unwrapped(condition, ty);
                self.expect_bool(condition, &ty);
                let when_true = self.assuming(condition, true, |checker| checker.walk(then));
                let when_false = self.assuming(condition, false, |checker| checker.walk(otherwise));
                when_true.join(&when_false)
            }
            Kind::Call { args, .. } => {
                let args = args.clone();
                self.call(id, Some(ty), &args)
            }
            Kind::Macro {
                op,
                over,
                slot,
                condition,
                body,
            } => {
                let (op, over, slot, condition, body) = (*op, *over, *slot, *condition, *body);
                let ty = self.unwrapped(over, ty);
                self.comprehension(op, over, ty, slot, condition, body)
            }
            Kind::Literal(_)
            | Kind::Variable(_)
            | Kind::Local(_)
            | Kind::Step(_)
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Has(_) => ty,
        }
    }

    /// Walks a branch that is reached only if `condition` is `truth`.
    fn assuming<T>(
        &mut self,
        condition: NodeId,
        truth: bool,
        walk: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let known = self.facts.len();
        self.facts.extend(facts::of(&self.ast, condition, truth));
        let result = walk(self);
        self.facts.truncate(known);
        result
    }

    fn map(&mut self, entries: &[(NodeId, NodeId)]) -> Type {
        let mut named = Some(ObjectType::default());
        let mut joined: Option<Type> = None;
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for (key, value) in entries {
            let key_type = self.present(*key);
            self.expect_type(*key, &key_type, &Type::String);
            let value_type = self.present(*value);
            named = match (named, self.ast.kind(*key)) {
                (Some(object), Kind::Literal(Value::String(name))) => {
                    let name = name.to_string();
                    if !keys.insert(name.clone()) {
                        let message = format!("the key `{name}` stands twice in the map");
                        self.report(ExprError::new("PHI301", self.ast.range(*key), message));
                    }
                    Some(object.field(name, value_type.clone()))
                }
                _ => None,
            };
            joined = Some(match joined {
                Some(joined) => joined.join(&value_type),
                None => value_type,
            });
        }
        match named {
            Some(object) if object.weight() <= MAP_WEIGHT_MAX => object.into(),
            Some(_) => Type::map(Type::Any),
            None => Type::map(joined.unwrap_or(Type::Any)),
        }
    }

    fn comprehension(
        &mut self,
        op: MacroOp,
        over: NodeId,
        over_type: Type,
        slot: usize,
        condition: Option<NodeId>,
        body: NodeId,
    ) -> Type {
        let item = match &over_type {
            Type::List(item, _) => item.as_ref().clone(),
            Type::Map(_) | Type::Object(_) if op != MacroOp::SortBy => Type::String,
            Type::Any => Type::Any,
            other => {
                let wanted = if op == MacroOp::SortBy {
                    "list"
                } else {
                    "list or map"
                };
                let message = format!("expected {wanted}, found {other}");
                self.report(ExprError::new("PHI306", self.ast.range(over), message));
                Type::Any
            }
        };
        let most = match &over_type {
            Type::List(_, most) => *most,
            _ => None,
        };
        self.locals.truncate(slot);
        self.locals.push(item.clone());
        let outside = self.cost.enter(most);
        if let Some(condition) = condition {
            let ty = self.present(condition);
            self.expect_bool(condition, &ty);
        }
        let body_type = match condition {
            Some(condition) => self.assuming(condition, true, |checker| checker.present(body)),
            None => self.present(body),
        };
        self.cost.leave(outside);
        self.locals.truncate(slot);
        match op {
            MacroOp::All | MacroOp::Exists | MacroOp::ExistsOne => {
                self.expect_bool(body, &body_type);
                Type::Bool
            }
            MacroOp::Filter => {
                self.expect_bool(body, &body_type);
                Type::list_of(item, most)
            }
            MacroOp::Map => Type::list_of(body_type, most),
            MacroOp::SortBy => {
                if matches!(
                    body_type,
                    Type::List(..) | Type::Map(_) | Type::Object(_) | Type::Null
                ) {
                    let message = format!("{body_type} has no order to sort by");
                    self.report(ExprError::new("PHI306", self.ast.range(body), message));
                }
                Type::list_of(item, most)
            }
        }
    }

    fn expect_bool(&mut self, id: NodeId, ty: &Type) {
        self.expect_type(id, ty, &Type::Bool);
    }

    /// PHI306 unless a value of type `found` may be one of the simple type `wanted`.
    fn expect_type(&mut self, id: NodeId, found: &Type, wanted: &Type) {
        if *found == Type::Any || found == wanted || (found.is_text() && wanted.is_text()) {
            return;
        }
        let error = ExprError::new(
            "PHI306",
            self.ast.range(id),
            format!("expected {wanted}, found {found}"),
        );
        self.report(match wanted {
            Type::String if found.is_scalar() => error.help("`string(...)` converts"),
            Type::String => error.help("`json(...)` writes it as text"),
            Type::Int if found.is_scalar() => error.help("`int(...)` converts"),
            Type::Bool => error.help("compare it with something"),
            _ => error,
        });
    }
}

fn literal(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::List(_)
        | Value::Map(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Optional(_) => Type::Any,
    }
}
