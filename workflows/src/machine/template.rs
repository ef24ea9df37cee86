//! A value with holes: literals and expressions, as written in `input:` and `outputs:`.

use serde_json::Value as Json;

use crate::expr::{EvalError, Expr, Scope};

/// A value of the workflow text.
#[derive(Clone, Debug)]
pub enum Template {
    /// No expression inside.
    Literal(Json),
    /// `${{ e }}` alone: the typed value of `e`.
    Expr(Expr),
    /// Text with expressions in it.
    Text(Vec<TemplatePart>),
    /// A list with at least one expression inside.
    List(Vec<Template>),
    /// A map with at least one expression inside, in file order.
    Map(Vec<(String, Template)>),
}

/// A piece of interpolated text.
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Copied.
    Text(String),
    /// A scalar, printed.
    Expr(Expr),
}

impl Template {
    /// Fills the holes from `scope`.
    ///
    /// # Errors
    /// The first expression that cannot be evaluated.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Json, EvalError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expr(expr) => expr.eval(scope)?.into_json(),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        TemplatePart::Text(piece) => text.push_str(piece),
                        TemplatePart::Expr(expr) => text.push_str(&expr.eval(scope)?.to_text()?),
                    }
                }
                Ok(Json::String(text))
            }
            Self::List(items) => items
                .iter()
                .map(|item| item.eval(scope))
                .collect::<Result<_, _>>()
                .map(Json::Array),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.eval(scope)?)))
                .collect::<Result<_, _>>()
                .map(Json::Object),
        }
    }

    /// Visits every expression inside.
    pub(crate) fn for_each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => visit(expr),
            Self::Text(parts) => {
                for part in parts {
                    if let TemplatePart::Expr(expr) = part {
                        visit(expr);
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.for_each_expr(visit)),
            Self::Map(entries) => entries
                .iter()
                .for_each(|(_, value)| value.for_each_expr(visit)),
        }
    }
}
