//! Compiles workflow definitions: YAML text in, diagnostics or a validated [`Machine`] out.
//!
//! Pure: this crate knows no clock, no disk, no other crate of the workspace. The same text gives
//! the same bytes of diagnostics and the same machine, run after run.

mod calls;
mod catalog;
mod check;
pub mod compile;
pub mod cron;
pub mod diagnostic;
pub mod diff;
mod explain;
pub mod expr;
mod fingerprint;
mod fix;
pub mod fmt;
mod grammar;
mod lower;
pub mod machine;
pub mod plain;
pub mod render;
pub mod schema;
pub mod source;
mod syntax;

pub use catalog::{Catalog, CatalogAgent, CatalogPerson, CatalogWorkflow, Interface};
pub use compile::{Compiled, compile, compile_beside, compile_registered};
pub use diagnostic::{Diagnostic, Edit, Severity};
pub use explain::{Explanation, explain};
pub use fix::{Applied, Fixed, fix};
pub use grammar::{agents_schema, workflow_schema};
pub use machine::{Machine, StepIndex};
pub use source::{SourceText, Span};
