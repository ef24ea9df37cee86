//! Starting, ending and showing runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync_state::snapshot::Standing;
use phisync_workflows::{CatalogWorkflow, Machine};
use serde_json::{Map, Value};

use crate::engine::{Input, RunId, RunState};
use crate::protocol::{Registered, RunDetail, RunSummary, Started};

use super::definitions::{DefinitionEvent, Definitions};
use super::keys::{BusinessKey, Call};
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

/// A start, with everything that says which one it is.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to run.
    pub target: Target,
    /// The run's name; `None`: a fresh one.
    pub id: Option<String>,
    /// Values of its inputs.
    pub inputs: Map<String, Value>,
    /// For searching.
    pub labels: BTreeMap<String, String>,
    /// Who asks.
    pub by: String,
    /// Which business it is about.
    pub key: Option<BusinessKey>,
    /// Which call it is.
    pub call: Option<Call>,
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
            c.set_triggers(machine, now);
            Ok(report::registered(machine))
        })
    }

    fn register_in_batch(&mut self, machine: &Arc<Machine>) {
        let newest = self.definitions.newest(machine.name());
        let calls = self.definitions.choose_calls(machine);
        if newest.is_some_and(|newest| newest.hash() == machine.hash())
            && calls == self.definitions.calls_of(machine.hash())
        {
            return;
        }
        let event = DefinitionEvent::DefinitionRegistered {
            hash: machine.hash().to_owned(),
            source: machine.source().to_owned(),
            calls: calls.clone(),
        };
        let version = self.definitions.version(machine.name());
        let stream = Definitions::stream(machine.name());
        self.batch.add(stream, version, &[event]);
        self.batch.workflows.insert(machine.name().to_owned());
        self.definitions.add(Arc::clone(machine), calls);
        self.stale_views.definition_registered(machine);
    }

    /// Every version of every workflow, as callers have to know it.
    #[must_use]
    pub fn callable(&self) -> Vec<CatalogWorkflow> {
        let all = self.definitions.in_order();
        let all = all.map(|machine| CatalogWorkflow {
            name: machine.name().to_owned(),
            version: machine.version().to_owned(),
            interface: machine.interface(),
        });
        all.collect()
    }

    /// What a definition calls, and in which version; calls that are chosen when they are made are not
    /// among it.
    #[must_use]
    pub fn calls_of(&self, machine: &Machine) -> BTreeMap<String, String> {
        let calls = self.definitions.calls_of(machine.hash()).into_iter();
        let named = calls.filter_map(|(call, hash)| {
            let callee = self.definitions.get(&hash)?;
            Some((call, callee.version().to_owned()))
        });
        named.collect()
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
        let order = Order {
            target: target.clone(),
            id: id.map(str::to_owned),
            inputs: inputs.clone(),
            labels: labels.clone(),
            by: by.to_owned(),
            key: None,
            call: None,
        };
        self.start_order(&order, now)
    }

    /// Starts a run, or answers with the one that the order's keys name.
    ///
    /// # Errors
    /// A workflow that is not there, inputs that do not fit, a name or a key that is taken, a bound on
    /// runs that is reached.
    pub fn start_order(&mut self, order: &Order, now: Now) -> Result<Started, Refusal> {
        let machine = match &order.target {
            Target::Named(name) => self.workflow(name)?,
            Target::Compiled(machine) => Arc::clone(machine),
        };
        let new = NewRun {
            inputs: bind(&machine, &order.inputs)?,
            config: self.settings.bind(&machine)?,
            labels: order.labels.clone(),
            by: order.by.clone(),
            trigger: None,
            machine,
        };
        let id = order.id.as_deref().map(parse_run_id).transpose()?;
        let (run, attached) = self.transact(now, |c| c.start_or_attach(order, &new, &id, now))?;
        let mut outcome = self.outcome(&run)?;
        outcome.attached = attached;
        Ok(outcome)
    }

    fn start_or_attach(
        &mut self,
        order: &Order,
        new: &NewRun,
        id: &Option<RunId>,
        now: Now,
    ) -> Result<(RunId, bool), Refusal> {
        let workflow = new.machine.name();
        if let Some(call) = &order.call
            && let Some(run) = self.answered(call, now)?
        {
            return Ok((run, false));
        }
        if let Some(key) = &order.key
            && let Some(run) = self.attached(workflow, key)?
        {
            self.take_keys(workflow, None, order.call.as_ref(), &run, now);
            return Ok((run, true));
        }
        let run = id.clone().unwrap_or_else(|| self.fresh_id(now));
        if self.is_taken(&run) {
            return Err(Refusal::Exists(run.to_string()));
        }
        self.admission(new, now)?;
        self.register_in_batch(&new.machine);
        self.begin(&run, new.clone(), now)?;
        self.take_keys(workflow, order.key.as_ref(), order.call.as_ref(), &run, now);
        Ok((run, false))
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

    /// The runs that are open, as they stand here: for whoever holds them against a replay.
    pub fn open_runs(&self) -> impl Iterator<Item = &RunState> {
        self.open.values().map(|run| &run.state)
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
