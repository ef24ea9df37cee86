//! What waits for people: approvals and incidents.

use phisync_workflows::machine::{Approvers, StepKind};

use crate::engine::{Input, RawJson, Rejection, Resolution, RunId, RunState, Slot, StepStatus};
use crate::protocol::{ApprovalSummary, IncidentSummary};

use super::{Coordinator, Now, Refusal, report, runs};

/// Who decides, as the caller's token says.
#[derive(Clone, Debug)]
pub enum Decider {
    /// Whoever owns the data directory.
    Owner,
    /// A declared person.
    Person(String),
    /// A declared agent.
    Agent(String),
}

impl Decider {
    /// The name that is journalled.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Owner => "owner",
            Self::Person(name) | Self::Agent(name) => name,
        }
    }
}

/// What somebody answers to an approval.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// One of the approval's options.
    pub decision: &'a str,
    /// In their words.
    pub comment: Option<&'a str>,
    /// The data that the form asks for.
    pub form: Option<&'a RawJson>,
}

impl Coordinator {
    /// Decides an approval.
    ///
    /// # Errors
    /// One who may not, an approval that does not wait, a decision about other content.
    pub fn decide_approval(
        &mut self,
        id: &str,
        said: &Said<'_>,
        decider: &Decider,
        shown_hash: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let (run, step) = self.split_step_id(id)?;
        if let Some((slot, undo)) = self.asking_task(&run, &step)? {
            return self.answer_question(&run, slot, undo, said, decider, shown_hash, now);
        }
        let may = self.with_run(&run, |state| {
            let slot = state.slot_named(&step)?;
            let StepKind::Approval(spec) = &state.spec(slot).kind else {
                return None;
            };
            let approval = state.step(slot).approval.as_ref();
            let escalated = approval.is_some_and(|approval| approval.escalated);
            let others = spec.escalate.as_ref().filter(|_| escalated);
            let may = self.may_decide(&spec.from, decider);
            Some(match others {
                Some(others) => may.or_else(|_| self.may_decide(&others.to, decider)),
                None => may,
            })
        })?;
        if let Some(Err(reason)) = may {
            let by = decider.name().to_owned();
            return Err(Rejection::MayNotDecide { step, by, reason }.into());
        }
        self.transact(now, |c| {
            let input = Input::Decide {
                step: step.clone(),
                decision: said.decision.to_owned(),
                by: decider.name().to_owned(),
                comment: said.comment.map(str::to_owned),
                form: said.form.cloned(),
                shown_hash: shown_hash.map(str::to_owned),
            };
            c.decide(&run, input, now)
        })
    }

    /// The owner always may; the declared people by role or name; agents by name alone.
    pub(super) fn may_decide(&self, from: &Approvers, decider: &Decider) -> Result<(), String> {
        let named = |names: &[String], name: &str| {
            names.iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        match decider {
            Decider::Owner => Ok(()),
            Decider::Agent(name) if named(&from.agents, name) => Ok(()),
            Decider::Agent(_) => Err("agents decide only what names them".to_owned()),
            Decider::Person(name) => {
                let roles = self.registry.person(name).map(|person| &person.roles[..]);
                let roles = roles.unwrap_or_default();
                if named(&from.users, name) || from.roles.iter().any(|role| named(roles, role)) {
                    return Ok(());
                }
                let wanted = from.roles.iter().chain(&from.users);
                let wanted: Vec<_> = wanted.map(String::as_str).collect();
                Err(format!("it is for {}", wanted.join(", ")))
            }
        }
    }

    /// Decides about an undo that failed for good, `RUN.STEP`, or about a run that stalled, `RUN`.
    ///
    /// # Errors
    /// No open incident of that name.
    pub fn resolve_incident(
        &mut self,
        id: &str,
        action: Resolution,
        reason: &str,
        by: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        let (reason, by) = (reason.to_owned(), by.to_owned());
        let (run, input) = if id.contains(['.', '/']) {
            let (run, step) = self.split_step_id(id)?;
            let input = Input::Resolve {
                step,
                action,
                reason,
                by,
            };
            (run, input)
        } else {
            runs::parse_run_id(id)?;
            let input = Input::ResolveStall { action, reason, by };
            (self.resolve_run(id)?, input)
        };
        self.transact(now, |c| c.decide(&run, input.clone(), now))
    }

    /// Approvals that wait, and questions of agents, the next to expire first.
    #[must_use]
    pub fn approvals(&self) -> Vec<ApprovalSummary> {
        let open = self.open.values();
        let mut approvals: Vec<_> = open.flat_map(|run| waiting(&run.state)).collect();
        approvals.sort_by(|a, b| (&a.deadline, &a.id).cmp(&(&b.deadline, &b.id)));
        approvals
    }

    /// One approval, open or not.
    ///
    /// # Errors
    /// No such run or step, or a step that is no approval or has not asked yet.
    pub fn approval(&self, id: &str) -> Result<ApprovalSummary, Refusal> {
        let (run, step) = self.split_step_id(id)?;
        let asking = self.asking_task(&run, &step)?;
        let summary = self.with_run(&run, |state| match asking {
            Some((slot, undo)) => report::question(state, slot, undo),
            None => report::approval(state, state.slot_named(&step)?),
        })?;
        summary.ok_or_else(|| Refusal::NotFound {
            what: "approval",
            id: id.to_owned(),
        })
    }

    /// Undos that wait for a person, and runs that stalled.
    #[must_use]
    pub fn incidents(&self) -> Vec<IncidentSummary> {
        let open = self.open.values();
        open.flat_map(|run| report::incidents(&run.state)).collect()
    }

    /// Splits `RUN.STEP`; the run may be the beginning of an id.
    pub(super) fn split_step_id(&self, id: &str) -> Result<(RunId, String), Refusal> {
        let Some((run, step)) = id.split_once(['.', '/']) else {
            return Err(Refusal::BadName {
                what: "name of a step in a run",
                text: id.to_owned(),
                rule: "it looks like `RUN.STEP`",
            });
        };
        runs::parse_run_id(run)?;
        Ok((self.resolve_run(run)?, step.to_owned()))
    }
}

fn waiting(run: &RunState) -> impl Iterator<Item = ApprovalSummary> {
    let asks =
        |slot: &Slot| run.step(*slot).status == StepStatus::Waiting && run.is_approval(*slot);
    let slots = run.slots().filter(asks);
    let approvals = slots.filter_map(|slot| report::approval(run, slot));
    let both = run.slots().flat_map(|slot| [(slot, false), (slot, true)]);
    let open = both.filter(|(slot, undo)| {
        let task = run.task(*slot, *undo);
        task.is_some_and(|task| task.open_question().is_some())
    });
    approvals.chain(open.filter_map(|(slot, undo)| report::question(run, slot, undo)))
}
