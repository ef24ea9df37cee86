//! Workflows on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /v1/workflows`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// The workflow's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The definition's hash.
    pub hash: String,
}

/// `GET /v1/workflows`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowList {
    /// The newest version of each, by name.
    pub workflows: Vec<Registered>,
}

/// `GET /v1/workflows/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowDetail {
    /// The workflow's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The definition's hash.
    pub hash: String,
    /// The definition, as it was given.
    pub source: String,
}
