//! What became of every agent's tasks lately, folded from the facts of the runs.
//!
//! A start replays the same facts, so a restart forgets only what the snapshot it begins from leaves out:
//! the tasks of runs that were closed before it. Times are those of the journal, from the claim to the end.

use std::collections::BTreeMap;
use std::time::Duration;

use phisync_agents::record::{Outcome, Record};
use phisync_state::Timestamp;

use crate::engine::{RunEvent, RunId};

/// What a fact of a run says about the work on its tasks.
pub(in crate::coordinator) enum TaskFact {
    Claimed {
        task: (String, bool),
        agent: String,
        at: Timestamp,
    },
    Ended {
        task: (String, bool),
        outcome: Outcome,
        at: Timestamp,
    },
    /// Nobody holds a task of the run any more.
    RunEnded,
}

impl TaskFact {
    pub(in crate::coordinator) fn of(event: &RunEvent) -> Option<Self> {
        Some(match event {
            RunEvent::TaskClaimed {
                step,
                undo,
                agent,
                at,
                ..
            } => Self::Claimed {
                task: (step.clone(), *undo),
                agent: agent.clone(),
                at: *at,
            },
            RunEvent::TaskCompleted { step, undo, at, .. } => Self::Ended {
                task: (step.clone(), *undo),
                outcome: Outcome::Completed,
                at: *at,
            },
            RunEvent::TaskFailed {
                step,
                undo,
                error,
                at,
                ..
            } => Self::Ended {
                task: (step.clone(), *undo),
                outcome: match error.code.as_str() {
                    "agent.lost" => Outcome::Lost,
                    "cancelled" => Outcome::GivenBack,
                    _ => Outcome::Failed,
                },
                at: *at,
            },
            RunEvent::TaskReleased { step, undo, at, .. }
            | RunEvent::TaskAsked { step, undo, at, .. } => Self::Ended {
                task: (step.clone(), *undo),
                outcome: Outcome::GivenBack,
                at: *at,
            },
            RunEvent::RunCompleted { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunCancelled { .. } => Self::RunEnded,
            _ => return None,
        })
    }
}

/// An attempt under way.
struct Held {
    agent: String,
    since: Timestamp,
}

/// See the module.
#[derive(Default)]
pub(in crate::coordinator) struct WorkRecords {
    held: BTreeMap<RunId, BTreeMap<(String, bool), Held>>,
    by_agent: BTreeMap<String, Record>,
}

impl WorkRecords {
    pub(in crate::coordinator) fn fold(&mut self, run: &RunId, fact: TaskFact) {
        match fact {
            TaskFact::Claimed { task, agent, at } => {
                let held = Held { agent, since: at };
                let tasks = self.held.entry(run.clone()).or_default();
                tasks.insert(task, held);
            }
            TaskFact::Ended { task, outcome, at } => {
                let held = self.held.get_mut(run).and_then(|tasks| tasks.remove(&task));
                let Some(Held { agent, since }) = held else {
                    return;
                };
                let took: Duration = at.since(since);
                self.by_agent.entry(agent).or_default().note(outcome, took);
                if self.held.get(run).is_some_and(BTreeMap::is_empty) {
                    self.held.remove(run);
                }
            }
            TaskFact::RunEnded => {
                self.held.remove(run);
            }
        }
    }

    /// When the holder of a task claimed it.
    pub(super) fn since(&self, run: &RunId, step: &str, undo: bool) -> Option<Timestamp> {
        let held = self.held.get(run)?.get(&(step.to_owned(), undo))?;
        Some(held.since)
    }

    pub(super) fn of(&self, agent: &str) -> Option<&Record> {
        self.by_agent.get(agent)
    }
}
