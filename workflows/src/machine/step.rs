//! One step of a machine.

use crate::expr::Expr;
use crate::schema::Schema;

use super::{
    ApprovalSpec, Assign, BodyIndex, CallSpec, Compensate, DoSpec, EmitSpec, FilesSpec,
    ForeachSpec, LoopSpec, LoopTest, ParallelSpec, Retry, SetSpec, StepIndex, SwitchSpec, TaskSpec,
    Template, Then, Timeouts, TrySpec, WaitForSpec, WaitSpec,
};

/// One validated step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name, unique in the workflow.
    pub id: String,
    /// The body it stands in.
    pub body: BodyIndex,
    /// For people.
    pub title: Option<String>,
    /// For people, longer.
    pub description: Option<String>,
    /// For searching.
    pub labels: Vec<(String, String)>,
    /// What it does.
    pub kind: StepKind,
    /// The steps of its body that it comes after, in the order written; in a sequence the one
    /// before it.
    pub needs: Vec<StepIndex>,
    /// How many of them must have succeeded.
    pub join: Join,
    /// Evaluated once when the needs are met; false skips the step.
    pub condition: Option<Expr>,
    /// Evaluated when the step becomes ready, once for all attempts.
    pub input: Vec<(String, Template)>,
    /// What the result must look like.
    pub output: Schema,
    /// Maps the result to the step's output: `result` of a task, the inner steps of a block, once
    /// per item of a `foreach`. `None` keeps the result as it came.
    pub yields: Option<Template>,
    /// Who does it.
    pub assign: Assign,
    /// Its clocks.
    pub timeouts: Timeouts,
    /// When it is repeated.
    pub retry: Retry,
    /// What its failure means for its body.
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
    /// Another workflow's run.
    Call(CallSpec),
    /// One body per item.
    Foreach(ForeachSpec),
    /// A bounded repetition.
    Loop(LoopSpec),
    /// The first case that is true.
    Switch(SwitchSpec),
    /// Named sequences at once.
    Parallel(ParallelSpec),
    /// A scope with handlers.
    Try(TrySpec),
    /// A named body.
    Do(DoSpec),
    /// A timer.
    Wait(WaitSpec),
    /// Waits for events.
    WaitFor(WaitForSpec),
    /// Publishes an event.
    Emit(EmitSpec),
    /// Writes variables of the run.
    Set(SetSpec),
    /// Changes files, all or none.
    Files(FilesSpec),
    /// Ends its body as failed.
    Fail(FailSpec),
    /// Ends the run as completed.
    Finish(FinishSpec),
}

impl StepKind {
    /// The key that it is written with.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Approval(_) => "approval",
            Self::Call(_) => "call",
            Self::Foreach(_) => "foreach",
            Self::Loop(_) => "loop",
            Self::Switch(_) => "switch",
            Self::Parallel(_) => "parallel",
            Self::Try(_) => "try",
            Self::Do(_) => "do",
            Self::Wait(_) => "wait",
            Self::WaitFor(_) => "wait_for",
            Self::Emit(_) => "emit",
            Self::Set(_) => "set",
            Self::Files(_) => "files",
            Self::Fail(_) => "fail",
            Self::Finish(_) => "finish",
        }
    }

    /// Whether the step runs bodies of steps.
    #[must_use]
    pub fn is_block(&self) -> bool {
        match self {
            Self::Foreach(_)
            | Self::Loop(_)
            | Self::Switch(_)
            | Self::Parallel(_)
            | Self::Try(_)
            | Self::Do(_) => true,
            Self::Task(_)
            | Self::Approval(_)
            | Self::Call(_)
            | Self::Wait(_)
            | Self::WaitFor(_)
            | Self::Emit(_)
            | Self::Set(_)
            | Self::Files(_)
            | Self::Fail(_)
            | Self::Finish(_) => false,
        }
    }

    /// Whether the step's body runs once per item or iteration.
    #[must_use]
    pub fn repeats(&self) -> bool {
        matches!(self, Self::Foreach(_) | Self::Loop(_))
    }
}

/// A step that ends its body as failed; also the error of a final state.
#[derive(Clone, Debug)]
pub struct FailSpec {
    /// An error code below `app`.
    pub code: String,
    /// What to say.
    pub message: Template,
    /// More to carry.
    pub data: Option<Template>,
}

/// A step that ends the run as completed.
#[derive(Clone, Debug)]
pub struct FinishSpec {
    /// The run's outputs instead of the workflow's own; empty: those of the workflow.
    pub outputs: Vec<(String, Template)>,
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

/// What a step's failure means for its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The body fails.
    Fail,
    /// The outcome stays `failed`, dependants run.
    Continue,
    /// A body of steps runs first, which sees `error`.
    Handle {
        /// Owned by [`Owner::Handler`](super::Owner::Handler).
        body: BodyIndex,
        /// [`Then::Fail`] or [`Then::Continue`].
        then: Then,
    },
}

impl OnFailure {
    /// Whether dependants run after a failure.
    #[must_use]
    pub fn goes_on(self) -> bool {
        match self {
            Self::Fail => false,
            Self::Continue => true,
            Self::Handle { then, .. } => then == Then::Continue,
        }
    }
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

impl Step {
    /// Visits every expression of the step, those of its compensation included. Steps of the
    /// bodies that it runs are not part of it.
    pub(crate) fn for_each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        self.condition.iter().for_each(&mut *visit);
        self.retry.when.iter().for_each(&mut *visit);
        let named = |values: &[(String, Template)], visit: &mut dyn FnMut(&Expr)| {
            for (_, template) in values {
                template.for_each_expr(visit);
            }
        };
        named(&self.input, visit);
        for template in self.yields.iter().chain(&self.key) {
            template.for_each_expr(visit);
        }
        self.kind.for_each_expr(visit);
        if let Compensate::Task(undo) = &self.compensate {
            named(&undo.input, visit);
            undo.task
                .for_each_template(&mut |template| template.for_each_expr(visit));
            undo.retry.when.iter().for_each(&mut *visit);
        }
    }
}

impl StepKind {
    fn for_each_expr(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Self::Foreach(spec) => visit(&spec.items),
            Self::Loop(spec) => match &spec.test {
                LoopTest::While(test) | LoopTest::Until(test) => visit(test),
            },
            Self::Switch(spec) => spec.cases.iter().for_each(|case| visit(&case.when)),
            Self::Try(spec) => {
                for catch in &spec.catch {
                    catch.when.iter().for_each(&mut *visit);
                }
            }
            Self::WaitFor(spec) => spec.when.iter().for_each(&mut *visit),
            Self::Task(_)
            | Self::Approval(_)
            | Self::Call(_)
            | Self::Parallel(_)
            | Self::Do(_)
            | Self::Wait(_)
            | Self::Emit(_)
            | Self::Set(_)
            | Self::Files(_)
            | Self::Fail(_)
            | Self::Finish(_) => {}
        }
        self.for_each_template(&mut |template| template.for_each_expr(visit));
    }

    fn for_each_template(&self, visit: &mut dyn FnMut(&Template)) {
        let mut named = |values: &[(String, Template)]| {
            values.iter().for_each(|(_, template)| visit(template));
        };
        match self {
            Self::Task(spec) => spec.for_each_template(visit),
            Self::Approval(spec) => {
                spec.prompt.iter().chain(&spec.show).for_each(visit);
            }
            Self::Loop(spec) => {
                named(&spec.carry);
                named(&spec.next);
            }
            Self::Switch(spec) => {
                let yields = spec.cases.iter().filter_map(|case| case.yields.as_ref());
                yields.for_each(visit);
            }
            Self::Wait(WaitSpec::For(template) | WaitSpec::Until(template)) => visit(template),
            Self::WaitFor(spec) => named(&spec.matching),
            Self::Emit(spec) => {
                let values = spec.data.iter().chain(&spec.key).chain(&spec.to);
                values.for_each(visit);
            }
            Self::Set(spec) => named(&spec.values),
            Self::Files(spec) => spec.for_each_template(visit),
            Self::Fail(spec) => spec.for_each_template(visit),
            Self::Finish(spec) => named(&spec.outputs),
            Self::Call(_) | Self::Foreach(_) | Self::Parallel(_) | Self::Try(_) | Self::Do(_) => {}
        }
    }
}

impl FailSpec {
    pub(crate) fn for_each_template(&self, visit: &mut dyn FnMut(&Template)) {
        visit(&self.message);
        self.data.iter().for_each(visit);
    }
}
