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
    task: (String, bool),
    agent: String,
    since: Timestamp,
}

/// See the module.
#[derive(Default)]
pub(in crate::coordinator) struct WorkRecords {
    /// Of runs that are open; few of their tasks are held at once.
    held: BTreeMap<RunId, Vec<Held>>,
    by_agent: BTreeMap<String, Record>,
}

impl WorkRecords {
    pub(in crate::coordinator) fn fold(&mut self, run: &RunId, fact: TaskFact) {
        match fact {
            TaskFact::Claimed { task, agent, at } => {
                let tasks = self.held.entry(run.clone()).or_default();
                tasks.retain(|held| held.task != task);
                tasks.push(Held {
                    task,
                    agent,
                    since: at,
                });
            }
            TaskFact::Ended { task, outcome, at } => {
                let tasks = self.held.get_mut(run);
                let held = tasks.and_then(|tasks| {
                    let place = tasks.iter().position(|held| held.task == task)?;
                    Some(tasks.swap_remove(place))
                });
                let Some(Held { agent, since, .. }) = held else {
                    return;
                };
                let took: Duration = at.since(since);
                self.by_agent.entry(agent).or_default().note(outcome, took);
            }
            TaskFact::RunEnded => {
                self.held.remove(run);
            }
        }
    }

    /// When the holder of a task claimed it.
    pub(super) fn since(&self, run: &RunId, step: &str, undo: bool) -> Option<Timestamp> {
        let mut tasks = self.held.get(run)?.iter();
        let held = tasks.find(|held| held.task.0 == step && held.task.1 == undo)?;
        Some(held.since)
    }

    pub(super) fn of(&self, agent: &str) -> Option<&Record> {
        self.by_agent.get(agent)
    }
}
