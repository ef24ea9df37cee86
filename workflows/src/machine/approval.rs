//! Decisions that a run waits for.

use std::time::Duration;

use crate::schema::Schema;

use super::{StepIndex, Template};

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
    /// Whether one rejection rejects; else rejections are counted against the quorum.
    pub veto: bool,
    /// What is asked.
    pub prompt: Option<Template>,
    /// What is shown.
    pub show: Option<Template>,
    /// The answers there are, 2 to 8. `approve` counts for the quorum, others decide at once.
    pub options: Vec<String>,
    /// What the data of an answer must look like; `None`: there is none.
    pub form: Option<Schema>,
    /// How long it may take.
    pub timeout: Duration,
    /// What expiry means.
    pub on_timeout: OnTimeout,
    /// Who else may decide after a while. There with [`OnTimeout::Escalate`].
    pub escalate: Option<Escalation>,
    /// Whoever did these steps may not approve.
    pub not_same_as: Vec<StepIndex>,
    /// What a rejection means.
    pub on_reject: OnReject,
}

/// Who else may decide after a while.
#[derive(Clone, Debug)]
pub struct Escalation {
    /// Counted from the request; shorter than the approval's timeout.
    pub after: Duration,
    /// Added to those who may decide.
    pub to: Approvers,
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
    /// Others were asked before; final expiry is as [`OnTimeout::Reject`].
    Escalate,
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
