//! Placeholder of the public API.
use super::ast::Ast;
pub(super) fn step_outputs_read(_: &Ast) -> Vec<&str> { Vec::new() }
pub(super) fn requires_success_of(_: &Ast) -> Vec<String> { Vec::new() }
