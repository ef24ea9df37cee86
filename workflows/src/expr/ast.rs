//! Placeholder of the public API.
#[derive(Debug)]
pub(super) struct Ast;
