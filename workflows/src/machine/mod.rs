//! The validated form of a workflow: what the engine runs.
//!
//! A [`Machine`] exists only if the whole file is free of errors; nobody outside this crate can
//! make one by hand. It holds no state of any run. Steps are addressed by [`StepIndex`], their
//! place in the file; the graph over them is acyclic.

mod policy;
mod step;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use petgraph::graph::DiGraph;

use crate::schema::{Schema, Violation};

pub use policy::{Assign, Backoff, ErrorPattern, Jitter, Priority, Reassign, Retry, Timeouts};
pub use step::{
    ApprovalSpec, Approvers, Compensate, Compensation, Effects, FailSpec, Join, OnFailure,
    OnReject, OnTimeout, Step, StepKind, TaskSpec,
};
pub use template::{Template, TemplatePart};

/// A step's place in the file, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u32);

impl StepIndex {
    /// The place as an index into [`Machine::steps`].
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// One declared input of a workflow.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// Its name, an identifier.
    pub name: String,
    /// What values it takes.
    pub schema: Schema,
    /// The value of an input that was not given; `None` makes the input required
    /// (unless the schema itself is optional, `string?`).
    pub default: Option<serde_json::Value>,
}

/// A compiled workflow version.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) hash: String,
    pub(crate) source: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) metadata: Option<serde_json::Value>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) outputs: Vec<(String, Template)>,
    pub(crate) timeout: Duration,
    pub(crate) steps: Vec<Step>,
    pub(crate) by_id: BTreeMap<String, StepIndex>,
    pub(crate) graph: DiGraph<StepIndex, ()>,
    pub(crate) dependants: Vec<Vec<StepIndex>>,
    pub(crate) rank: Vec<u32>,
}

impl Machine {
    /// The workflow's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The declared version, or the first 12 digits of the hash.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of the canonical definition, 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The YAML document it was compiled from, alone: compiling it again gives the same hash.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The title for people, if any.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The description for people, if any.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The labels of every run, in file order; they read `inputs` and `run` only.
    #[must_use]
    pub fn labels(&self) -> &[(String, Template)] {
        &self.labels
    }

    /// What the author carries along; the engine never reads it.
    #[must_use]
    pub fn metadata(&self) -> Option<&serde_json::Value> {
        self.metadata.as_ref()
    }

    /// The declared inputs, in file order.
    #[must_use]
    pub fn inputs(&self) -> &[InputSpec] {
        &self.inputs
    }

    /// The run's outputs, in file order.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Template)] {
        &self.outputs
    }

    /// How long a whole run may take, waits included.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// All steps, in file order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step at `index`.
    ///
    /// # Panics
    /// If `index` belongs to another machine.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &Step {
        &self.steps[index.get()]
    }

    /// The place of the step called `id`.
    #[must_use]
    pub fn step_named(&self, id: &str) -> Option<StepIndex> {
        self.by_id.get(id).copied()
    }

    /// The steps that need `index`, in file order.
    #[must_use]
    pub fn dependants(&self, index: StepIndex) -> &[StepIndex] {
        &self.dependants[index.get()]
    }

    /// The length of the longest chain of needs that ends at `index`, from 0: a step's rank is
    /// larger than the rank of each of its needs.
    #[must_use]
    pub fn rank(&self, index: StepIndex) -> u32 {
        self.rank[index.get()]
    }

    /// The graph of needs: an edge leads from a step to the step that needs it.
    #[must_use]
    pub fn graph(&self) -> &DiGraph<StepIndex, ()> {
        &self.graph
    }

    /// Checks the inputs of a new run and fills in defaults.
    ///
    /// # Errors
    /// Everything that is wrong with `given`: unknown names, missing ones, values that break
    /// their schema. Paths start with `inputs`.
    pub fn bind_inputs(
        &self,
        given: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Vec<Violation>> {
        crate::schema::bind(&self.inputs, given)
    }
}
