//! `files`: several files changed as one, by a step that no agent does.
//!
//! The engine evaluates once what is wanted and journals it; the runtime stages it, and comes back
//! with the decision, which the coordinator appends in the same batch as the transaction's own
//! record. From then on the step cannot be stopped: it completes once every disk is done. What a
//! path means on a disk is not known here.

use std::collections::BTreeMap;

use phisync_state::Timestamp;
use phisync_workflows::expr::is_in_glob;
use phisync_workflows::machine::{
    FileExpect, FileLock, FileOp, FilesSpec, OnConflict, Participant, StepKind, Template,
};
use serde::{Deserialize, Serialize};

use super::decide::Draft;
use super::event::RunEvent;
use super::input::{FilesEnd, Rejection};
use super::pass::Slot;
use super::run::RunState;
use super::scope::{Extra, RunScope};
use super::{Failure, RawJson, retry};

/// What a `files` step wants, every expression evaluated. Format version 1, inside of
/// [`RunEvent::FilesWanted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesOrder {
    /// The working trees by the names that the step gives them: where each is.
    pub roots: BTreeMap<String, String>,
    /// What is changed, in file order.
    pub changes: Vec<OrderedChange>,
    /// Whether a file that another transaction changes right now is waited for.
    pub waits: bool,
    /// The transaction that is taken back; there are no `changes` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<String>,
}

/// One change of a [`FilesOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedChange {
    /// The working tree.
    #[serde(rename = "in")]
    pub root: String,
    /// The file in it.
    pub path: String,
    /// What happens.
    pub op: OrderedOp,
    /// The digest that its content must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether it must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderedOp {
    /// It holds this.
    Write {
        /// All of it.
        content: String,
        /// Permission bits; absent: as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
    },
    /// A unified diff is applied.
    Patch {
        /// The diff.
        patch: String,
    },
    /// It goes away.
    Delete {},
    /// It gets another name.
    Move {
        /// Which, in the same tree.
        to: String,
    },
    /// A directory comes to be.
    Mkdir {},
}

/// How far a `files` step is.
#[derive(Clone, Debug, PartialEq)]
pub struct FilesWork {
    /// Number of the current or last attempt, from 1.
    pub attempt: u32,
    /// When the first one began.
    pub first_wanted_at: Timestamp,
    /// Where it stands.
    pub stage: FilesStage,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq)]
pub enum FilesStage {
    /// Nothing is decided; whoever stages it may begin anew at any time.
    Wanted(FilesOrder),
    /// It happens: the step's output once every disk is done.
    Decided {
        /// The transaction.
        transaction: String,
        /// What the step will give.
        output: RawJson,
    },
    /// The attempt failed, and the next one is not due.
    BackingOff,
}

impl Draft<'_> {
    /// The fact with which an attempt begins: everything that is wanted, evaluated.
    pub(super) fn files_wanted(&self, slot: Slot, spec: &FilesSpec) -> Result<RunEvent, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let mut changes = Vec::with_capacity(spec.changes.len());
        for change in &spec.changes {
            let (sha256, exists) = match &change.expect {
                Some(FileExpect::Sha256(digest)) => (Some(scope.text(digest)?), None),
                Some(FileExpect::Exists(exists)) => (None, Some(*exists)),
                None => (None, None),
            };
            let op = match &change.op {
                FileOp::Write(content) => OrderedOp::Write {
                    content: scope.text(content)?,
                    mode: change.mode,
                },
                FileOp::Patch(patch) => OrderedOp::Patch {
                    patch: scope.text(patch)?,
                },
                FileOp::Delete => OrderedOp::Delete {},
                FileOp::Move(to) => OrderedOp::Move {
                    to: allowed(spec, &scope, to)?,
                },
                FileOp::MakeDir => OrderedOp::Mkdir {},
            };
            changes.push(OrderedChange {
                root: spec.participants[change.participant].name.clone(),
                path: allowed(spec, &scope, &change.path)?,
                op,
                sha256,
                exists,
            });
        }
        let (participants, reverts) = match spec.reverts {
            true => {
                let (trees, id) = self.to_revert(slot)?;
                (trees, Some(id))
            }
            false => (&spec.participants[..], None),
        };
        let roots = participants.iter();
        let work = self.run.step(slot).files.as_ref();
        Ok(RunEvent::FilesWanted {
            step: self.run.name(slot),
            attempt: work.map_or(1, |work| work.attempt + 1),
            order: FilesOrder {
                roots: roots
                    .map(|tree| (tree.name.clone(), tree.root.clone()))
                    .collect(),
                changes,
                waits: spec.lock == FileLock::Exclusive,
                reverts,
            },
            at: self.moment.now,
            deadline: self.after(spec.prepare_timeout),
        })
    }

    /// The trees and the transaction of the step that is undone at `slot`.
    fn to_revert(&self, slot: Slot) -> Result<(&[Participant], String), Failure> {
        let undone = self.run.pass(self.run.step(slot).pass).owner;
        let undone = undone.and_then(|undone| {
            let work = self.run.step(undone).files.as_ref()?;
            match (&self.run.spec(undone).kind, &work.stage) {
                (StepKind::Files(spec), FilesStage::Decided { transaction, .. }) => {
                    Some((&spec.participants[..], transaction.clone()))
                }
                _ => None,
            }
        });
        undone.ok_or_else(|| Failure::new("files.prepare", "there is nothing to put back"))
    }

    /// An attempt has got further. What comes of one that does not matter any more is refused.
    pub(super) fn files_ended(
        &mut self,
        step: &str,
        attempt: u32,
        end: FilesEnd,
    ) -> Result<(), Rejection> {
        let slot = self.run.find(step)?;
        let current = self.run.files_under_way(slot);
        let current = current.filter(|work| work.attempt == attempt);
        let decided = match current.map(|work| &work.stage) {
            Some(FilesStage::Wanted(_)) => None,
            Some(FilesStage::Decided { output, .. }) => Some(output.clone()),
            Some(FilesStage::BackingOff) | None => return Err(self.not_wanted(slot)),
        };
        let (step, at) = (step.to_owned(), self.moment.now);
        match (end, decided) {
            (
                FilesEnd::Decided {
                    transaction,
                    output,
                },
                None,
            ) => self.emit(RunEvent::FilesDecided {
                step,
                transaction,
                output,
                at,
            }),
            (FilesEnd::Done, Some(output)) => {
                let event = self.files_yield(slot, output);
                let event = event.map(|output| RunEvent::StepCompleted { step, output, at });
                self.begin_with(slot, event);
            }
            (FilesEnd::Failed(error), None) => self.files_failed(slot, error),
            (FilesEnd::Decided { .. } | FilesEnd::Failed(_), Some(_)) | (FilesEnd::Done, None) => {
                return Err(self.not_wanted(slot));
            }
        }
        Ok(())
    }

    /// The step's output, as its `yield` maps it.
    fn files_yield(&self, slot: Slot, output: RawJson) -> Result<RawJson, Failure> {
        let Some(template) = &self.run.spec(slot).yields else {
            return Ok(output);
        };
        let extra = Extra {
            result: Some(&output),
            ..Extra::default()
        };
        let pass = self.run.step(slot).pass;
        let scope = RunScope::new(self.run, self.moment, pass).with(extra);
        scope
            .value(template)
            .map(|value| RawJson::from_value(&value))
    }

    fn not_wanted(&self, slot: Slot) -> Rejection {
        Rejection::NotInState {
            task: format!("{}.{}", self.run.id, self.run.name(slot)),
            wanted: "waiting for that change of files",
            found: self.run.step(slot).status.as_str().to_owned(),
        }
    }

    /// The clock of a `files` step has rung: its preparation took too long, or its back-off is over.
    pub(super) fn files_ring(&mut self, slot: Slot, spec: &FilesSpec) {
        let work = self.run.files_under_way(slot);
        match work.map(|work| &work.stage) {
            Some(FilesStage::BackingOff) => {
                let event = self.files_wanted(slot, spec);
                self.begin_with(slot, event);
            }
            Some(FilesStage::Wanted(_)) => {
                let within = spec.prepare_timeout.as_secs();
                let message = format!("the files were not ready to be changed within {within}s");
                self.files_failed(slot, Failure::new("files.prepare", message));
            }
            Some(FilesStage::Decided { .. }) | None => {}
        }
    }

    /// Another attempt, as far as the policy allows, or the end of the step.
    fn files_failed(&mut self, slot: Slot, error: Failure) {
        let machine = self.machine();
        let spec = machine.step(self.run.step(slot).spec);
        let work = self.run.files_under_way(slot);
        let (failed, since) = work.map_or((1, self.moment.now), |work| {
            (work.attempt, work.first_wanted_at)
        });
        let wanted = match &spec.kind {
            StepKind::Files(files) if error.code == "files.conflict" => {
                files.on_conflict == OnConflict::Retry
            }
            _ => self.covers(slot, &spec.retry, &error, None, failed),
        };
        let due = self.after(retry::wait(&spec.retry, failed, self.moment.dice, None));
        let last = spec.retry.max_elapsed;
        let in_time = last.is_none_or(|elapsed| due <= since.saturating_add(elapsed));
        let (step, at) = (self.run.name(slot), self.moment.now);
        if wanted && in_time && failed < spec.retry.max_attempts {
            self.emit(RunEvent::FilesRetried {
                step,
                error,
                at,
                due,
            });
        } else {
            self.emit(RunEvent::StepFailed { step, error, at });
            self.follow(slot);
        }
    }
}

impl RunState {
    /// How far the `files` step at `slot` is, if it has begun and not ended.
    #[must_use]
    pub fn files_under_way(&self, slot: Slot) -> Option<&FilesWork> {
        let step = self.step(slot);
        step.files.as_deref().filter(|_| step.outcome.is_none())
    }

    /// Whether the step changes files, and nothing can stop that any more.
    pub(super) fn files_are_decided(&self, slot: Slot) -> bool {
        let work = self.files_under_way(slot);
        work.is_some_and(|work| matches!(work.stage, FilesStage::Decided { .. }))
    }
}

/// A path, which may only be one that the step allows.
fn allowed(spec: &FilesSpec, scope: &RunScope<'_>, path: &Template) -> Result<String, Failure> {
    let path = scope.text(path)?;
    let fits = spec.allow.iter().any(|glob| is_in_glob(&path, glob));
    if fits || spec.allow.is_empty() {
        return Ok(path);
    }
    let message = format!("`{path}` is none of the paths that `allow` names");
    Err(Failure::new("files.prepare", message))
}
