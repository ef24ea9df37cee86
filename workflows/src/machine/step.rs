//! One step of a machine.

use std::time::Duration;

use crate::expr::Expr;
use crate::schema::Schema;

use super::{Assign, Retry, StepIndex, Template, Timeouts};

/// One validated step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name, unique in the workflow.
    pub id: String,
    /// For people.
    pub title: Option<String>,
    /// For people, longer.
    pub description: Option<String>,
    /// For searching.
    pub labels: Vec<(String, String)>,
    /// What it does.
    pub kind: StepKind,
    /// The steps it comes after, in the order written.
    pub needs: Vec<StepIndex>,
    /// How many of them must have succeeded.
    pub join: Join,
    /// Evaluated once when the needs are met; false skips the step.
    pub condition: Option<Expr>,
    /// Evaluated when the step becomes ready, once for all attempts.
    pub input: Vec<(String, Template)>,
    /// What the result must look like.
    pub output: Schema,
    /// Maps `result` to the step's output; `None` keeps the result as it came.
    pub yields: Option<Template>,
    /// Who does it.
    pub assign: Assign,
    /// Its clocks.
    pub timeouts: Timeouts,
    /// When it is repeated.
    pub retry: Retry,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// What it does to the world.
    pub effects: Effects,
    /// Whether it may be attempted again after an unknown end.
    pub idempotent: bool,
    /// How it is undone.
    pub compensate: Compensate,
    /// The idempotency key handed to the agent; `None`: run id and step id.
    pub key: Option<Template>,
    /// Whether any expression of the workflow reads this step's output.
    pub output_is_read: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// One unit of work for one agent.
    Task(TaskSpec),
    /// A decision by a person (or an agent).
    Approval(ApprovalSpec),
    /// Ends the run as failed.
    Fail(FailSpec),
}

/// What an agent is asked to do.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// The task type; the step's id for a bare `prompt:`.
    pub task_type: String,
    /// Instructions, for agents that read text.
    pub prompt: Option<Template>,
}

/// Who may decide an approval: any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers {
    /// People with one of these roles.
    pub roles: Vec<String>,
    /// People by name.
    pub users: Vec<String>,
    /// Agents by name.
    pub agents: Vec<String>,
}

/// A decision that a run waits for.
#[derive(Clone, Debug)]
pub struct ApprovalSpec {
    /// Who may decide.
    pub from: Approvers,
    /// Approvals needed, at least 1.
    pub quorum: u32,
    /// What is asked.
    pub prompt: Option<Template>,
    /// What is shown.
    pub show: Option<Template>,
    /// How long it may take.
    pub timeout: Duration,
    /// What expiry means.
    pub on_timeout: OnTimeout,
    /// Whoever did these steps may not approve.
    pub not_same_as: Vec<StepIndex>,
    /// What a rejection means.
    pub on_reject: OnReject,
}

/// What the expiry of an approval means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// As if rejected, with the error `approval.expired`.
    Reject,
    /// The step fails with `approval.expired`.
    Fail,
    /// As if approved.
    Approve,
}

/// What a rejection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReject {
    /// The step fails with `approval.rejected`.
    Fail,
    /// The step succeeds; its output says `reject`.
    Continue,
    /// The run ends as failed with `approval.rejected` and is undone.
    Compensate,
}

/// A step that ends the run as failed.
#[derive(Clone, Debug)]
pub struct FailSpec {
    /// An error code below `app`.
    pub code: String,
    /// What to say.
    pub message: Template,
    /// More to carry.
    pub data: Option<Template>,
}

/// How many needs must have succeeded before a step starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Each succeeded, was skipped, or failed with `on_failure: continue`.
    All,
    /// One succeeded; the others go on.
    Any,
    /// One succeeded; the others are cancelled.
    First,
    /// This many succeeded.
    AtLeast(u32),
}

/// What a step's failure means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The run fails.
    Fail,
    /// The outcome stays `failed`, dependants run.
    Continue,
}

/// What a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// Nothing.
    None,
    /// Reads it.
    Read,
    /// Changes it.
    Write,
    /// Changes it for good.
    Irreversible,
}

/// How a completed step is undone.
#[derive(Clone, Debug)]
pub enum Compensate {
    /// Nothing was said.
    Absent,
    /// Stated: nothing is to be undone.
    None,
    /// By a task.
    Task(Box<Compensation>),
}

/// The task that undoes a step. Its expressions see `self`, `error` and what the step saw.
#[derive(Clone, Debug)]
pub struct Compensation {
    /// What the agent is asked.
    pub task: TaskSpec,
    /// Evaluated when the undo becomes ready.
    pub input: Vec<(String, Template)>,
    /// What the result must look like.
    pub output: Schema,
    /// Who does it.
    pub assign: Assign,
    /// Its clocks.
    pub timeouts: Timeouts,
    /// Default: 10 attempts, exponential to 10 minutes.
    pub retry: Retry,
}

impl Step {
    /// Visits every expression of the step, those of its compensation included.
    pub(crate) fn for_each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        self.condition.iter().for_each(&mut *visit);
        self.retry.when.iter().for_each(&mut *visit);
        let kind: [Option<&Template>; 2] = match &self.kind {
            StepKind::Task(task) => [task.prompt.as_ref(), None],
            StepKind::Approval(approval) => [approval.prompt.as_ref(), approval.show.as_ref()],
            StepKind::Fail(fail) => [Some(&fail.message), fail.data.as_ref()],
        };
        let mut templates: Vec<&Template> = self.input.iter().map(|(_, value)| value).collect();
        templates.extend(kind.into_iter().flatten());
        templates.extend(self.yields.iter().chain(&self.key));
        if let Compensate::Task(undo) = &self.compensate {
            templates.extend(undo.input.iter().map(|(_, value)| value));
            templates.extend(&undo.task.prompt);
            undo.retry.when.iter().for_each(&mut *visit);
        }
        for template in templates {
            template.for_each_expr(visit);
        }
    }
}
