//! Events that start runs: the `triggers:` of registered workflows.
//!
//! As schedules, triggers are those of the version that was registered last, not of one that a run was
//! started from. Each workflow has a stream, `trigger/WORKFLOW`: which version counts, which events
//! started a run and which did not, with the reason. A start stands in the batch of its event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use phisync_state::{Record, StreamName, Timestamp, Version};
use phisync_workflows::Machine;
use phisync_workflows::machine;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{RawJson, RunId, Trigger, value_at};

use super::starts::{NewRun, StartScope, fill};
use super::{Coordinator, Now, Refusal, recovery};

/// So many starts of a trigger are remembered for its rate.
const STARTS_MAX: usize = 10_000;

/// A `dedupe_key` starts no second run within this.
pub(super) const DEDUPED_FOR: Duration = Duration::from_hours(30 * 24);

/// A trigger remembers no more keys than this; the oldest go first.
const DEDUPED_MAX: usize = 100_000;

/// After so many facts the definition that counts is said again, so that what is before it can go.
const SAID_EVERY: Version = 500;

/// A fact of the stream `trigger/WORKFLOW`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TriggerFact {
    /// This version of the workflow says what its triggers are.
    TriggersSet {
        /// Its SHA-256.
        definition: String,
        /// When.
        at: Timestamp,
    },
    /// An event started a run.
    TriggerFired {
        /// Which trigger, by its place in the list.
        trigger: u32,
        /// The event's name.
        event: String,
        /// Its number.
        number: u64,
        /// The run.
        run: RunId,
        /// The value of `dedupe_key`, as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dedupe: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// An event that fitted started none.
    TriggerSkipped {
        /// Which trigger, by its place in the list.
        trigger: u32,
        /// The event's name.
        event: String,
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

#[derive(Default)]
struct OfWorkflow {
    version: Version,
    definition: Option<String>,
    /// The version at which that was said last.
    said: Version,
    /// Keys that have started a run, by trigger.
    deduped: BTreeMap<u32, Deduped>,
    /// The last starts of each trigger, oldest first.
    starts: BTreeMap<u32, VecDeque<Timestamp>>,
}

/// Keys that have started a run.
#[derive(Default)]
struct Deduped {
    keys: BTreeSet<String>,
    /// The same, oldest first.
    since: VecDeque<(Timestamp, String)>,
}

impl Deduped {
    fn insert(&mut self, key: String, at: Timestamp) {
        self.forget(at);
        if self.since.len() == DEDUPED_MAX
            && let Some((_, oldest)) = self.since.pop_front()
        {
            self.keys.remove(&oldest);
        }
        if self.keys.insert(key.clone()) {
            self.since.push_back((at, key));
        }
    }

    /// Lets go of what counts no more at this time.
    fn forget(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.since.front()
            && now.since(*at) >= DEDUPED_FOR
        {
            self.keys.remove(key);
            self.since.pop_front();
        }
    }
}

/// The triggers of all workflows.
#[derive(Default)]
pub(super) struct Triggers {
    workflows: BTreeMap<String, OfWorkflow>,
}

impl Triggers {
    /// Takes in a fact of the stream `trigger/WORKFLOW`.
    pub(super) fn replay(&mut self, workflow: &str, version: Version, fact: &TriggerFact) {
        let of = self.workflows.entry(workflow.to_owned()).or_default();
        of.version = version;
        match fact {
            TriggerFact::TriggersSet { definition, .. } => {
                of.definition = Some(definition.clone());
                of.said = version;
            }
            TriggerFact::TriggerFired {
                trigger,
                dedupe,
                at,
                ..
            } => {
                if let Some(key) = dedupe {
                    let keys = of.deduped.entry(*trigger).or_default();
                    keys.insert(key.clone(), *at);
                }
                let starts = of.starts.entry(*trigger).or_default();
                starts.push_back(*at);
                if starts.len() > STARTS_MAX {
                    starts.pop_front();
                }
            }
            TriggerFact::TriggerSkipped { .. } => {}
        }
    }
}

/// How many of a trigger's facts, from the first on, have no bearing on what happens after `since`: they
/// are older, and the definition that counts is said again behind them.
pub(super) fn outlived(records: &[Record], since: Timestamp) -> usize {
    let old = records.iter().take_while(|r| r.at < since).count();
    let last = old.min(records.len().saturating_sub(1));
    let said = |r: &Record| r.event.starts_with("{\"triggers_set\"");
    let up_to = records.get(..=last).unwrap_or_default();
    up_to.iter().rposition(said).unwrap_or(0)
}

fn stream(workflow: &str) -> StreamName {
    StreamName::new(format!("trigger/{workflow}"))
}

impl Coordinator {
    /// Lets the triggers of this version of a workflow count.
    pub(super) fn set_triggers(&mut self, machine: &Machine, now: Now) {
        let known = self.triggers.workflows.get(machine.name());
        let current = known.and_then(|of| of.definition.as_deref());
        // A workflow that never had a trigger needs no stream.
        if current == Some(machine.hash()) || (current.is_none() && machine.triggers().is_empty()) {
            return;
        }
        let fact = TriggerFact::TriggersSet {
            definition: machine.hash().to_owned(),
            at: now.wall,
        };
        self.note_trigger(machine.name(), &fact);
    }

    fn note_trigger(&mut self, workflow: &str, fact: &TriggerFact) {
        let known = self.triggers.workflows.get(workflow);
        let before = known.map_or(0, |of| of.version);
        self.batch
            .add(stream(workflow), before, std::slice::from_ref(fact));
        self.batch.triggers.insert(workflow.to_owned());
        self.triggers.replay(workflow, before + 1, fact);
    }

    /// Says again which version of a workflow counts, once enough has happened since.
    fn say_again(&mut self, workflow: &str, now: Now) {
        let known = self.triggers.workflows.get(workflow);
        let due = known.filter(|of| of.version >= of.said + SAID_EVERY);
        if let Some(definition) = due.and_then(|of| of.definition.clone()) {
            let at = now.wall;
            self.note_trigger(workflow, &TriggerFact::TriggersSet { definition, at });
        }
    }

    /// Starts the runs that an event is to start, in the batch under way.
    pub(super) fn set_off_triggers(&mut self, name: &str, number: u64, data: &RawJson, now: Now) {
        if self.schedules.asleep {
            return;
        }
        let workflows = self.triggers.workflows.iter();
        let machines =
            workflows.filter_map(|(_, of)| self.definitions.get(of.definition.as_deref()?));
        let machines: Vec<Arc<Machine>> = machines
            .filter(|machine| machine.triggers().iter().any(|t| t.event == name))
            .collect();
        if machines.is_empty() {
            return;
        }
        let data = data.parse();
        for machine in machines {
            for (place, spec) in (0u32..).zip(machine.triggers()) {
                if spec.event == name {
                    self.set_off(&machine, place, spec, (name, number, &data), now);
                }
            }
        }
    }

    fn set_off(
        &mut self,
        machine: &Arc<Machine>,
        place: u32,
        spec: &machine::Trigger,
        (name, number, data): (&str, u64, &Value),
        now: Now,
    ) {
        let trigger = Trigger::Event {
            name: name.to_owned(),
            number,
        };
        let labels = BTreeMap::from([("event".to_owned(), name.to_owned())]);
        let settings = self.settings.bind(machine);
        let none = serde_json::Map::new();
        let scope = StartScope {
            machine,
            run: None,
            inputs: None,
            config: settings.as_ref().unwrap_or(&none),
            labels: &labels,
            trigger: Some(&trigger),
            event: Some((name, data, now.wall)),
            now: now.wall,
        };
        let workflow = machine.name();
        let at = now.wall;
        let prepared = match self.wanted(workflow, place, spec, data, &scope) {
            Ok(None) => return,
            Ok(Some(dedupe)) => fill(machine, &spec.input, &scope).map(|inputs| (inputs, dedupe)),
            Err(reason) => Err(reason),
        };
        let started = prepared.and_then(|(inputs, dedupe)| {
            let new = NewRun {
                machine: Arc::clone(machine),
                inputs,
                config: settings.clone().map_err(|no| no.in_words())?,
                labels: labels.clone(),
                by: format!("event {name}"),
                trigger: Some(trigger.clone()),
            };
            let run = self.fresh_id(now);
            self.begin(&run, new, now).map_err(|no| no.to_string())?;
            Ok((run, dedupe))
        });
        let event = name.to_owned();
        let fact = match started {
            Ok((run, dedupe)) => TriggerFact::TriggerFired {
                trigger: place,
                event,
                number,
                run,
                dedupe,
                at,
            },
            Err(reason) => TriggerFact::TriggerSkipped {
                trigger: place,
                event,
                number,
                reason,
                at,
            },
        };
        self.note_trigger(workflow, &fact);
        self.say_again(workflow, now);
    }

    /// Whether an event is one that the trigger starts a run for, and the key that it must not have
    /// twice; or, in words, why an event that fits starts none.
    fn wanted(
        &mut self,
        workflow: &str,
        place: u32,
        spec: &machine::Trigger,
        data: &Value,
        scope: &StartScope<'_>,
    ) -> Result<Option<Option<String>>, String> {
        for (field, template) in &spec.matching {
            let wanted = template.eval(scope);
            let wanted = wanted.map_err(|error| format!("`match`: {error}"))?;
            if value_at(data, field) != Some(&wanted) {
                return Ok(None);
            }
        }
        if let Some(when) = &spec.when {
            let holds = when.eval_bool(scope);
            if !holds.map_err(|error| format!("`when`: {error}"))? {
                return Ok(None);
            }
        }
        let known = self.triggers.workflows.get_mut(workflow);
        if let Some(keys) = known.and_then(|of| of.deduped.get_mut(&place)) {
            keys.forget(scope.now);
        }
        let of = self.triggers.workflows.get(workflow);
        let dedupe = spec.dedupe_key.as_ref().map(|key| key.eval(scope));
        let dedupe = dedupe.transpose();
        let dedupe = dedupe.map_err(|error| format!("`dedupe_key`: {error}"))?;
        let dedupe = dedupe.map(|key| key.to_string());
        let taken = of.and_then(|of| of.deduped.get(&place));
        if let Some(key) = &dedupe
            && taken.is_some_and(|taken| taken.keys.contains(key))
        {
            return Err(format!("the key {key} has started a run before"));
        }
        if let Some(rate) = spec.rate {
            let starts = of
                .and_then(|of| of.starts.get(&place))
                .into_iter()
                .flatten();
            let recent = starts.filter(|at| scope.now.since(**at) < rate.per);
            if recent.count() >= rate.max as usize {
                let window = rate.per.as_secs();
                return Err(format!("{} starts within {window}s are enough", rate.max));
            }
        }
        Ok(Some(dedupe))
    }

    /// Forgets what was believed about the triggers of a workflow and reads it again.
    pub(super) fn reload_triggers(&mut self, workflow: &str) -> Result<(), Refusal> {
        self.triggers.workflows.remove(workflow);
        for record in self.store.read(&stream(workflow), 1)? {
            self.triggers
                .replay(workflow, record.version, &recovery::decode(&record)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use phisync_state::{Record, Seq, StreamName, Timestamp};

    use super::{DEDUPED_FOR, DEDUPED_MAX, Deduped, outlived};

    #[test]
    fn keys_are_forgotten_when_they_are_old_and_the_oldest_when_they_are_too_many() {
        let at = |number: usize| Timestamp::from_micros(i64::try_from(number).expect("small"));
        let mut keys = Deduped::default();
        for number in 0..=DEDUPED_MAX {
            keys.insert(number.to_string(), at(number));
        }
        assert_eq!(keys.since.len(), DEDUPED_MAX);
        assert_eq!(keys.keys.len(), DEDUPED_MAX);
        assert!(!keys.keys.contains("0") && keys.keys.contains("1"));
        keys.forget(at(10).saturating_add(DEDUPED_FOR));
        assert!(!keys.keys.contains("10") && keys.keys.contains("11"));
        assert_eq!(keys.since.len(), keys.keys.len());
    }

    #[test]
    fn facts_go_when_they_are_old_and_the_definition_is_said_behind_them() {
        let record = |seconds: i64, event: &str| Record {
            seq: Seq(1),
            stream: StreamName::new("trigger/react"),
            version: 1,
            at: Timestamp::from_micros(seconds * 1_000_000),
            event: format!("{{\"{event}\":{{}}}}"),
        };
        let records = [
            record(1, "triggers_set"),
            record(2, "trigger_fired"),
            record(3, "triggers_set"),
            record(4, "trigger_fired"),
            record(5, "triggers_set"),
        ];
        let outlived = |seconds: i64| {
            let since = Timestamp::from_micros(seconds * 1_000_000);
            outlived(&records, since)
        };
        assert_eq!(outlived(1), 0);
        assert_eq!(outlived(2), 0, "what fired then still counts");
        assert_eq!(outlived(3), 2);
        assert_eq!(outlived(4), 2);
        assert_eq!(outlived(100), 4, "the last word stays, however old");
        assert_eq!(super::outlived(&[], Timestamp::from_micros(0)), 0);
    }
}
