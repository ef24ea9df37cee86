//! Placeholder of the public API.
use super::*;
/// .
pub fn check(text: &str, _env: &Env) -> Result<Checked, Vec<ExprError>> { Ok(Checked { expr: Expr::new(text, ast::Ast), ty: Type::Any, warnings: Vec::new() }) }
/// .
pub fn check_condition(text: &str, env: &Env) -> Result<Checked, Vec<ExprError>> { check(text, env) }
/// .
pub fn check_text(text: &str, env: &Env) -> Result<Checked, Vec<ExprError>> { check(text, env) }
