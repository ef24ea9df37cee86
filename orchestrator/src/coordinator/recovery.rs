//! From the store's records to a coordinator, and back to them when another writer was faster.

use std::sync::Arc;

use phisync_agents::assignment::ReadyQueue;
use phisync_agents::heartbeat::Ledger;
use phisync_agents::lease::Leases;
use phisync_agents::registry::Registry;
use phisync_state::env::Entropy;
use phisync_state::{FileId, ReadError, Record, Seq, Store};

use crate::engine::{self, RunEvent, RunId, RunState, RunStatus};

use super::definitions::Definitions;
use super::team::{AgentEvent, TaskFact, team};
use super::{ClosedRun, Coordinator, ListPlace, Now, OpenRun, Refusal};

impl Coordinator {
    /// Replays a store. With `only_run`, other open runs stay untouched in the journal: they are
    /// listed, but their tasks are offered to nobody and their clocks are not read.
    ///
    /// # Errors
    /// The store cannot be read, or holds a record that is not ours.
    pub fn open(
        store: Arc<dyn Store>,
        epoch: u64,
        registry: Registry,
        entropy: Box<dyn Entropy>,
        only_run: Option<&RunId>,
        now: Now,
    ) -> Result<Self, ReadError> {
        let mut coordinator = Self {
            agents: team(&registry),
            limits: super::limits::Limits::of(&registry),
            work: super::team::WorkRecords::default(),
            last: store.head().seq,
            store: Arc::clone(&store),
            epoch,
            entropy,
            registry,
            settings: super::Settings::default(),
            definitions: Definitions::default(),
            open: std::collections::BTreeMap::new(),
            closed: super::ClosedRuns::default(),
            by_start: super::ByStart::new(),
            due: std::collections::BTreeSet::new(),
            schedules: super::schedules::Schedules::default(),
            keys: super::keys::Keys::default(),
            events: super::events::Events::default(),
            triggers: super::triggers::Triggers::default(),
            slots: super::slots::Slots::default(),
            ready: ReadyQueue::new(),
            leases: Leases::new(),
            ledger: Ledger::new(),
            next_doubt: None,
            sharing: super::sharing::Sharing::Alone,
            still: false,
            alarms: Arc::default(),
            lent: super::Lent::default(),
            polls: super::polls::Polls::default(),
            progress: super::progress::Reports::default(),
            batch: super::Batch::default(),
            just_closed: std::collections::VecDeque::new(),
            changed: std::collections::BTreeSet::new(),
            unwatched: std::collections::BTreeSet::new(),
            files_wanted: Vec::new(),
            stale_views: super::views::StaleViews::of_a_start(),
            transactions: super::transactions::Transactions::default(),
            documents: super::documents::Documents::default(),
            locks: super::locks::Locks::default(),
            turns: super::turns::Turns::default(),
        };
        let mut problem = None;
        store.scan(
            "",
            Seq(0),
            &mut |record| match coordinator.replay(&record) {
                Ok(()) => true,
                Err(error) => {
                    problem = Some(error);
                    false
                }
            },
        )?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        coordinator.tell_resting_registrations();
        coordinator.schedules.asleep = only_run.is_some();
        coordinator.wake_schedules();
        coordinator.keys.forget_old(now.wall);
        coordinator.expect_signs_of_life(now);
        coordinator.locks.resume(now);
        let ids: Vec<_> = coordinator.open.keys().cloned().collect();
        for id in ids {
            let state = coordinator.open.get(&id).map(|run| run.state.status);
            if state != Some(RunStatus::Running) {
                coordinator.file_if_closed(&id);
            } else if only_run.is_none_or(|only| *only == id) {
                coordinator.resume(&id, now);
            }
        }
        let (views, open) = (&mut coordinator.stale_views, &coordinator.open);
        views.runs_at_start(open.keys());
        Ok(coordinator)
    }

    fn replay(&mut self, record: &Record) -> Result<(), ReadError> {
        let stream = record.stream.as_str();
        if let Some(id) = stream.strip_prefix("run/").and_then(RunId::parse) {
            let event = decode::<RunEvent>(record)?;
            if let Some(fact) = TaskFact::of(&event) {
                self.work.fold(&id, fact);
            }
            if let RunEvent::RunStarted { definition, .. } = &event {
                // Without its machine a run cannot be folded; its records stay as they are.
                let Some(machine) = self.definitions.get(definition) else {
                    return Ok(());
                };
                let state = RunState::new(machine, id.clone());
                let open = OpenRun { state, due: None };
                self.open.insert(id.clone(), open);
            }
            if let RunEvent::RunRewound { .. } = &event {
                self.replay_rewind(&id, record.version)?;
            } else if let Some(run) = self.open.get_mut(&id) {
                engine::apply(&mut run.state, &event);
                // After a restore, versions go on behind those that were lost.
                run.state.version = record.version;
                if let RunEvent::RunStarted { .. } = &event {
                    self.by_start.insert(ListPlace::of(&run.state));
                }
                if run.state.status != RunStatus::Running {
                    self.file_if_closed(&id);
                }
            }
        } else if let Some(name) = stream.strip_prefix("workflow/") {
            self.definitions.replay(name, &decode(record)?);
        } else if stream.starts_with("key/") {
            self.keys
                .replay_key(stream, record.version, decode(record)?);
        } else if stream.starts_with("call/") {
            self.keys
                .replay_call(stream, record.version, decode(record)?);
        } else if let Some(name) = stream.strip_prefix("event/") {
            self.events.replay(name, record.version, decode(record)?);
        } else if let Some(workflow) = stream.strip_prefix("trigger/") {
            self.triggers
                .replay(workflow, record.version, &decode(record)?);
        } else if stream.starts_with("slots/") {
            self.slots.replay(stream, record.version, &decode(record)?);
        } else if let Some(name) = stream.strip_prefix("schedule/") {
            self.schedules
                .replay(name, record.version, &decode(record)?);
        } else if let Some(name) = stream.strip_prefix("agent/") {
            let event: AgentEvent = decode(record)?;
            self.replay_agent(name, &event, record.version);
        } else if let Some(task_type) = stream.strip_prefix("limit/") {
            self.limits
                .replay(task_type, &decode(record)?, record.version);
        } else if let Some(id) = stream.strip_prefix("tx/") {
            self.replay_transaction(id, record)?;
        } else if let Some(name) = stream.strip_prefix("doc/") {
            self.replay_document(name, record)?;
        } else if stream == super::notices::STREAM {
            self.replay_of_store(record)?;
        } else if let Some(name) = stream.strip_prefix("lock/")
            && let Ok(name) = FileId::new(name)
        {
            self.locks.replay(name, record.version, &decode(record)?);
        }
        Ok(())
    }

    /// Offers the ready tasks of a run, gives its held ones a new lease of full length, and sets
    /// its clocks.
    pub(super) fn resume(&mut self, id: &RunId, now: Now) {
        let Some(run) = self.open.get(id) else { return };
        let live: Vec<_> = run.state.live_tasks().map(|(task, _)| task).collect();
        for task in live {
            self.follow_task(&task, now);
        }
        self.follow_waits(id);
        self.resume_files(id);
        self.follow_deadline(id);
        self.unwatched.insert(id.clone());
    }

    /// Folds a run from the store again, for a closed run or after a lost race.
    pub(super) fn load(&self, id: &RunId) -> Result<RunState, Refusal> {
        let fresh = |(_, run): &&(Seq, RunState)| run.id == *id;
        if let Some((_, run)) = self.just_closed.iter().find(fresh) {
            return Ok(run.clone());
        }
        let records = self.records_of(id)?;
        self.folded(id, &records)?
            .ok_or_else(|| Refusal::no_run(id.as_str()))
    }

    /// A run by its records; `None` if there are none, or its definition is unknown.
    pub(super) fn folded(
        &self,
        id: &RunId,
        records: &[Record],
    ) -> Result<Option<RunState>, ReadError> {
        let facts = records.iter().map(decode::<RunEvent>);
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        let Some(RunEvent::RunStarted { definition, .. }) = facts.first() else {
            return Ok(None);
        };
        // Without its machine a run cannot be folded; its records stay as they are.
        let machine = self.definitions.get(definition);
        Ok(machine.map(|machine| {
            let mut state = engine::fold(&machine, id, &facts);
            state.version = records.last().map_or(0, |last| last.version);
            state
        }))
    }

    /// A run goes back: what counts of it is read from its beginning. It may have been closed.
    fn replay_rewind(&mut self, id: &RunId, version: u64) -> Result<(), ReadError> {
        let mut records = self.store.read(&id.stream(), 1)?;
        records.retain(|record| record.version <= version);
        if let Some(state) = self.folded(id, &records)? {
            self.closed.remove(id);
            self.stale_views.run_reopened(id);
            self.by_start.insert(ListPlace::of(&state));
            self.open.insert(id.clone(), OpenRun { state, due: None });
        }
        Ok(())
    }

    /// Forgets what was believed about a run and reads it again.
    pub(super) fn reload(&mut self, id: &RunId, now: Now) -> Result<(), Refusal> {
        if let Some(run) = self.open.remove(id) {
            self.by_start.remove(&ListPlace::of(&run.state));
            if let Some(due) = run.due {
                self.due.remove(&(due, id.clone()));
            }
            for (task, _) in run.state.live_tasks() {
                self.ready.remove(&task);
            }
        }
        self.learn_definition_of(id)?;
        match self.load(id) {
            Ok(state) if state.status == RunStatus::Running => {
                self.enter(&state);
                self.closed.remove(id);
                self.open.insert(id.clone(), OpenRun { state, due: None });
                self.resume(id, now);
            }
            Ok(state) => {
                self.enter(&state);
                self.closed.insert(id.clone(), ClosedRun::of(&state));
                self.schedules.run_closed(id);
            }
            // The run's own start lost the race: there is no such run.
            Err(Refusal::NotFound { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        self.end_idle_leases(id);
        self.follow_waits(id);
        Ok(())
    }
}

impl Coordinator {
    /// Another writer may have started the run with a definition that is not known here.
    fn learn_definition_of(&mut self, id: &RunId) -> Result<(), Refusal> {
        let records = self.store.read(&id.stream(), 1)?;
        let Some(first) = records.first() else {
            return Ok(());
        };
        if let RunEvent::RunStarted {
            workflow,
            definition,
            ..
        } = decode(first)?
            && self.definitions.get(&definition).is_none()
        {
            self.reload_definitions(&workflow)?;
        }
        Ok(())
    }

    /// Forgets what was believed about the versions of a workflow and reads them again.
    pub(super) fn reload_definitions(&mut self, workflow: &str) -> Result<(), Refusal> {
        self.definitions.forget(workflow);
        for record in self.store.read(&Definitions::stream(workflow), 1)? {
            self.definitions.replay(workflow, &decode(&record)?);
        }
        Ok(())
    }
}

pub(super) fn decode<E: serde::de::DeserializeOwned>(record: &Record) -> Result<E, ReadError> {
    // The store has checked that the bytes are as written, so it is not damage.
    serde_json::from_str(&record.event).map_err(|error| ReadError::Newer {
        what: format!("record {} of stream `{}`", record.seq.0, record.stream),
        reason: error.to_string(),
    })
}
