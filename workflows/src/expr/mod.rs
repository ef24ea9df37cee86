//! The expression language: a profile of CEL (`phi-cel/1`), parsed, checked and evaluated here.

use serde_json::Value as Json;

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Expr {}

/// What an expression can read while it is evaluated.
pub trait Scope {
    /// The value of a root variable (`inputs`, `run`, `result`, `self`, `error`), `None` if this
    /// scope has no such variable. `steps` is not asked here.
    fn variable(&self, name: &str) -> Option<Value>;
    /// The value of `steps.ID`: a map of `outcome output error attempts agent started_at
    /// ended_at`; a key that has no value (yet) is absent.
    fn step(&self, id: &str) -> Option<Value>;
}

/// A value of the language.
#[derive(Clone, Debug)]
pub enum Value {
    /// Null.
    Null,
}

impl Value {
    /// From JSON: integers stay integers, other numbers are doubles.
    #[must_use]
    pub fn from_json(_json: &Json) -> Self {
        Self::Null
    }

    /// As JSON; timestamps as RFC 3339 text, durations as text (`90s`).
    ///
    /// # Errors
    /// An absent optional, a number that JSON cannot hold, a result over the size limit.
    pub fn into_json(self) -> Result<Json, EvalError> {
        Ok(Json::Null)
    }

    /// A scalar as text for interpolation.
    ///
    /// # Errors
    /// A list, a map, or an absent optional.
    pub fn to_text(&self) -> Result<String, EvalError> {
        Ok(String::new())
    }
}

impl Expr {
    /// The text as written, without `${{ }}`.
    #[must_use]
    pub fn source(&self) -> &str {
        ""
    }

    /// Evaluates with fuel: 100,000 steps, 256 KiB of result.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn eval(&self, _scope: &dyn Scope) -> Result<Value, EvalError> {
        Ok(Value::Null)
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// See [`EvalError`]; also when the result is not a bool.
    pub fn eval_bool(&self, _scope: &dyn Scope) -> Result<bool, EvalError> {
        Ok(true)
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} in `{source_text}`")]
pub struct EvalError {
    /// What went wrong.
    pub message: String,
    /// The expression.
    pub source_text: String,
}
