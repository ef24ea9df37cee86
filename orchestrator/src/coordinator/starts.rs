//! How a run begins, whoever makes it: a caller, a schedule, an event. The one place that names runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync_state::Timestamp;
use phisync_workflows::Machine;
use phisync_workflows::expr::{Scope, Value};
use phisync_workflows::machine::Template;
use phisync_workflows::schema::Violation;
use serde_json::{Map, Value as Json};

use crate::engine::{self, RunId, Start, Trigger};

use super::slots::Admission;
use super::{Coordinator, Now, OpenRun, Refusal};

/// A run that is about to begin, its inputs checked.
#[derive(Clone, Debug)]
pub(super) struct NewRun {
    /// What it runs.
    pub machine: Arc<Machine>,
    /// Checked inputs, defaults filled in.
    pub inputs: Map<String, Json>,
    /// The settings that it has from the beginning to the end.
    pub config: Map<String, Json>,
    /// For searching; those of the workflow are added.
    pub labels: BTreeMap<String, String>,
    /// Who asks for it.
    pub by: String,
    /// What makes it start; `None`: the one who asks.
    pub trigger: Option<Trigger>,
}

impl Coordinator {
    /// Begins a run in the batch under way. The name must be free.
    ///
    /// # Errors
    /// As [`Self::admission`]; then nothing has happened.
    pub(super) fn begin(&mut self, run: &RunId, new: NewRun, now: Now) -> Result<(), Refusal> {
        let admission = self.admission(&new, now)?;
        let mut labels = workflow_labels(run, &new, now.wall);
        labels.extend(new.labels);
        let start = Start {
            run: run.clone(),
            inputs: new.inputs,
            config: new.config,
            labels,
            by: new.by,
            trigger: new.trigger,
            held: matches!(admission, Admission::Later { .. }),
        };
        let moment = self.moment(now);
        let (state, decision) = engine::start(new.machine, start, moment);
        self.enter(&state);
        self.open.insert(run.clone(), OpenRun { state, due: None });
        self.join_key(run, &admission, now);
        self.record(run, 0, &decision.events, now);
        self.make_room(run, admission, now);
        Ok(())
    }

    /// Whether a run of this name is or was there, as far as is remembered.
    pub(super) fn is_taken(&self, run: &RunId) -> bool {
        self.open.contains_key(run) || self.closed.is_taken(run)
    }

    /// A name that sorts by time: milliseconds and 20 random bits in base 32 (without i, l, o, u).
    pub(super) fn fresh_id(&mut self, now: Now) -> RunId {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        loop {
            let millis = u64::try_from(now.wall.as_micros() / 1000).unwrap_or(0);
            let mut rest = (millis << 20) | (self.entropy.next_u64() & 0xf_ffff);
            let mut text = Vec::with_capacity(13);
            while rest > 0 {
                text.push(char::from(DIGITS[usize::from((rest & 31) as u8)]));
                rest >>= 5;
            }
            let text: String = text.into_iter().rev().collect();
            if let Some(id) = RunId::parse(&format!("r{text}"))
                && !self.is_taken(&id)
            {
                return id;
            }
        }
    }
}

/// What a deployment sets for its workflows, by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(pub BTreeMap<String, Map<String, Json>>);

impl Settings {
    /// What a run of `machine` reads as `config`: the deployment's settings, checked, and defaults.
    pub(super) fn bind(&self, machine: &Machine) -> Result<Map<String, Json>, Refusal> {
        let none = Map::new();
        let given = self.0.get(machine.name()).unwrap_or(&none);
        machine
            .bind_config(given)
            .map_err(|violations| Refusal::BadSettings {
                workflow: machine.name().to_owned(),
                violations,
            })
    }
}

/// Checks the inputs of a run of `machine` and fills in defaults.
pub(super) fn bind(
    machine: &Machine,
    inputs: &Map<String, Json>,
) -> Result<Map<String, Json>, Refusal> {
    machine
        .bind_inputs(inputs)
        .map_err(|violations| Refusal::BadInputs {
            workflow: machine.name().to_owned(),
            violations,
        })
}

/// The inputs that a schedule or a trigger gives to a run, filled from `scope` and checked; or, in
/// words, why they do not fit.
pub(super) fn fill(
    machine: &Machine,
    entries: &[(String, Template)],
    scope: &dyn Scope,
) -> Result<Map<String, Json>, String> {
    let mut inputs = Map::new();
    for (name, template) in entries {
        let value = template.eval(scope);
        let value = value.map_err(|error| format!("`{name}`: {error}"))?;
        inputs.insert(name.clone(), value);
    }
    let bound = machine.bind_inputs(&inputs);
    bound.map_err(|violations| {
        let line = |v: &Violation| format!("{}: {}", v.path, v.message);
        let lines: Vec<_> = violations.iter().map(line).collect();
        lines.join("; ")
    })
}

/// The workflow's own labels; one that cannot be evaluated is left out.
fn workflow_labels(run: &RunId, new: &NewRun, now: Timestamp) -> BTreeMap<String, String> {
    let scope = StartScope {
        machine: &new.machine,
        run: Some(run),
        inputs: Some(&new.inputs),
        config: &new.config,
        labels: &new.labels,
        trigger: new.trigger.as_ref(),
        event: None,
        now,
    };
    let labels =
        new.machine
            .labels()
            .iter()
            .filter_map(|(name, template)| match template.eval(&scope) {
                Ok(Json::String(text)) => Some((name.clone(), text)),
                Ok(other) => Some((name.clone(), other.to_string())),
                Err(error) => {
                    tracing::warn!(%run, label = name, %error, "a label cannot be evaluated");
                    None
                }
            });
    labels.collect()
}

fn named(values: &Map<String, Json>) -> Value {
    let values = values.iter();
    Value::map(values.map(|(k, v)| (k.as_str(), Value::from_json(v))))
}

/// What expressions read before a run has any state.
pub(super) struct StartScope<'a> {
    pub machine: &'a Machine,
    pub run: Option<&'a RunId>,
    pub inputs: Option<&'a Map<String, Json>>,
    pub config: &'a Map<String, Json>,
    pub labels: &'a BTreeMap<String, String>,
    pub trigger: Option<&'a Trigger>,
    /// Name, data and time of the event.
    pub event: Option<(&'a str, &'a Json, Timestamp)>,
    pub now: Timestamp,
}

impl Scope for StartScope<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        let now = || Value::timestamp_micros(self.now.as_micros());
        match name {
            "run" => {
                let labels = self.labels.iter();
                let labels = labels.map(|(k, v)| (k.as_str(), Value::string(v.as_str())));
                let mut fields = vec![
                    ("workflow", Value::string(self.machine.name())),
                    ("version", Value::string(self.machine.version())),
                    ("started_at", now()),
                    ("now", now()),
                    ("attempt", Value::Int(1)),
                    (
                        "trigger",
                        Value::string(self.trigger.map_or("manual", Trigger::word)),
                    ),
                    ("labels", Value::map(labels)),
                ];
                fields.extend(self.run.map(|run| ("id", Value::string(run.as_str()))));
                Some(Value::map(fields))
            }
            "inputs" => self.inputs.map(named),
            "config" => Some(named(self.config)),
            "event" => self.event.map(|(name, data, at)| {
                Value::map([
                    ("name", Value::string(name)),
                    ("data", Value::from_json(data)),
                    ("at", Value::timestamp_micros(at.as_micros())),
                ])
            }),
            _ => None,
        }
    }

    fn step(&self, _: &str) -> Option<Value> {
        None
    }
}
