//! Starting, ending and showing runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync_state::snapshot::Standing;
use phisync_workflows::Machine;
use serde_json::{Map, Value};

use crate::engine::{self, Input, RunId, RunState};
use crate::protocol::{Registered, RunDetail, RunSummary, Started, Why};

use super::definitions::{DefinitionEvent, Definitions};
use super::schedules::check_schedules;
use super::starts::{NewRun, bind};
use super::{Coordinator, ListPlace, Now, Refusal, report};

/// What a new run runs.
#[derive(Clone, Debug)]
pub enum Target {
    /// The newest registered version of a workflow.
    Named(String),
    /// This one; registered with the run if it is new.
    Compiled(Arc<Machine>),
}

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only with this status.
    pub status: Option<String>,
    /// Only of this workflow.
    pub workflow: Option<String>,
    /// Only with this label.
    pub label: Option<(String, String)>,
    /// Only behind this place.
    pub before: Option<ListPlace>,
    /// At most so many.
    pub limit: usize,
}

impl ListFilter {
    /// Whether a run of this status, workflow and labels is shown.
    pub(super) fn fits(
        &self,
        status: &str,
        workflow: &str,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        self.status.as_ref().is_none_or(|wanted| *wanted == status)
            && self
                .workflow
                .as_ref()
                .is_none_or(|wanted| *wanted == workflow)
            && self
                .label
                .as_ref()
                .is_none_or(|(key, value)| labels.get(key) == Some(value))
    }

    /// Whether a row is shown.
    #[must_use]
    pub fn fits_row(&self, row: &RunSummary) -> bool {
        self.fits(&row.status, &row.workflow, &row.labels)
    }
}

impl Coordinator {
    /// Registers a workflow version and sets its schedules; once more is harmless.
    ///
    /// # Errors
    /// A schedule that cannot be used; the store's.
    pub fn register(&mut self, machine: &Arc<Machine>, now: Now) -> Result<Registered, Refusal> {
        check_schedules(machine, now)?;
        self.transact(now, |c| {
            c.register_in_batch(machine);
            c.set_schedules(machine, now);
            Ok(report::registered(machine))
        })
    }

    fn register_in_batch(&mut self, machine: &Arc<Machine>) {
        let newest = self.definitions.newest(machine.name());
        if newest.is_some_and(|newest| newest.hash() == machine.hash()) {
            return;
        }
        let event = DefinitionEvent::DefinitionRegistered {
            hash: machine.hash().to_owned(),
            source: machine.source().to_owned(),
        };
        let version = self.definitions.version(machine.name());
        let stream = Definitions::stream(machine.name());
        self.batch.add(stream, version, &[event]);
        self.batch.workflows.insert(machine.name().to_owned());
        self.definitions.add(Arc::clone(machine));
        self.stale_views.definition_registered(machine);
    }

    /// The newest version of every workflow.
    #[must_use]
    pub fn workflows(&self) -> Vec<Registered> {
        let newest = self.definitions.newest_of_each();
        newest.map(|machine| report::registered(machine)).collect()
    }

    /// The newest version of one workflow.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn workflow(&self, name: &str) -> Result<Arc<Machine>, Refusal> {
        self.definitions
            .newest(name)
            .ok_or_else(|| Refusal::NotFound {
                what: "workflow",
                id: name.to_owned(),
            })
    }

    /// Starts a run.
    ///
    /// # Errors
    /// A workflow that is not there, inputs that do not fit, a name that is taken.
    pub fn start(
        &mut self,
        target: &Target,
        id: Option<&str>,
        inputs: &Map<String, Value>,
        labels: &BTreeMap<String, String>,
        by: &str,
        now: Now,
    ) -> Result<Started, Refusal> {
        let machine = match target {
            Target::Named(name) => self.workflow(name)?,
            Target::Compiled(machine) => Arc::clone(machine),
        };
        let inputs = bind(&machine, inputs)?;
        let run = match id {
            Some(id) => parse_run_id(id)?,
            None => self.fresh_id(now),
        };
        self.transact(now, |c| {
            if c.is_taken(&run) {
                return Err(Refusal::Exists(run.to_string()));
            }
            c.register_in_batch(&machine);
            let new = NewRun {
                machine: Arc::clone(&machine),
                inputs: inputs.clone(),
                labels: labels.clone(),
                by: by.to_owned(),
                trigger: None,
            };
            c.begin(&run, new, now);
            Ok(())
        })?;
        self.outcome(&run)
    }

    /// Where a run stands, in short.
    ///
    /// # Errors
    /// No such run, or the store cannot be read.
    pub fn outcome(&self, id: &RunId) -> Result<Started, Refusal> {
        self.with_run(id, report::started)
    }

    /// Asks a run to end. Once more is harmless.
    ///
    /// # Errors
    /// A closed run, no such run.
    pub fn cancel(
        &mut self,
        id: &RunId,
        by: &str,
        reason: Option<&str>,
        now: Now,
    ) -> Result<Started, Refusal> {
        self.transact(now, |c| {
            let input = Input::Cancel {
                by: by.to_owned(),
                reason: reason.map(str::to_owned),
            };
            c.decide(id, input, now)
        })?;
        self.outcome(id)
    }

    /// The run that `prefix` names: its id, or the beginning of only one.
    ///
    /// # Errors
    /// None, or several.
    pub fn resolve_run(&self, prefix: &str) -> Result<RunId, Refusal> {
        let from = parse_run_id(prefix)?;
        if self.open.contains_key(&from) || self.closed.contains(&from) {
            return Ok(from);
        }
        if self.closed.standing(&from) == Standing::Gone {
            return Err(Refusal::Gone(prefix.to_owned()));
        }
        let open = self.open.range(from.clone()..).map(|(id, _)| id);
        let closed = self.closed.range(from);
        let matches = |id: &&RunId| id.as_str().starts_with(prefix);
        let open = open.take_while(matches).take(4);
        let found: Vec<_> = open.chain(closed.take_while(matches).take(4)).collect();
        match found.as_slice() {
            [] => Err(Refusal::no_run(prefix)),
            [one] => Ok((*one).clone()),
            several => Err(Refusal::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Everything about one run.
    ///
    /// # Errors
    /// No such run, or the store cannot be read.
    pub fn detail(&self, id: &RunId) -> Result<RunDetail, Refusal> {
        self.with_run(id, report::detail)
    }

    /// What a run, or one of its steps, waits for.
    ///
    /// # Errors
    /// No such run or step.
    pub fn why(&self, id: &RunId, step: Option<&str>, now: Now) -> Result<Why, Refusal> {
        let team = |task: &engine::TaskId| self.why_nobody_takes(task, now);
        self.with_run(id, |run| match step {
            None => Ok(report::why_run(run, &team)),
            Some(step) => match run.slot_named(step) {
                Some(index) => Ok(report::why_step(run, index, &team)),
                None => Err(Refusal::NotFound {
                    what: "step",
                    id: format!("{id}/{step}"),
                }),
            },
        })?
    }

    /// The machine that a run is pinned to.
    ///
    /// # Errors
    /// No such run.
    pub fn machine_of(&self, id: &RunId) -> Result<Arc<Machine>, Refusal> {
        if let Some(run) = self.open.get(id) {
            return Ok(Arc::clone(&run.state.machine));
        }
        let Some(closed) = self.closed.recent(id) else {
            return Ok(self.load(id)?.machine);
        };
        let machine = self.definitions.get(&closed.definition);
        machine.ok_or_else(|| Refusal::NotFound {
            what: "definition",
            id: closed.definition.clone(),
        })
    }

    pub(super) fn with_run<T>(
        &self,
        id: &RunId,
        read: impl FnOnce(&RunState) -> T,
    ) -> Result<T, Refusal> {
        match self.open.get(id) {
            Some(run) => Ok(read(&run.state)),
            None => Ok(read(&self.load(id)?)),
        }
    }
}

pub(super) fn parse_run_id(text: &str) -> Result<RunId, Refusal> {
    RunId::parse(text).ok_or_else(|| Refusal::BadName {
        what: "run id",
        text: text.to_owned(),
        rule: "it takes a-z, 0-9, `_` and `-`, at most 63, beginning with a letter or digit",
    })
}
