//! Diagnostics and machines for people and programs. Pure: the caller decides where text goes and
//! whether it may have colours.

mod diagnostic_json;
mod diagnostic_text;
pub mod graph;
mod sarif;

pub use diagnostic_json::json;
pub use diagnostic_text::text;
pub use sarif::sarif;
