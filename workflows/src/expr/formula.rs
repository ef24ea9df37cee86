//! A condition as a combination of tests: what can be reasoned about without evaluating it.
//!
//! Tests that compare a path with constants are taken apart; anything else is one opaque test,
//! known by its text. The formula has the same value as the expression wherever that has one.

use std::collections::BTreeSet;

use super::ast::{Ast, BinaryOp, Kind, NodeId, UnaryOp};
use super::function::Function;
use super::{Expr, Value};

/// A condition, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    /// Always this.
    Constant(bool),
    /// One test.
    Test(Test),
    /// The opposite.
    Not(Box<Formula>),
    /// All of them.
    All(Vec<Formula>),
    /// At least one of them.
    Any(Vec<Formula>),
}

/// One test of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// The bool itself.
    Truth(Term),
    /// Against a constant: null, a bool, a number or a text.
    Compare(Term, Comparison, Value),
    /// Anything else.
    Opaque {
        /// As written.
        text: String,
        /// What it reads, as far as it is written as a path.
        reads: BTreeSet<String>,
    },
}

/// What is tested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    /// The value at a path, as `steps.a.output.ok`.
    Path(String),
    /// How long the list, map or text at a path is.
    Size(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Term {
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Path(path) | Self::Size(path) => path,
        }
    }
}

impl Expr {
    /// What it reads, as far as it is written as a path: `vars.a.b`, and not `vars.a` as well.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        let ast = &self.inner.ast;
        Reader {
            ast,
            text: self.source(),
        }
        .reads(ast.root())
    }

    /// The condition taken apart.
    pub(crate) fn formula(&self) -> Formula {
        Reader {
            ast: &self.inner.ast,
            text: self.source(),
        }
        .formula(self.inner.ast.root())
    }
}

struct Reader<'a> {
    ast: &'a Ast,
    text: &'a str,
}

impl Reader<'_> {
    /// Chains of one operator are followed in a loop, so this recurses as deep as the parser did.
    fn formula(&self, id: NodeId) -> Formula {
        let (id, negated) = self.without_not(id);
        let formula = self.positive(id);
        match formula {
            Formula::Constant(value) => Formula::Constant(value != negated),
            formula if negated => Formula::Not(Box::new(formula)),
            formula => formula,
        }
    }

    fn without_not(&self, mut id: NodeId) -> (NodeId, bool) {
        let mut negated = false;
        while let Kind::Unary {
            op: UnaryOp::Not,
            operand,
        } = self.ast.kind(id)
        {
            negated = !negated;
            id = *operand;
        }
        (id, negated)
    }

    fn positive(&self, id: NodeId) -> Formula {
        let found = match self.ast.kind(id) {
            Kind::Literal(Value::Bool(value)) => Some(Formula::Constant(*value)),
            Kind::Binary {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                ..
            } => Some(self.chain(id, *op)),
            Kind::Binary {
                op, left, right, ..
            } => self.comparison(*op, *left, *right),
            Kind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.formula(*condition);
                let then = self.formula(*then);
                let otherwise = self.formula(*otherwise);
                Some(Formula::Any(vec![
                    Formula::All(vec![condition.clone(), then]),
                    Formula::All(vec![Formula::Not(Box::new(condition)), otherwise]),
                ]))
            }
            _ => self
                .ast
                .path(id)
                .map(|path| Formula::Test(Test::Truth(Term::Path(path)))),
        };
        found.unwrap_or_else(|| self.opaque(id))
    }

    fn chain(&self, id: NodeId, op: BinaryOp) -> Formula {
        let mut parts = Vec::new();
        let mut at = id;
        loop {
            match self.ast.kind(at) {
                Kind::Binary {
                    op: inner,
                    left,
                    right,
                    ..
                } if *inner == op => {
                    parts.push(self.formula(*right));
                    at = *left;
                }
                _ => {
                    parts.push(self.formula(at));
                    break;
                }
            }
        }
        parts.reverse();
        if op == BinaryOp::And {
            Formula::All(parts)
        } else {
            Formula::Any(parts)
        }
    }

    fn comparison(&self, op: BinaryOp, left: NodeId, right: NodeId) -> Option<Formula> {
        if op == BinaryOp::In {
            let term = self.term(left)?;
            let Kind::List(items) = self.ast.kind(right) else {
                return None;
            };
            let tests = items.iter().map(|item| {
                Some(compare(
                    term.clone(),
                    Comparison::Equal,
                    self.constant(*item)?,
                ))
            });
            return tests.collect::<Option<Vec<_>>>().map(Formula::Any);
        }
        let (term, op, constant) = match (self.term(left), self.constant(right)) {
            (Some(term), Some(constant)) => (term, op, constant),
            _ => (self.term(right)?, mirrored(op), self.constant(left)?),
        };
        let comparison = match op {
            BinaryOp::Equal | BinaryOp::NotEqual => Comparison::Equal,
            BinaryOp::Less => Comparison::Less,
            BinaryOp::LessEqual => Comparison::LessEqual,
            BinaryOp::Greater => Comparison::Greater,
            BinaryOp::GreaterEqual => Comparison::GreaterEqual,
            _ => return None,
        };
        // Only numbers are cut into intervals.
        let ordered = comparison != Comparison::Equal;
        if ordered && !matches!(constant, Value::Int(_) | Value::Double(_)) {
            return None;
        }
        let test = compare(term, comparison, constant);
        Some(if op == BinaryOp::NotEqual {
            Formula::Not(Box::new(test))
        } else {
            test
        })
    }

    fn term(&self, id: NodeId) -> Option<Term> {
        if let Kind::Call {
            function: Function::Size,
            args,
        } = self.ast.kind(id)
        {
            return self.ast.path(*args.first()?).map(Term::Size);
        }
        self.ast.path(id).map(Term::Path)
    }

    fn constant(&self, id: NodeId) -> Option<Value> {
        match self.ast.kind(id) {
            Kind::Literal(
                value @ (Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Double(_)
                | Value::String(_)),
            ) => Some(value.clone()),
            Kind::Unary {
                op: UnaryOp::Negate,
                operand,
            } => match self.ast.kind(*operand) {
                Kind::Literal(Value::Int(value)) => value.checked_neg().map(Value::Int),
                Kind::Literal(Value::Double(value)) => Some(Value::Double(-value)),
                _ => None,
            },
            _ => None,
        }
    }

    fn opaque(&self, id: NodeId) -> Formula {
        Formula::Test(Test::Opaque {
            text: self
                .text
                .get(self.ast.range(id))
                .unwrap_or_default()
                .to_owned(),
            reads: self.reads(id),
        })
    }

    fn reads(&self, id: NodeId) -> BTreeSet<String> {
        let range = self.ast.range(id);
        let inside = |node: NodeId| {
            let other = self.ast.range(node);
            range.start <= other.start && other.end <= range.end
        };
        let mut part_of_longer = BTreeSet::new();
        for (node, found) in self.ast.nodes() {
            if let Kind::Select { operand, .. } = &found.kind
                && self.ast.path(node).is_some()
            {
                part_of_longer.insert(*operand);
            }
        }
        self.ast
            .nodes()
            .filter(|(node, _)| inside(*node) && !part_of_longer.contains(node))
            .filter_map(|(node, _)| self.ast.path(node))
            .filter(|path| !path.starts_with('#'))
            .collect()
    }
}

fn compare(term: Term, comparison: Comparison, constant: Value) -> Formula {
    match constant {
        Value::Bool(true) if comparison == Comparison::Equal => Formula::Test(Test::Truth(term)),
        Value::Bool(false) if comparison == Comparison::Equal => {
            Formula::Not(Box::new(Formula::Test(Test::Truth(term))))
        }
        constant => Formula::Test(Test::Compare(term, comparison, constant)),
    }
}

/// The operator with its sides swapped.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        other => other,
    }
}
