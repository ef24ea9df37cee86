//! Questions of agents to people: asked under a task's token, answered by role.

use phisync_workflows::machine::StepKind;

use crate::engine::{Input, RawJson, Rejection, RunId, Slot, TaskId};
use crate::protocol::ApprovalSummary;

use super::{Coordinator, Decider, Now, Refusal, Said, report};

/// What a decision about a question is called.
pub(super) const ANSWER: &str = "answer";

impl Coordinator {
    /// The holder of a task asks people, and gives the task up until somebody has answered.
    ///
    /// # Errors
    /// A stale token, somebody else's task, a question that is none, another one under the same token.
    pub fn ask(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        question: &str,
        form: Option<&RawJson>,
        now: Now,
    ) -> Result<ApprovalSummary, Refusal> {
        self.holder_says(agent, task, token, now, |step, undo| Input::Ask {
            step,
            undo,
            token,
            question: question.to_owned(),
            form: form.cloned(),
        })?;
        let (run, step, undo) = TaskId::split(task)?;
        let asked = self.with_run(&run, |state| {
            report::question(state, state.slot_named(step)?, undo)
        })?;
        asked.ok_or_else(|| Refusal::NotFound {
            what: "question",
            id: task.to_owned(),
        })
    }

    /// The task that `step` names, if it is one that may ask; an approval is none.
    pub(super) fn asking_task(
        &self,
        run: &RunId,
        step: &str,
    ) -> Result<Option<(Slot, bool)>, Refusal> {
        let (name, undo) = match step.strip_suffix(".undo") {
            Some(name) => (name, true),
            None => (step, false),
        };
        self.with_run(run, |state| {
            let slot = state.slot_named(name)?;
            let task = undo || matches!(state.spec(slot).kind, StepKind::Task(_));
            task.then_some((slot, undo))
        })
    }

    /// Somebody answers the question of a task's holder.
    #[expect(clippy::too_many_arguments, reason = "the fields of one answer")]
    pub(super) fn answer_question(
        &mut self,
        run: &RunId,
        slot: Slot,
        undo: bool,
        said: &Said<'_>,
        decider: &Decider,
        shown_hash: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let by = decider.name().to_owned();
        let found = self.with_run(run, |state| {
            let asked = report::question(state, slot, undo)?;
            Some((asked.id, asked.excluded, state.asks(slot, undo)))
        })?;
        let (id, askers, rules) = found.ok_or_else(|| Refusal::NotFound {
            what: "question",
            id: run.to_string(),
        })?;
        let may = match (&rules.from, decider) {
            (_, Decider::Agent(name)) if askers.iter().any(|a| a.eq_ignore_ascii_case(name)) => {
                Err("it asked that itself".to_owned())
            }
            (Some(from), _) => self.may_decide(from, decider),
            (None, Decider::Owner | Decider::Person(_)) => Ok(()),
            (None, Decider::Agent(_)) => Err("people answer, not agents".to_owned()),
        };
        if let Err(reason) = may {
            let step = id;
            return Err(Rejection::MayNotDecide { step, by, reason }.into());
        }
        if said.decision != ANSWER {
            let (step, decision) = (id, said.decision.to_owned());
            let options = vec![ANSWER.to_owned()];
            return Err(Rejection::NoSuchOption {
                step,
                decision,
                options,
            }
            .into());
        }
        let step = self.with_run(run, |state| state.name(slot))?;
        self.transact(now, |c| {
            let input = Input::Answer {
                step: step.clone(),
                undo,
                by: by.clone(),
                text: said.comment.map(str::to_owned),
                form: said.form.cloned(),
                shown_hash: shown_hash.map(str::to_owned),
            };
            c.decide(run, input, now)
        })
    }
}
