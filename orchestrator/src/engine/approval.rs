//! Approvals: a decision that a run waits for, bound to what was shown.

use std::fmt::Write as _;

use phisync_workflows::StepIndex;
use phisync_workflows::machine::{ApprovalSpec, OnReject, OnTimeout, StepKind};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::pass::Slot;
use super::run::RunState;
use super::scope::RunScope;
use super::status::StepStatus;
use super::{Failure, RawJson};

impl Draft<'_> {
    /// The fact that asks for a decision.
    pub(super) fn approval_requested(
        &self,
        slot: Slot,
        spec: &ApprovalSpec,
    ) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let prompt = match &spec.prompt {
            Some(prompt) => Some(scope.text(prompt)?),
            None => None,
        };
        let show = match &spec.show {
            Some(show) => Some(RawJson::from_value(&scope.value(show)?)),
            None => None,
        };
        Ok(RunEvent::ApprovalRequested {
            step: self.run.name(slot),
            shown_hash: shown_hash(prompt.as_deref(), show.as_ref()),
            prompt,
            show,
            excluded: who_did(self.run, slot, &spec.not_same_as),
            at: self.moment.now,
            deadline: self.after(spec.timeout),
        })
    }

    pub(super) fn decide_approval(
        &mut self,
        id: &str,
        approved: bool,
        by: String,
        comment: Option<String>,
        shown_hash: Option<&str>,
    ) -> Result<(), Rejection> {
        let index = self.run.find(id)?;
        let machine = self.machine();
        let state = self.run.step(index);
        let (StepKind::Approval(spec), Some(approval)) = (
            &machine.step(self.run.step(index).spec).kind,
            &state.approval,
        ) else {
            return Err(Rejection::NotInState {
                task: format!("{}.{id}", self.run.id),
                wanted: "an approval that waits",
                found: state.status.as_str().to_owned(),
            });
        };
        let step = id.to_owned();
        if let Some(earlier) = approval
            .verdicts
            .iter()
            .find(|v| v.by.eq_ignore_ascii_case(&by))
        {
            return if earlier.approved == approved {
                Ok(())
            } else {
                Err(Rejection::AlreadyDecided { step, by })
            };
        }
        if state.status != StepStatus::Waiting {
            return Err(Rejection::NotInState {
                task: format!("{}.{id}", self.run.id),
                wanted: "waiting for a decision",
                found: state.status.as_str().to_owned(),
            });
        }
        if shown_hash.is_some_and(|hash| hash != approval.shown_hash) {
            return Err(Rejection::OtherContent { step });
        }
        let excluded = |name: &String| name.eq_ignore_ascii_case(&by);
        if approval.excluded.iter().any(excluded) {
            let reason = "the same one did the work that is to be approved".to_owned();
            return Err(Rejection::MayNotDecide { step, by, reason });
        }
        self.emit(RunEvent::ApprovalDecided {
            step,
            approved,
            by: by.clone(),
            comment,
            at: self.moment.now,
        });
        if !approved {
            let error = Failure::new("approval.rejected", format!("rejected by {by}"));
            self.reject(index, spec.on_reject, error);
        } else if self.approvals(index) >= spec.quorum {
            self.grant(index);
        }
        Ok(())
    }

    pub(super) fn expire_approval(&mut self, index: Slot) {
        let machine = self.machine();
        let StepKind::Approval(spec) = &machine.step(self.run.step(index).spec).kind else {
            return;
        };
        let waited = spec.timeout.as_secs();
        let error = Failure::new(
            "approval.expired",
            format!("nobody decided within {waited}s"),
        );
        match spec.on_timeout {
            OnTimeout::Approve => self.grant(index),
            OnTimeout::Reject | OnTimeout::Escalate => self.reject(index, spec.on_reject, error),
            OnTimeout::Fail => self.refuse(index, error),
        }
    }

    fn approvals(&self, index: Slot) -> u32 {
        let approval = self.run.step(index).approval.as_ref();
        let yes = approval.map_or(0, |a| a.verdicts.iter().filter(|v| v.approved).count());
        u32::try_from(yes).unwrap_or(u32::MAX)
    }

    fn grant(&mut self, index: Slot) {
        self.conclude(index, "approve");
        self.follow(index);
    }

    fn reject(&mut self, index: Slot, on_reject: OnReject, error: Failure) {
        match on_reject {
            OnReject::Fail => self.refuse(index, error),
            OnReject::Continue => {
                self.conclude(index, "reject");
                self.follow(index);
            }
            OnReject::Compensate => {
                self.fail_step(index, error.clone());
                let pass = self.run.step(index).pass;
                self.fail_pass(pass, Some(index), error);
            }
        }
    }

    fn refuse(&mut self, index: Slot, error: Failure) {
        self.fail_step(index, error);
        self.follow(index);
    }

    fn fail_step(&mut self, index: Slot, error: Failure) {
        self.emit(RunEvent::StepFailed {
            step: self.run.name(index),
            error,
            at: self.moment.now,
        });
    }

    fn conclude(&mut self, index: Slot, decision: &str) {
        let approval = self.run.step(index).approval.as_ref();
        let verdicts = approval.map_or(&[][..], |a| &a.verdicts);
        let names: Vec<_> = verdicts.iter().map(|v| v.by.as_str()).collect();
        let mut output = json!({
            "decision": decision,
            "by": names,
            "at": self.moment.now.to_string(),
        });
        if let Some(comment) = verdicts.iter().rev().find_map(|v| v.comment.as_deref()) {
            output["comment"] = json!(comment);
        }
        self.emit(RunEvent::StepCompleted {
            step: self.run.name(index),
            output: RawJson::from_value(&output),
            at: self.moment.now,
        });
    }
}

/// Everybody who did or decided one of `steps`.
fn who_did(run: &RunState, approval: Slot, steps: &[StepIndex]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let pass = run.step(approval).pass;
    for step in steps
        .iter()
        .filter_map(|step| run.seen_from(pass, None, *step))
    {
        let step = run.step(step);
        names.extend(step.task.as_ref().and_then(|task| task.last_agent.clone()));
        let verdicts = step.approval.iter().flat_map(|a| &a.verdicts);
        names.extend(verdicts.map(|v| v.by.clone()));
    }
    names.sort();
    names.dedup();
    names
}

fn shown_hash(prompt: Option<&str>, show: Option<&RawJson>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(prompt.unwrap_or_default());
    hasher.update([0]);
    hasher.update(show.map_or("", RawJson::text));
    hasher
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing into a String cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
}
