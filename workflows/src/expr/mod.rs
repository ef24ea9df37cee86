//! The expression language: a profile of CEL (`phi-cel/1`), parsed, checked and evaluated here.
//!
//! The way of a text: `lexer` and `parser` make an `ast` with the place of every node,
//! [`check()`] gives it types against an [`Env`], `eval` computes it against a
//! [`Scope`]. No text overflows the stack, no evaluation outlives its fuel, and the same scope
//! gives the same value everywhere: there is no clock, no chance and no thread in here.
//!
//! Where the profile leaves CEL: an int and a double may be added (JSON does not keep them
//! apart); a null counts as absent for `has`, `.?` and `coalesce`; maps have string keys and keep
//! the order in which they were written.

mod analysis;
mod ast;
mod call;
mod check;
mod env;
mod error;
mod eval;
mod format;
pub(crate) mod formula;
mod function;
mod lexer;
pub(crate) mod nearest;
mod operators;
mod parser;
pub(crate) mod pattern;
pub(crate) mod time;
mod types;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use check::{check, check_condition, check_text};
pub use env::{Env, StepView};
pub use error::{Checked, EvalError, ExprError};
pub use pattern::is_in_glob;
pub use types::{ObjectType, Type};
pub use value::{Map, Value};

/// What an expression can read while it is evaluated.
pub trait Scope {
    /// The value of a root variable (`inputs`, `run`, `result`, `self`, `error`), `None` if this
    /// scope has no such variable. `steps` is not asked here.
    fn variable(&self, name: &str) -> Option<Value>;
    /// The value of `steps.ID`: a map of `outcome output error attempts agent started_at
    /// ended_at`; a key that has no value (yet) is absent.
    fn step(&self, id: &str) -> Option<Value>;
}

/// A checked expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expr {
    inner: Arc<ExprInner>,
}

#[derive(Debug)]
struct ExprInner {
    source: String,
    ast: ast::Ast,
}

impl Expr {
    fn new(source: &str, ast: ast::Ast) -> Self {
        Self {
            inner: Arc::new(ExprInner {
                source: source.to_owned(),
                ast,
            }),
        }
    }

    /// The text as written, without `${{ }}`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The steps whose `output` this expression reads, or whose whole value it takes; each once,
    /// sorted.
    pub fn step_outputs_read(&self) -> impl Iterator<Item = &str> {
        analysis::step_outputs_read(&self.inner.ast).into_iter()
    }

    /// The steps that must have succeeded for this condition to be true: those with a conjunct
    /// `steps.X.outcome == 'succeeded'`. Each once, sorted.
    #[must_use]
    pub fn requires_success_of(&self) -> Vec<String> {
        analysis::requires_success_of(&self.inner.ast)
    }

    /// Evaluates with fuel: 100,000 steps, 256 KiB of result. An optional gives its value.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        match eval::evaluate(&self.inner.ast, scope) {
            Ok(Value::Optional(Some(value))) => Ok(value.as_ref().clone()),
            Ok(Value::Optional(None)) => Err(self.error("the value is absent".to_owned())),
            Ok(value) => Ok(value),
            Err(failure) => Err(self.error(failure.message)),
        }
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// See [`EvalError`]; also when the result is not a bool.
    pub fn eval_bool(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        match self.eval(scope)? {
            Value::Bool(verdict) => Ok(verdict),
            other => Err(self.error(format!("a condition is a bool, this is {}", other.kind()))),
        }
    }

    fn error(&self, message: String) -> EvalError {
        EvalError {
            message,
            source_text: self.source().to_owned(),
        }
    }
}
