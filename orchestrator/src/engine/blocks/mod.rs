//! Steps that run bodies: how they begin, go on when something inside has ended, and end.
//!
//! A block does nothing by itself. Whenever one of its passes ends, or a time comes that it waits
//! for, [`Draft::go_on`] looks at how far it is and says what follows: another pass, or its verdict
//! (`verdict` tells what becomes of that).

mod foreach;
mod parallel;
mod rounds;
mod trying;
mod verdict;

use std::time::Duration;

use phisync_workflows::machine::{
    OnFailure, Step, StepKind, SwitchDefault, SwitchSpec, Template, Then,
};
use serde_json::json;

use super::block::{Block, PassEnd, Progress};
use super::decide::{Draft, Work};
use super::event::{BlockWork, CancelReason, PassOutcome, RunEvent};
use super::pass::{PassId, PassStatus, Slot};
use super::scope::{Extra, RunScope};
use super::status::StepStatus;
use super::{Failure, RawJson};

pub(super) use verdict::{Verdict, saga_of};

/// What a pass gives its block.
#[derive(Default)]
struct Yielded {
    output: Option<RawJson>,
    next: Option<RawJson>,
    wait: Option<Duration>,
    exhausted: bool,
}

impl Draft<'_> {
    /// The fact with which a block begins, or the reason why it cannot.
    pub(super) fn block_started(&self, slot: Slot, step: &Step) -> Result<RunEvent, Failure> {
        let work = match &step.kind {
            StepKind::Do(_) => BlockWork::Do,
            StepKind::Try(_) => BlockWork::Try,
            StepKind::Parallel(_) => BlockWork::Parallel,
            StepKind::Switch(spec) => match self.choose(slot, spec)? {
                Some(case) => BlockWork::Switch { case },
                None => {
                    return Ok(RunEvent::StepSkipped {
                        step: self.run.name(slot),
                        at: self.moment.now,
                    });
                }
            },
            StepKind::Call(spec) => self.called(slot, spec)?,
            StepKind::Foreach(spec) => BlockWork::Foreach {
                items: self.items(slot, spec)?,
            },
            StepKind::Loop(spec) => match self.first_carry(slot, spec)? {
                Some(carry) => BlockWork::Loop { carry },
                None => {
                    return Ok(RunEvent::StepCompleted {
                        step: self.run.name(slot),
                        output: rounds::output(None, 0, false),
                        at: self.moment.now,
                    });
                }
            },
            kind => {
                let kind = kind.name();
                return Err(Failure::new("policy", format!("`{kind}` is no block")));
            }
        };
        let block = self.run.step(slot).block.as_ref();
        let total = step.timeouts.total.filter(|_| block.is_none());
        Ok(RunEvent::BlockStarted {
            step: self.run.name(slot),
            attempt: block.map_or(1, |block| block.attempt + 1),
            work,
            at: self.moment.now,
            deadline: total.map(|total| self.after(total)),
        })
    }

    /// The first case that is true; `None` skips the step.
    fn choose(&self, slot: Slot, spec: &SwitchSpec) -> Result<Option<String>, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        for case in &spec.cases {
            if scope.holds(&case.when)? {
                return Ok(Some(case.id.clone()));
            }
        }
        match spec.default {
            SwitchDefault::Body(_) => Ok(Some("default".to_owned())),
            SwitchDefault::Skip => Ok(None),
            SwitchDefault::Fail => {
                Err(Failure::new("task.failed", "no case of the switch is true"))
            }
        }
    }

    /// Enters a body and puts the steps that need nothing on the work list.
    pub(super) fn enter(&mut self, owner: Option<Slot>, part: &str, round: Option<u32>) {
        let name = owner.map_or_else(String::new, |slot| self.run.name(slot));
        let before = self.run.passes.len();
        self.emit(RunEvent::PassOpened {
            pass: self.run.pass_name_of(&name, part, round),
            at: self.moment.now,
        });
        if self.run.passes.len() == before {
            return;
        }
        let id = PassId(u32::try_from(before).unwrap_or(u32::MAX));
        let run = &*self.run;
        let roots = run.slots_of(id);
        let roots = roots.filter(|slot| run.spec(*slot).needs.is_empty());
        self.work.extend(roots.map(Work::Check));
        if run.pass(id).open == 0 {
            self.work.push_back(Work::Pass(id));
        }
    }

    /// Ends a pass whose steps have all ended.
    pub(super) fn end_pass(&mut self, id: PassId) {
        let pass = self.run.pass(id);
        if id == PassId::MAIN || pass.open > 0 || !pass.status.is_open() {
            return;
        }
        let owner = pass.owner;
        let mut error = pass.error.as_ref().map(|(_, error)| error.clone());
        let mut outcome = match pass.status {
            PassStatus::Failing => PassOutcome::Failed,
            PassStatus::Stopping => PassOutcome::Cancelled,
            PassStatus::Forward
            | PassStatus::Succeeded
            | PassStatus::Failed
            | PassStatus::Cancelled => PassOutcome::Succeeded,
        };
        let mut yielded = Yielded::default();
        if outcome == PassOutcome::Succeeded {
            match self.yielded(id) {
                Ok(own) => yielded = own,
                Err(own) => {
                    outcome = PassOutcome::Failed;
                    error = Some(own);
                }
            }
        }
        self.emit(RunEvent::PassEnded {
            pass: self.run.pass_name(id),
            outcome,
            output: yielded.output,
            error: error.filter(|_| outcome == PassOutcome::Failed),
            next: yielded.next,
            due: yielded.wait.map(|wait| self.after(wait)),
            exhausted: yielded.exhausted,
            at: self.moment.now,
        });
        match owner {
            Some(slot) if self.run.step(slot).handler == Some(id) => self.after_handler(slot, id),
            Some(slot) if self.run.is_undo_pass(id) => self.after_undo_pass(slot, id),
            Some(slot) => self.work.push_back(Work::Block(slot)),
            None => self.work.push_back(Work::Walk),
        }
    }

    fn yielded(&self, id: PassId) -> Result<Yielded, Failure> {
        let pass = self.run.pass(id);
        let Some(slot) = pass
            .owner
            .filter(|slot| self.run.step(*slot).handler != Some(id))
            .filter(|_| !self.run.is_undo_pass(id))
        else {
            return Ok(Yielded::default());
        };
        let step = self.run.spec(slot);
        let template = match &step.kind {
            StepKind::Loop(spec) => return self.after_round(id, spec, step.yields.as_ref()),
            StepKind::Try(spec) if spec.finally == Some(pass.body) => {
                return Ok(Yielded::default());
            }
            StepKind::Switch(spec) => {
                let case = spec.cases.iter().find(|case| case.body == pass.body);
                case.and_then(|case| case.yields.as_ref())
            }
            StepKind::Do(_) | StepKind::Try(_) | StepKind::Foreach(_) => step.yields.as_ref(),
            _ => None,
        };
        Ok(self.plain(match template {
            Some(template) => self.filled(id, Some(template))?,
            None => self.last_output(id),
        }))
    }

    fn plain(&self, output: Option<RawJson>) -> Yielded {
        Yielded {
            output,
            ..Yielded::default()
        }
    }

    /// A template, evaluated by somebody who sees the steps of a pass.
    fn filled(
        &self,
        pass: PassId,
        template: Option<&Template>,
    ) -> Result<Option<RawJson>, Failure> {
        let scope = RunScope::new(self.run, self.moment, pass);
        let value = template.map(|template| scope.value(template)).transpose()?;
        Ok(value.map(|value| RawJson::from_value(&value)))
    }

    /// What the last step of a pass gave.
    fn last_output(&self, pass: PassId) -> Option<RawJson> {
        let last = self.run.slots_of(pass).last()?;
        self.run.step(last).output.clone()
    }

    /// What follows when an `on_failure` body has ended.
    fn after_handler(&mut self, slot: Slot, handler: PassId) {
        let outer = self.run.step(slot).pass;
        if self.run.pass(outer).status == PassStatus::Forward {
            let then = match self.run.spec(slot).on_failure {
                OnFailure::Handle { then, .. } => then,
                OnFailure::Fail | OnFailure::Continue => Then::Continue,
            };
            let pass = self.run.pass(handler);
            let own = pass.error.as_ref().map(|(_, error)| error.clone());
            let handled = self.run.step(slot).error.clone();
            match (own, then) {
                (None, Then::Continue) => self.check_dependants(slot),
                (Some(error), _) => self.fail_pass(outer, Some(slot), error),
                (None, Then::Fail | Then::Retry) => {
                    let error = handled.unwrap_or_else(|| Failure::new("task.failed", "it failed"));
                    self.fail_pass(outer, Some(slot), error);
                }
            }
        }
        if self.run.pass(outer).open == 0 {
            self.work.push_back(Work::Pass(outer));
        }
    }

    /// Does what follows for a block from what has ended in it.
    pub(super) fn go_on(&mut self, slot: Slot) {
        let step = self.run.step(slot);
        let Some(block) = &step.block else {
            return;
        };
        if step.outcome.is_some() || step.due.is_some_and(|due| due > self.moment.now) {
            return;
        }
        if block.retrying && block.cancelling.is_none() && block.failing.is_none() {
            let machine = self.machine();
            let step = machine.step(step.spec);
            let event = self.block_started(slot, step);
            self.begin_with(slot, event);
            return;
        }
        if let Some(verdict) = self.verdict(slot) {
            self.end_block(slot, verdict);
        }
    }

    /// The verdict of a block, once it is through; enters what is to be entered before.
    fn verdict(&mut self, slot: Slot) -> Option<Verdict> {
        let block = self.block(slot)?;
        let quiet = block.open.is_empty();
        if let StepKind::Call(spec) = &self.run.spec(slot).kind {
            return self.call_verdict(slot, spec);
        }
        if let Some(reason) = block.cancelling {
            return quiet.then_some(Verdict::Cancelled(reason));
        }
        if let Some(error) = block.failing.clone() {
            return quiet.then_some(Verdict::Failed(error));
        }
        let machine = self.machine();
        let step = machine.step(self.run.step(slot).spec);
        match &step.kind {
            StepKind::Do(_) => self.once(slot, "do"),
            StepKind::Switch(_) => self.switched(slot),
            StepKind::Foreach(spec) => self.each(slot, spec),
            StepKind::Parallel(spec) => self.branches(slot, spec, step.yields.as_ref()),
            StepKind::Loop(spec) => self.looped(slot, spec),
            StepKind::Try(spec) => self.tried(slot, spec),
            _ => None,
        }
    }

    pub(super) fn block(&self, slot: Slot) -> Option<&Block> {
        self.run.step(slot).block.as_deref()
    }

    /// A block with one body.
    fn once(&mut self, slot: Slot, part: &str) -> Option<Verdict> {
        let Progress::Once { entered, end, .. } = &self.block(slot)?.progress else {
            return None;
        };
        if !entered {
            self.enter(Some(slot), part, None);
            return None;
        }
        end.clone().map(PassEnd::into_verdict)
    }

    fn switched(&mut self, slot: Slot) -> Option<Verdict> {
        let Progress::Once { case, .. } = &self.block(slot)?.progress else {
            return None;
        };
        let case = case.clone().unwrap_or_default();
        let part = match case.as_str() {
            "default" => case.clone(),
            case => format!("case:{case}"),
        };
        Some(match self.once(slot, &part)? {
            Verdict::Succeeded(output) => {
                let mut fields = json!({ "case": case });
                if output.text() != "null" {
                    fields["output"] = output.parse();
                }
                Verdict::Succeeded(RawJson::from_value(&fields))
            }
            verdict => verdict,
        })
    }

    /// Emits the first fact of a block, and puts what follows on the work list.
    pub(super) fn begin_with(&mut self, slot: Slot, event: Result<RunEvent, Failure>) {
        match event {
            Ok(event) => self.emit(event),
            Err(error) => self.emit(RunEvent::StepFailed {
                step: self.run.name(slot),
                error,
                at: self.moment.now,
            }),
        }
        if self.run.step(slot).outcome.is_some() {
            self.follow(slot);
        } else if self.run.step(slot).status == StepStatus::Running && self.block(slot).is_some() {
            self.work.push_back(Work::Block(slot));
        }
    }
}
