//! What expressions of a run can read.

use phisync_workflows::expr::{Scope, Value};
use phisync_workflows::machine::Template;
use serde_json::Value as Json;

use super::pass::PassId;
use super::run::RunState;
use super::step::StepState;
use super::{Failure, Moment, RawJson, Trigger};

/// The variables that only some places have.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    /// `result`, in `yield`.
    pub result: Option<&'a RawJson>,
    /// `error`, in `retry.when` and `compensate`.
    pub error: Option<ErrorInScope<'a>>,
    /// `self`, in `compensate`.
    pub itself: Option<&'a StepState>,
}

/// An error, and where it happened.
#[derive(Clone, Copy)]
pub(super) struct ErrorInScope<'a> {
    pub failure: &'a Failure,
    /// Which attempt it ended, from 1.
    pub attempt: u32,
    /// In which step; a run can fail at none.
    pub step: Option<&'a str>,
}

impl ErrorInScope<'_> {
    fn value(self) -> Value {
        let failure = self.failure;
        let mut fields = vec![
            ("code", Value::string(failure.code.as_str())),
            ("message", Value::string(failure.message.as_str())),
            ("data", failure.data.as_ref().map_or(Value::Null, raw)),
            ("attempt", Value::Int(i64::from(self.attempt))),
        ];
        fields.extend(self.step.map(|step| ("step", Value::string(step))));
        Value::map(fields)
    }
}

pub(super) struct RunScope<'a> {
    run: &'a RunState,
    moment: Moment,
    extra: Extra<'a>,
}

impl<'a> RunScope<'a> {
    pub(super) fn new(run: &'a RunState, moment: Moment) -> Self {
        Self::with(run, moment, Extra::default())
    }

    pub(super) fn with(run: &'a RunState, moment: Moment, extra: Extra<'a>) -> Self {
        Self { run, moment, extra }
    }

    /// Evaluates the entries of an `input:` or `outputs:` into one JSON object.
    pub(super) fn object(&self, entries: &[(String, Template)]) -> Result<RawJson, Failure> {
        let mut object = serde_json::Map::new();
        for (name, template) in entries {
            object.insert(name.clone(), self.value(template)?);
        }
        Ok(RawJson::from_value(&Json::Object(object)))
    }

    pub(super) fn value(&self, template: &Template) -> Result<Json, Failure> {
        template
            .eval(self)
            .map_err(|error| Failure::new("expr", error.to_string()))
    }

    /// Evaluates a text; a result that is not text is printed as JSON.
    pub(super) fn text(&self, template: &Template) -> Result<String, Failure> {
        Ok(match self.value(template)? {
            Json::String(text) => text,
            other => other.to_string(),
        })
    }
}

fn raw(value: &RawJson) -> Value {
    Value::from_json(&value.parse())
}

impl Scope for RunScope<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        match name {
            "inputs" => {
                Some(Value::map(self.run.inputs.iter().map(|(name, value)| {
                    (name.as_str(), Value::from_json(value))
                })))
            }
            "run" => {
                let labels = self.run.labels.iter();
                Some(Value::map([
                    ("id", Value::string(self.run.id.as_str())),
                    ("workflow", Value::string(self.run.machine.name())),
                    ("version", Value::string(self.run.machine.version())),
                    (
                        "started_at",
                        Value::timestamp_micros(self.run.started_at.as_micros()),
                    ),
                    ("now", Value::timestamp_micros(self.moment.now.as_micros())),
                    ("attempt", Value::Int(1)),
                    (
                        "trigger",
                        Value::string(self.run.trigger.as_ref().map_or("manual", Trigger::word)),
                    ),
                    (
                        "labels",
                        Value::map(labels.map(|(k, v)| (k.as_str(), Value::string(v.as_str())))),
                    ),
                ]))
            }
            "result" => self.extra.result.map(raw),
            "error" => self.extra.error.map(ErrorInScope::value),
            "self" => self.extra.itself.map(|step| {
                let mut fields = Vec::new();
                if let Some(task) = &step.task {
                    fields.push(("input", raw(&task.input)));
                }
                // Absent for a step that ended by silence: there as an empty optional, so that
                // `self.output.?x.orValue(...)` has a value then, too.
                let output = step.output.as_ref();
                let output = output.map_or(Value::Optional(None), raw);
                fields.push(("output", output));
                Value::map(fields)
            }),
            _ => None,
        }
    }

    fn step(&self, id: &str) -> Option<Value> {
        let step = self.run.machine.step_named(id)?;
        let step = self.run.step(self.run.seen_from(PassId::MAIN, step)?);
        let mut fields = Vec::new();
        if let Some(word) = step.outcome_word() {
            fields.push(("outcome", Value::string(word)));
        }
        if let Some(output) = &step.output {
            fields.push(("output", raw(output)));
        }
        if let Some(failure) = &step.error {
            let error = ErrorInScope {
                failure,
                attempt: step.task.as_ref().map_or(1, |task| task.attempt.max(1)),
                step: Some(id),
            };
            fields.push(("error", error.value()));
        }
        if let Some(task) = &step.task {
            fields.push(("attempts", Value::Int(i64::from(task.attempt))));
            if let Some(agent) = &task.last_agent {
                fields.push(("agent", Value::string(agent.as_str())));
            }
        }
        if let Some(at) = step.started_at {
            fields.push(("started_at", Value::timestamp_micros(at.as_micros())));
        }
        if let Some(at) = step.ended_at {
            fields.push(("ended_at", Value::timestamp_micros(at.as_micros())));
        }
        Some(Value::map(fields))
    }
}
