//! The validated form of a workflow: what the engine runs.
//!
//! A [`Machine`] exists only if the whole file is free of errors; nobody outside this crate can
//! make one by hand. It holds no state of any run. Steps are addressed by [`StepIndex`], their
//! place in the file, whichever [`Body`] they stand in; the graph over them is acyclic. A workflow
//! of states has them in [`Machine::states`], and their steps with all others.

mod approval;
mod block;
mod body;
mod files;
mod policy;
mod saga;
mod starts;
mod states;
mod step;
mod task;
mod template;
mod version;
mod waiting;

use std::collections::BTreeMap;
use std::time::Duration;

use petgraph::graph::DiGraph;

use crate::schema::{Schema, Violation};

pub use approval::{ApprovalSpec, Approvers, Escalation, OnReject, OnTimeout};
pub use block::{
    Case, Catch, DoSpec, ForeachSpec, ItemOrder, LoopSpec, LoopTest, OnExpiry, ParallelSpec,
    SwitchDefault, SwitchSpec, Then, Tolerance, TrySpec,
};
pub use body::{Body, BodyIndex, Owner, Shape};
pub use files::{FileChange, FileExpect, FileLock, FileOp, FilesSpec, OnConflict, Participant};
pub use policy::{Assign, Backoff, ErrorPattern, Jitter, Priority, Reassign, Retry, Timeouts};
pub use saga::{Compensate, Compensation, OnUndoFailure, Saga, SagaMode, SagaTriggers, UndoOrder};
pub use starts::{
    CatchUp, Concurrency, DstGap, DstOverlap, OnRunConflict, Overlap, Rate, RunHandler, Schedule,
    Timing, Trigger, VarSpec,
};
pub use states::{
    ActivityOutcome, State, StateEnd, StateIndex, StatesBody, Transition, TransitionTrigger,
};
pub use step::{Effects, FailSpec, FinishSpec, Join, OnFailure, Step, StepKind};
pub use task::{Accept, AcceptFile, Ask, CallSpec, OnParentCancel, TaskSpec};
pub use template::{Template, TemplatePart};
pub use version::VersionRange;
pub use waiting::{EmitSpec, EventSource, SetSpec, WaitForSpec, WaitSpec};

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
    pub(crate) output_type: crate::expr::Type,
    pub(crate) vars: Vec<VarSpec>,
    pub(crate) config: Vec<InputSpec>,
    pub(crate) secrets: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) saga: Saga,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) on_failure: Option<RunHandler>,
    pub(crate) finally: Option<BodyIndex>,
    pub(crate) states: Option<StatesBody>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) steps: Vec<Step>,
    pub(crate) by_id: BTreeMap<String, StepIndex>,
    pub(crate) graph: DiGraph<StepIndex, ()>,
    pub(crate) dependants: Vec<Vec<StepIndex>>,
    pub(crate) rank: Vec<u32>,
    pub(crate) repeats: Vec<u8>,
}

/// Two machines are the same if they came from the same definition.
impl PartialEq for Machine {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Machine {}

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

    /// The variables of every run, in file order.
    #[must_use]
    pub fn vars(&self) -> &[VarSpec] {
        &self.vars
    }

    /// The settings of the deployment, constant during a run, in file order.
    #[must_use]
    pub fn config(&self) -> &[InputSpec] {
        &self.config
    }

    /// The names of the only secrets that the workflow may hand over.
    #[must_use]
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// How many runs of one key there may be; `None`: any number.
    #[must_use]
    pub fn concurrency(&self) -> Option<&Concurrency> {
        self.concurrency.as_ref()
    }

    /// The rules of the run's saga, the outermost one.
    #[must_use]
    pub fn saga(&self) -> &Saga {
        &self.saga
    }

    /// Starts by time, in file order.
    #[must_use]
    pub fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// Starts by events, in file order.
    #[must_use]
    pub fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    /// What runs when the main body failed.
    #[must_use]
    pub fn on_failure(&self) -> Option<&RunHandler> {
        self.on_failure.as_ref()
    }

    /// What runs at the end whatever happened.
    #[must_use]
    pub fn finally(&self) -> Option<BodyIndex> {
        self.finally
    }

    /// The finite state machine, if that is the main body. [`BodyIndex::MAIN`] is empty then.
    #[must_use]
    pub fn states(&self) -> Option<&StatesBody> {
        self.states.as_ref()
    }

    /// All bodies; the first is the main one.
    #[must_use]
    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    /// The body at `index`.
    ///
    /// # Panics
    /// If `index` belongs to another machine.
    #[must_use]
    pub fn body(&self, index: BodyIndex) -> &Body {
        &self.bodies[index.get()]
    }

    /// The step that owns the body in which `step` stands: a block, or the step whose handler it
    /// is. `None` for steps of the run's own bodies and of states.
    #[must_use]
    pub fn parent(&self, step: StepIndex) -> Option<StepIndex> {
        match self.body(self.step(step).body).owner {
            Owner::Block(parent) | Owner::Handler(parent) | Owner::Undo(parent) => Some(parent),
            Owner::Run | Owner::OnFailure | Owner::Finally | Owner::State(_) => None,
        }
    }

    /// The step that `step` helps to undo: it stands in what undoes that one, however deep.
    #[must_use]
    pub fn undoes(&self, step: StepIndex) -> Option<StepIndex> {
        let mut chain = std::iter::once(step).chain(self.enclosing(step));
        chain.find_map(|step| match self.body(self.step(step).body).owner {
            Owner::Undo(undone) => Some(undone),
            _ => None,
        })
    }

    /// What undoes the step at `index`, in a few words; `None` if nothing does.
    #[must_use]
    pub fn undone_by(&self, index: StepIndex) -> Option<String> {
        let body = match &self.step(index).compensate {
            Compensate::Task(undo) => return Some(undo.task.task_type.clone()),
            Compensate::Body(body) => self.body(*body),
            Compensate::Absent | Compensate::None => return None,
        };
        let undo = body.steps.first().map(|step| &self.step(*step).kind)?;
        Some(match undo {
            StepKind::Files(spec) if spec.reverts => "putting back what was there".to_owned(),
            StepKind::Call(spec) if spec.unwinds => {
                format!("undoing the run of {}", spec.workflow)
            }
            StepKind::Call(spec) => format!("call {}", spec.workflow),
            StepKind::Emit(spec) => format!("emit {}", spec.event),
            kind => kind.name().to_owned(),
        })
    }

    /// The steps around `step`, innermost first.
    pub fn enclosing(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> {
        std::iter::successors(self.parent(step), |outer| self.parent(*outer))
    }

    /// How often a step exists in one run: the number of items, iterations and visits that tell
    /// its instances apart. 0: exactly once.
    #[must_use]
    pub fn repeats(&self, step: StepIndex) -> usize {
        usize::from(self.repeats[step.get()])
    }

    /// All steps, nested ones too, in file order: a block stands before what is inside.
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

    /// The steps of its body that need `index`, in file order.
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

    /// The graph of needs: an edge leads from a step to the step that needs it. No edge crosses a
    /// body.
    #[must_use]
    pub fn graph(&self) -> &DiGraph<StepIndex, ()> {
        &self.graph
    }

    /// What others need to know to call it.
    #[must_use]
    pub fn interface(&self) -> crate::Interface {
        crate::Interface {
            inputs: self.inputs.clone(),
            output: self.output_type.clone(),
        }
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
        crate::schema::bind(("inputs", "input"), &self.inputs, given)
    }

    /// Checks the settings of a deployment against what the workflow declares as `config`, and fills in
    /// defaults.
    ///
    /// # Errors
    /// Everything that is wrong: unknown or missing settings, values that break a schema.
    pub fn bind_config(
        &self,
        given: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Vec<Violation>> {
        crate::schema::bind(("config", "setting"), &self.config, given)
    }
}
