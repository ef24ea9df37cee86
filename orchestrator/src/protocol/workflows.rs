//! Workflows on the wire.

use std::collections::BTreeMap;

use phisync_workflows::Machine;
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

/// `GET /v1/workflows/{name}`, `GET /v1/runs/{id}/workflow`.
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
    /// What it calls (`NAME`, or `NAME RANGE`), and the version that was chosen when it was registered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, String>,
}

impl WorkflowDetail {
    /// A version as it is told.
    pub(crate) fn of(machine: &Machine, calls: BTreeMap<String, String>) -> Self {
        Self {
            name: machine.name().to_owned(),
            version: machine.version().to_owned(),
            hash: machine.hash().to_owned(),
            source: machine.source().to_owned(),
            calls,
        }
    }
}
