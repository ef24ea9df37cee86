//! Which readable views are out of date: `workflow-{run}.json`, `agent-health.json`,
//! `approval-queue.json`, and the copies of definitions.
//!
//! Views are caches. A run that is shorter than a second gets none; a busy one is written at most
//! once a second, because the caller asks no more often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use phisync_state::ViewName;
use phisync_workflows::Machine;
use serde_json::{Value, json};

use crate::engine::{RunId, RunState};

use super::{Coordinator, Now, report};

/// A run younger than this gets no view.
const SHORT_RUN: Duration = Duration::from_secs(1);

/// Heartbeats alone bring the health of the agents up to date so often: within a sixth of the silence
/// that makes an agent dead by default.
const HEALTH_PERIOD: Duration = Duration::from_secs(10);

/// The health of more agents than this is told no more often than that whatever happens, and the views of more
/// runs are not made anew by a start: making them holds up everybody.
const CROWD: usize = 500;

/// The content of one view.
#[derive(Debug)]
pub struct View {
    /// File name in `state/`, without its extension.
    pub name: String,
    /// What it says.
    pub body: Value,
}

#[derive(Default)]
pub(super) struct StaleViews {
    runs: BTreeSet<RunId>,
    /// Final views of runs that have left memory.
    closed: BTreeMap<RunId, Value>,
    /// Runs that are in archives now.
    archived: Vec<RunId>,
    agents: bool,
    /// When words of agents since the last time are to be seen.
    health_due: Option<Duration>,
    /// When they were last made to be seen.
    health_at: Option<Duration>,
    approvals: bool,
    definitions: Vec<Arc<Machine>>,
}

impl StaleViews {
    /// Somebody may have deleted any view meanwhile: the two that everybody shares are written once.
    pub(super) fn of_a_start() -> Self {
        Self {
            agents: true,
            approvals: true,
            ..Self::default()
        }
    }

    pub(super) fn run_changed(&mut self, id: &RunId, _now: Now) {
        self.approvals = true;
        self.agents = true;
        if !self.closed.contains_key(id) {
            self.runs.insert(id.clone());
        }
    }

    pub(super) fn run_closed(&mut self, run: &RunState) {
        self.runs.remove(&run.id);
        let lived = run.closed_at.map(|at| at.since(run.started_at));
        if lived.is_some_and(|lived| lived >= SHORT_RUN) {
            self.closed.insert(run.id.clone(), body(run));
        }
    }

    /// Somebody may have deleted a view meanwhile. Where very many runs are open their views come back with
    /// their next change: making all of them would hold up everybody.
    pub(super) fn runs_at_start<'a>(&mut self, open: impl ExactSizeIterator<Item = &'a RunId>) {
        if open.len() <= CROWD {
            self.runs.extend(open.cloned());
        }
    }

    /// A run that was closed goes on from an earlier moment.
    pub(super) fn run_reopened(&mut self, id: &RunId) {
        self.closed.remove(id);
        self.runs.insert(id.clone());
    }

    pub(super) fn run_archived(&mut self, id: &RunId) {
        self.archived.push(id.clone());
    }

    pub(super) fn agents_changed(&mut self) {
        self.agents = true;
    }

    pub(super) fn agent_heard(&mut self, now: Now) {
        let due = now.mono.saturating_add(HEALTH_PERIOD);
        self.health_due.get_or_insert(due);
    }

    pub(super) fn definition_registered(&mut self, machine: &Arc<Machine>) {
        self.definitions.push(Arc::clone(machine));
    }
}

fn body(run: &RunState) -> Value {
    json!(report::detail(run))
}

impl Coordinator {
    /// Has a view written anew, whatever it says now; false if there is nothing that it could show.
    pub fn renew_view(&mut self, name: &ViewName) -> bool {
        if let Some(document) = name.shows_document() {
            return self.renew_document(document);
        }
        match name.as_str() {
            "agent-health" => self.stale_views.agents = true,
            "approval-queue" => self.stale_views.approvals = true,
            _ => {
                let run = name
                    .as_str()
                    .strip_prefix("workflow-")
                    .and_then(RunId::parse);
                let Some(id) = run else { return false };
                if self.open.contains_key(&id) {
                    self.stale_views.runs.insert(id);
                } else {
                    match self.load(&id) {
                        Ok(run) => {
                            self.stale_views.closed.insert(id, body(&run));
                        }
                        Err(refusal) => {
                            tracing::debug!(run = %id, %refusal, "a view shows nothing that can be read");
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// The views that are out of date; with `all`, those of young runs too.
    pub fn take_stale_views(&mut self, now: Now, all: bool) -> Vec<View> {
        let mut views = Vec::new();
        let runs = std::mem::take(&mut self.stale_views.runs);
        for id in runs {
            let Some(run) = self.open.get(&id) else {
                continue;
            };
            if !all && now.wall.since(run.state.started_at) < SHORT_RUN {
                self.stale_views.runs.insert(id);
                continue;
            }
            views.push(View {
                name: format!("workflow-{id}"),
                body: body(&run.state),
            });
        }
        for (id, body) in std::mem::take(&mut self.stale_views.closed) {
            let name = format!("workflow-{id}");
            views.push(View { name, body });
        }
        if self.is_health_due(now, all) {
            self.stale_views.agents = false;
            self.stale_views.health_at = Some(now.mono);
            self.stale_views.health_due = None;
            views.push(View {
                name: "agent-health".to_owned(),
                body: self.agent_health(now),
            });
        }
        if std::mem::take(&mut self.stale_views.approvals) {
            views.push(View {
                name: "approval-queue".to_owned(),
                body: json!({ "approvals": self.approvals() }),
            });
        }
        views
    }

    fn is_health_due(&self, now: Now, all: bool) -> bool {
        let stale = &self.stale_views;
        let heard = stale.health_due.is_some_and(|due| all || due <= now.mono);
        let since = stale.health_at.map(|at| now.mono.saturating_sub(at));
        let rested = since.is_none_or(|since| since >= HEALTH_PERIOD);
        (stale.agents || heard) && (all || rested || self.agents.len() <= CROWD)
    }

    /// The names of views that nobody keeps up any more: of runs that are in archives.
    pub fn take_dropped_views(&mut self) -> Vec<String> {
        let archived = std::mem::take(&mut self.stale_views.archived);
        let names = archived.into_iter().map(|id| format!("workflow-{id}"));
        names.collect()
    }

    /// Definitions whose readable copy is not written yet.
    pub fn take_new_definitions(&mut self) -> Vec<Arc<Machine>> {
        std::mem::take(&mut self.stale_views.definitions)
    }
}
