//! The one way in: text to machines and diagnostics.

use crate::diagnostic::Diagnostic;
use crate::machine::Machine;
use crate::source::SourceText;

/// The agents and people that a workflow may name, as the registry declares them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// All agents.
    pub agents: Vec<CatalogAgent>,
    /// All people.
    pub people: Vec<CatalogPerson>,
}

/// One agent of the registry.
#[derive(Clone, Debug)]
pub struct CatalogAgent {
    /// Its name as declared; compared without case.
    pub name: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks at once.
    pub concurrency: u32,
}

/// One person of the registry.
#[derive(Clone, Debug)]
pub struct CatalogPerson {
    /// The name.
    pub name: String,
    /// The roles that approvals name.
    pub roles: Vec<String>,
}

/// What became of a text.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The workflows without errors, in file order. Empty if the text as a whole is unusable.
    pub machines: Vec<Machine>,
    /// Everything found, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// Whether any diagnostic is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == crate::Severity::Error)
    }
}

/// Compiles all workflows of one text. Without a catalogue, names of agents and people are not
/// checked.
#[must_use]
pub fn compile(_source: &SourceText, _catalog: Option<&Catalog>) -> Compiled {
    Compiled {
        machines: Vec::new(),
        diagnostics: Vec::new(),
    }
}
