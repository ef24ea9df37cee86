//! Approvals: a decision that a run waits for, bound to what was shown.

use std::fmt::Write as _;

use phisync_workflows::machine::{ApprovalSpec, OnReject, OnTimeout, StepKind};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::pass::Slot;
use super::scope::RunScope;
use super::status::StepStatus;
use super::{Failure, RawJson};

/// An answer to an approval. Whether its giver may answer was checked by the caller.
pub(super) struct Answer {
    pub decision: String,
    pub by: String,
    pub comment: Option<String>,
    pub form: Option<RawJson>,
}

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
            excluded: self.run.who_did(slot, &spec.not_same_as),
            at: self.moment.now,
            deadline: self.after(spec.timeout),
            escalates_at: spec
                .escalate
                .as_ref()
                .map(|others| self.after(others.after)),
        })
    }

    pub(super) fn decide_approval(
        &mut self,
        id: &str,
        answer: Answer,
        shown_hash: Option<&str>,
    ) -> Result<(), Rejection> {
        let index = self.run.find(id)?;
        let machine = self.machine();
        let state = self.run.step(index);
        let (StepKind::Approval(spec), Some(approval)) =
            (&machine.step(state.spec).kind, &state.approval)
        else {
            return Err(Rejection::NotInState {
                task: format!("{}.{id}", self.run.id),
                wanted: "an approval that waits",
                found: state.status.as_str().to_owned(),
            });
        };
        let step = id.to_owned();
        let by = &answer.by;
        let mut earlier = approval.verdicts.iter();
        if let Some(earlier) = earlier.find(|v| v.by.eq_ignore_ascii_case(by)) {
            return if earlier.decision == answer.decision {
                Ok(())
            } else {
                let by = answer.by;
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
        let excluded = |name: &String| name.eq_ignore_ascii_case(by);
        if approval.excluded.iter().any(excluded) {
            let reason = "the same one did the work that is to be approved".to_owned();
            let by = answer.by;
            return Err(Rejection::MayNotDecide { step, by, reason });
        }
        check_answer(&step, spec, &answer)?;
        let approved = answer.decision == "approve";
        let plain = approved || answer.decision == "reject";
        self.emit(RunEvent::ApprovalDecided {
            step,
            approved,
            decision: (!plain).then(|| answer.decision.clone()),
            by: answer.by.clone(),
            comment: answer.comment,
            form: answer.form,
            at: self.moment.now,
        });
        self.count_answers(index, spec, &answer.decision, &answer.by);
        Ok(())
    }

    /// What the answers so far mean.
    fn count_answers(&mut self, index: Slot, spec: &ApprovalSpec, decision: &str, by: &str) {
        match decision {
            "approve" if self.answers(index, decision) >= spec.quorum => {
                self.grant(index);
            }
            "approve" => {}
            "reject" => {
                let needed = if spec.veto { 1 } else { spec.quorum };
                if self.answers(index, decision) >= needed {
                    let error = Failure::new("approval.rejected", format!("rejected by {by}"));
                    self.reject(index, spec.on_reject, error);
                }
            }
            option => {
                self.conclude(index, option);
                self.follow(index);
            }
        }
    }

    /// Others may decide from now on, too.
    pub(super) fn escalate_approval(&mut self, index: Slot) {
        self.emit(RunEvent::ApprovalEscalated {
            step: self.run.name(index),
            at: self.moment.now,
        });
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

    fn answers(&self, index: Slot, decision: &str) -> u32 {
        let approval = self.run.step(index).approval.as_ref();
        let verdicts = approval.map_or(&[][..], |approval| &approval.verdicts);
        let alike = verdicts.iter().filter(|v| v.decision == decision);
        u32::try_from(alike.count()).unwrap_or(u32::MAX)
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
        if let Some(form) = verdicts.iter().rev().find_map(|v| v.form.as_ref()) {
            output["form"] = form.parse();
        }
        self.emit(RunEvent::StepCompleted {
            step: self.run.name(index),
            output: RawJson::from_value(&output),
            at: self.moment.now,
        });
    }
}

/// Whether the approval has such an answer, and its data are what the form asks for.
fn check_answer(step: &str, spec: &ApprovalSpec, answer: &Answer) -> Result<(), Rejection> {
    let decision = &answer.decision;
    if !spec.options.contains(decision) {
        return Err(Rejection::NoSuchOption {
            step: step.to_owned(),
            decision: decision.clone(),
            options: spec.options.clone(),
        });
    }
    let violations = match (&spec.form, &answer.form) {
        (Some(schema), Some(form)) => schema.violations("form", &form.parse()),
        // Whoever says no need not fill in what a yes asks for.
        (Some(schema), None) if decision != "reject" => schema.violations("form", &json!({})),
        (Some(_), None) | (None, _) => Vec::new(),
    };
    if violations.is_empty() {
        Ok(())
    } else {
        let step = step.to_owned();
        Err(Rejection::BadForm { step, violations })
    }
}

pub(super) fn shown_hash(prompt: Option<&str>, show: Option<&RawJson>) -> String {
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
