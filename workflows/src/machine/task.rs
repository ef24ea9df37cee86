//! Work for agents, and work of other workflows.

use std::time::Duration;

use crate::schema::Schema;

use super::{Approvers, Template};

/// What an agent is asked to do.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// The task type; the step's id for a bare `prompt:`.
    pub task_type: String,
    /// Instructions, for agents that read text.
    pub prompt: Option<Template>,
    /// Artefact references and files, handed over with the input.
    pub attachments: Vec<Template>,
    /// Names of declared secrets, handed over by reference.
    pub secrets: Vec<String>,
    /// What must hold before the result is taken.
    pub accept: Option<Accept>,
    /// Who answers what the agent asks while it works.
    pub ask: Ask,
}

impl TaskSpec {
    /// A task of this type with nothing else said.
    pub(crate) fn bare(task_type: impl Into<String>) -> Self {
        Self {
            task_type: task_type.into(),
            prompt: None,
            attachments: Vec::new(),
            secrets: Vec::new(),
            accept: None,
            ask: Ask::default(),
        }
    }

    pub(super) fn for_each_template(&self, visit: &mut dyn FnMut(&Template)) {
        self.prompt.iter().for_each(&mut *visit);
        self.attachments.iter().for_each(&mut *visit);
        for file in self.accept.iter().flat_map(|accept| &accept.files) {
            visit(&file.path);
            file.sha256.iter().for_each(&mut *visit);
        }
    }
}

/// Who answers what an agent asks people while it works, and how long they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who may answer; `None`: every declared person.
    pub from: Option<Approvers>,
    /// After this long without an answer the attempt ends with `approval.expired`.
    pub timeout: Duration,
}

impl Default for Ask {
    /// A week, and everybody.
    fn default() -> Self {
        Self {
            from: None,
            timeout: Duration::from_secs(7 * 86_400),
        }
    }
}

/// What the orchestrator checks when an agent says that it is done. What does not hold is the
/// error `acceptance`.
#[derive(Clone, Debug)]
pub struct Accept {
    /// Files that must be there.
    pub files: Vec<AcceptFile>,
    /// What the result must look like, beyond the step's `output`.
    pub schema: Option<Schema>,
}

/// A file that must (not) be there.
#[derive(Clone, Debug)]
pub struct AcceptFile {
    /// Relative to the project's folder.
    pub path: Template,
    /// Whether it must exist.
    pub exists: bool,
    /// The digest that its bytes must have, 64 hexadecimal digits.
    pub sha256: Option<Template>,
}

/// Another workflow's run as a step. Its inputs are the step's `input`.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// The workflow's name.
    pub workflow: String,
    /// Which versions fit; `None`: the newest.
    pub version: Option<super::VersionRange>,
    /// Whether the step waits for the child's end. If not, its output is `{run_id}`.
    pub wait: bool,
    /// What the end of the parent by cancellation means for the child.
    pub on_parent_cancel: OnParentCancel,
    /// It calls nobody: it undoes what the run did that was called by the step that it undoes.
    pub unwinds: bool,
}

/// What a child does when its parent is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnParentCancel {
    /// It is cancelled too.
    Cancel,
    /// It goes on alone.
    Abandon,
}
