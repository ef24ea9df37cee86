//! Schedules in a store: which are set, when they are due, and the runs that they start.
//!
//! The rules are in [`crate::schedule`]; this is the shell around them. A firing and the run that it
//! starts are one batch that expects the version of the schedule's stream: whoever decided on an old
//! one decides again, and a crash leaves both or neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use phisync_state::{StreamName, Timestamp, Version};
use phisync_workflows::Machine;
use phisync_workflows::machine::{Overlap, Schedule, Timing};

use crate::engine::{Input, RunId, RunStatus, Trigger};
use crate::protocol::{Paused, ScheduleDetail, SchedulePast, ScheduleSummary};
use crate::schedule::{
    self, Past, Plan, ScheduleEvent, ScheduleInput, ScheduleState, Surroundings,
};

use super::starts::{NewRun, Settings, StartScope, fill};
use super::{Coordinator, Now, Refusal, recovery};

/// The workflow and the schedule's id.
pub(super) type ScheduleKey = (String, String);

#[derive(Clone, Default)]
struct Entry {
    state: ScheduleState,
    /// `None`: withdrawn, or its text cannot be used any more.
    plan: Option<Arc<Plan>>,
    due: Option<Timestamp>,
}

/// All schedules of a store.
#[derive(Default)]
pub(super) struct Schedules {
    all: BTreeMap<ScheduleKey, Entry>,
    due: BTreeSet<(Timestamp, ScheduleKey)>,
    of_run: BTreeMap<RunId, ScheduleKey>,
    /// One who drives a single run starts no others.
    pub(super) asleep: bool,
}

fn stream(key: &ScheduleKey) -> StreamName {
    StreamName::new(format!("schedule/{}/{}", key.0, key.1))
}

impl Schedules {
    /// Takes in a fact of the stream `schedule/NAME`, where `name` is `WORKFLOW/ID`.
    pub(super) fn replay(&mut self, name: &str, version: Version, event: &ScheduleEvent) {
        if let Some((workflow, id)) = name.split_once('/') {
            let key = (workflow.to_owned(), id.to_owned());
            let state = &mut self.all.entry(key).or_default().state;
            schedule::apply(state, event);
            state.version = version;
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn follow(&mut self, key: &ScheduleKey) {
        let Some(entry) = self.all.get_mut(key) else {
            return;
        };
        let plan = entry.plan.as_deref().filter(|_| !self.asleep);
        let next = plan.and_then(|plan| schedule::next_due(plan, &entry.state));
        if let Some(old) = entry.due.take() {
            self.due.remove(&(old, key.clone()));
        }
        if let Some(next) = next {
            self.due.insert((next, key.clone()));
        }
        entry.due = next;
    }

    /// The runs that schedules have started and believe to be open.
    pub(super) fn runs(&self) -> Vec<RunId> {
        self.of_run.keys().cloned().collect()
    }

    /// A run has closed: what waited for that is due.
    pub(super) fn run_closed(&mut self, run: &RunId) {
        let Some(key) = self.of_run.remove(run) else {
            return;
        };
        if let Some(entry) = self.all.get_mut(&key) {
            entry.state.forget_run(run);
        }
        self.follow(&key);
    }
}

impl Coordinator {
    /// Sets the schedules that a version of a workflow has, and withdraws those that it lacks.
    pub(super) fn set_schedules(&mut self, machine: &Machine, now: Now) {
        let workflow = machine.name();
        for schedule in machine.schedules() {
            let key = (workflow.to_owned(), schedule.id.clone());
            let old = self.schedules.all.get(&key).map(|entry| &entry.state);
            let old = old.cloned().unwrap_or_default();
            if old.definition.as_deref() == Some(machine.hash()) {
                continue;
            }
            let same = self.entry_of(&key, &old).filter(|entry| {
                let zone = (&entry.timezone, entry.dst_gap, entry.dst_overlap);
                entry.timing == schedule.timing
                    && zone == (&schedule.timezone, schedule.dst_gap, schedule.dst_overlap)
                    && entry.enabled
            });
            // Other instants count from now on; the same ones go on where they stand.
            let (anchor, after) = match same {
                Some(_) => (old.anchor, old.cursor),
                None => (now.wall, now.wall),
            };
            let event = ScheduleEvent::ScheduleSet {
                definition: machine.hash().to_owned(),
                anchor,
                after,
                at: now.wall,
            };
            self.note(&key, vec![event]);
        }
        let of_workflow = (workflow.to_owned(), String::new())..;
        let known = self.schedules.all.range(of_workflow);
        let known = known.take_while(|((name, _), _)| name == workflow);
        let withdrawn: Vec<_> = known
            .filter(|((_, id), entry)| {
                let kept = machine
                    .schedules()
                    .iter()
                    .any(|schedule| schedule.id == *id);
                entry.state.definition.is_some() && !kept
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in withdrawn {
            let at = now.wall;
            self.note(&key, vec![ScheduleEvent::ScheduleWithdrawn { at }]);
        }
    }

    /// Facts that no plan has to agree with: folds them and puts them into the batch.
    fn note(&mut self, key: &ScheduleKey, events: Vec<ScheduleEvent>) {
        let entry = self.schedules.all.entry(key.clone()).or_default();
        let before = entry.state.version;
        for event in &events {
            schedule::apply(&mut entry.state, event);
        }
        self.batch.add(stream(key), before, &events);
        self.batch.schedules.insert(key.clone());
        self.renew_plan(key);
    }

    /// The entry of the workflow's text that a schedule follows.
    fn entry_of(&self, key: &ScheduleKey, state: &ScheduleState) -> Option<Schedule> {
        let machine = self.definitions.get(state.definition.as_deref()?)?;
        let mut schedules = machine.schedules().iter();
        schedules.find(|schedule| schedule.id == key.1).cloned()
    }

    fn renew_plan(&mut self, key: &ScheduleKey) {
        let Some(entry) = self.schedules.all.get(key) else {
            return;
        };
        let anchor = entry.state.anchor;
        let plan = self.entry_of(key, &entry.state).and_then(|schedule| {
            let plan = Plan::new(&key.0, &schedule, anchor);
            plan.inspect_err(|error| tracing::error!(%error, "a schedule cannot be used"))
                .ok()
        });
        if let Some(entry) = self.schedules.all.get_mut(key) {
            entry.plan = plan.map(Arc::new);
        }
        self.schedules.follow(key);
    }

    /// After a replay: which runs are open is known now.
    pub(super) fn wake_schedules(&mut self) {
        let keys: Vec<_> = self.schedules.all.keys().cloned().collect();
        for key in keys {
            self.settle_schedule(&key);
        }
    }

    fn settle_schedule(&mut self, key: &ScheduleKey) {
        if let Some(entry) = self.schedules.all.get_mut(key) {
            let open = |run: &RunId| {
                let run = self.open.get(run);
                run.is_some_and(|run| run.state.status == RunStatus::Running)
            };
            entry.state.runs.retain(open);
            for run in &entry.state.runs {
                self.schedules.of_run.insert(run.clone(), key.clone());
            }
        }
        self.renew_plan(key);
    }

    /// Forgets what was believed about a schedule and reads it again.
    pub(super) fn reload_schedule(&mut self, key: &ScheduleKey) -> Result<(), Refusal> {
        let mut state = ScheduleState::default();
        for record in self.store.read(&stream(key), 1)? {
            schedule::apply(&mut state, &recovery::decode(&record)?);
            state.version = record.version;
        }
        self.schedules.all.entry(key.clone()).or_default().state = state;
        self.settle_schedule(key);
        Ok(())
    }

    /// Everything that schedules have to do by now.
    pub(super) fn run_schedules(&mut self, now: Now) -> Result<(), Refusal> {
        while let Some((at, key)) = self.schedules.due.first().cloned() {
            if at > now.wall {
                break;
            }
            self.drive_schedule(&key, ScheduleInput::Tick, now)?;
            let first = self.schedules.due.first();
            if first.is_some_and(|(next, same)| (*next, same) == (at, &key)) && at.as_micros() > 0 {
                // A clock that does not move on would be rung for ever.
                self.schedules.due.pop_first();
            }
        }
        Ok(())
    }

    /// Decides one input for one schedule: its facts, and the runs that they start and end.
    fn drive_schedule(
        &mut self,
        key: &ScheduleKey,
        input: ScheduleInput,
        now: Now,
    ) -> Result<(), Refusal> {
        let missing = || Refusal::NotFound {
            what: "schedule",
            id: format!("{}/{}", key.0, key.1),
        };
        let entry = self.schedules.all.get(key).ok_or_else(missing)?;
        let plan = entry.plan.clone().ok_or_else(missing)?;
        let mut state = entry.state.clone();
        let before = state.version;
        let entry = self.entry_of(key, &state).ok_or_else(missing)?;
        let hash = state.definition.clone().unwrap_or_default();
        let machine = self.definitions.get(&hash).ok_or_else(missing)?;
        let by_hand = match &input {
            ScheduleInput::Trigger { by } => Some(by.clone()),
            _ => None,
        };
        let settings = self.settings.clone();
        let mut prepared = BTreeMap::new();
        let mut prepare = |instant: Option<Timestamp>| {
            let by = by_hand.clone();
            let by = by.unwrap_or_else(|| format!("schedule {}", key.1));
            let new = prepare(&machine, &entry, instant, by, &settings, now.wall)?;
            self.admission(&new, now).map_err(|no| no.to_string())?;
            let run = self.fresh_id_besides(&prepared, now);
            prepared.insert(run.clone(), new);
            Ok(run)
        };
        let mut around = Surroundings {
            now: now.wall,
            prepare: &mut prepare,
        };
        let mut decision = schedule::decide(&plan, &mut state, input, &mut around)?;
        if decision.events.is_empty() {
            return Ok(());
        }
        if state.is_long() {
            let summed = state.sum_up(now.wall);
            schedule::apply(&mut state, &summed);
            decision.events.push(summed);
        }
        if let Some(entry) = self.schedules.all.get_mut(key) {
            entry.state = state;
        }
        self.batch.add(stream(key), before, &decision.events);
        self.batch.schedules.insert(key.clone());
        for (run, new) in prepared {
            self.schedules.of_run.insert(run.clone(), key.clone());
            self.begin(&run, new, now)?;
        }
        for run in decision.cancels {
            let by = format!("schedule {}", key.1);
            let reason = Some("a later instant replaces it".to_owned());
            match self.decide(&run, Input::Cancel { by, reason }, now) {
                // It closed in this very batch.
                Ok(()) | Err(Refusal::Rejected(_)) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        self.schedules.follow(key);
        Ok(())
    }

    fn fresh_id_besides(&mut self, others: &BTreeMap<RunId, NewRun>, now: Now) -> RunId {
        loop {
            let id = self.fresh_id(now);
            if !others.contains_key(&id) {
                return id;
            }
        }
    }

    /// Lets a schedule start nothing, or go on.
    ///
    /// # Errors
    /// No such schedule.
    pub fn control_schedule(
        &mut self,
        name: (&str, &str),
        input: &ScheduleInput,
        now: Now,
    ) -> Result<ScheduleDetail, Refusal> {
        let key = (name.0.to_owned(), name.1.to_owned());
        self.transact(now, |c| c.drive_schedule(&key, input.clone(), now))?;
        self.schedule(name, 0, now)
    }

    /// All schedules that are set, by workflow and id.
    #[must_use]
    pub fn schedules(&self, now: Now) -> Vec<ScheduleSummary> {
        let all = self.schedules.all.iter();
        all.filter_map(|(key, entry)| self.summarize(key, entry, now))
            .collect()
    }

    /// One schedule, with its next `count` instants.
    ///
    /// # Errors
    /// No such schedule.
    pub fn schedule(
        &self,
        name: (&str, &str),
        count: usize,
        now: Now,
    ) -> Result<ScheduleDetail, Refusal> {
        let key = (name.0.to_owned(), name.1.to_owned());
        let entry = self.schedules.all.get(&key);
        let found = entry.and_then(|entry| {
            let plan = entry.plan.as_deref()?;
            let mut at = entry.state.cursor.max(now.wall);
            let mut next = Vec::new();
            while next.len() < count {
                let Some(instant) = plan.next_after(at) else {
                    break;
                };
                next.push(plan.zone.show(instant));
                at = instant;
            }
            Some(ScheduleDetail {
                summary: self.summarize(&key, entry, now)?,
                next,
                waiting: entry.state.queue.iter().map(ToString::to_string).collect(),
                open_runs: entry.state.runs.iter().map(ToString::to_string).collect(),
                past: entry.state.past.iter().rev().map(past).collect(),
            })
        });
        found.ok_or_else(|| Refusal::NotFound {
            what: "schedule",
            id: format!("{}/{}", name.0, name.1),
        })
    }

    fn summarize(&self, key: &ScheduleKey, entry: &Entry, now: Now) -> Option<ScheduleSummary> {
        let plan = entry.plan.as_deref()?;
        let text = self.entry_of(key, &entry.state)?;
        let stands = entry.state.paused.is_some() || !plan.enabled;
        let next = plan.next_after(entry.state.cursor.max(now.wall));
        Some(ScheduleSummary {
            workflow: key.0.clone(),
            id: key.1.clone(),
            timing: match &text.timing {
                Timing::Cron(cron) => cron.clone(),
                Timing::Every(period) => format!("every {}s", period.as_secs_f64()),
            },
            timezone: plan.zone.name().to_owned(),
            overlap: match plan.overlap {
                Overlap::Skip => "skip",
                Overlap::Queue => "queue",
                Overlap::Replace => "replace",
                Overlap::Allow => "allow",
            }
            .to_owned(),
            enabled: plan.enabled,
            paused: entry.state.paused.as_ref().map(|pause| Paused {
                by: pause.by.clone(),
                reason: pause.reason.clone(),
                at: pause.at.to_string(),
            }),
            next_at: next.filter(|_| !stands).map(|at| at.to_string()),
            last_run: entry
                .state
                .past
                .iter()
                .rev()
                .find_map(|past| past.run.as_ref().map(ToString::to_string)),
        })
    }
}

/// Refuses a workflow whose schedules cannot be used.
pub(super) fn check_schedules(machine: &Machine, now: Now) -> Result<(), Refusal> {
    for schedule in machine.schedules() {
        Plan::new(machine.name(), schedule, now.wall).map_err(Refusal::BadSchedule)?;
    }
    Ok(())
}

/// A run that `instant` starts, or why its inputs do not fit.
fn prepare(
    machine: &Arc<Machine>,
    entry: &Schedule,
    instant: Option<Timestamp>,
    by: String,
    settings: &Settings,
    now: Timestamp,
) -> Result<NewRun, String> {
    let trigger = Trigger::Schedule {
        id: entry.id.clone(),
        instant,
    };
    let mut labels = BTreeMap::from([("schedule".to_owned(), entry.id.clone())]);
    labels.extend(instant.map(|at| ("scheduled_at".to_owned(), at.to_string())));
    let config = settings.bind(machine).map_err(|no| no.in_words())?;
    let scope = StartScope {
        machine,
        run: None,
        inputs: None,
        config: &config,
        labels: &labels,
        trigger: Some(&trigger),
        event: None,
        now,
    };
    Ok(NewRun {
        machine: Arc::clone(machine),
        inputs: fill(machine, &entry.input, &scope)?,
        config,
        labels,
        by,
        trigger: Some(trigger),
    })
}

fn past(past: &Past) -> SchedulePast {
    SchedulePast {
        instant: past.instant.map(|at| at.to_string()),
        at: past.at.to_string(),
        run: past.run.as_ref().map(ToString::to_string),
        skipped: past.skipped.as_ref().map(|(reason, count)| match count {
            1 => reason.words(),
            count => format!("{count} instants up to this one: {}", reason.words()),
        }),
    }
}
