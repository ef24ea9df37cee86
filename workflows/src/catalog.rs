//! What is known outside a text: agents, people, and the workflows that others may call.

use crate::expr::Type;
use crate::machine::InputSpec;

/// The agents and people that a workflow may name, as the registry declares them, and the
/// workflows that it may call.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// All agents.
    pub agents: Vec<CatalogAgent>,
    /// All people.
    pub people: Vec<CatalogPerson>,
    /// All deployed workflow versions; `None`: nobody knows them, and calls of other workflows
    /// than those of the text are not checked.
    pub workflows: Option<Vec<CatalogWorkflow>>,
}

/// One agent of the registry.
#[derive(Clone, Debug)]
pub struct CatalogAgent {
    /// Its name as declared; compared without case.
    pub name: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// The group it belongs to.
    pub pool: String,
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

/// One deployed version of a workflow.
#[derive(Clone, Debug)]
pub struct CatalogWorkflow {
    /// The name.
    pub name: String,
    /// The version, semantic or the beginning of its hash.
    pub version: String,
    /// What a caller has to know.
    pub interface: Interface,
}

/// What is known of a workflow that others call.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its inputs.
    pub inputs: Vec<InputSpec>,
    /// The type of its outputs, whichever way a run completes.
    pub output: Type,
}
