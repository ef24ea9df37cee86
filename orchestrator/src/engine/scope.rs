//! What expressions of a run can read.

use phisync_state::Timestamp;
use phisync_workflows::expr::{Expr, Scope, Value};
use phisync_workflows::machine::{OnExpiry, Owner, StepKind, Template};
use serde_json::Value as Json;

use super::pass::{Pass, PassId, Slot};
use super::run::RunState;
use super::step::StepState;
use super::{Delivery, Failure, Moment, RawJson, Source, Trigger};

/// The variables that only some places have.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    /// `result`, in `yield`.
    pub result: Option<&'a RawJson>,
    /// `error`, in `retry.when` and `compensate`.
    pub error: Option<ErrorInScope<'a>>,
    /// `self`, in `compensate`.
    pub itself: Option<&'a StepState>,
    /// `iter`, between two iterations.
    pub iteration: Option<Iteration<'a>>,
    /// `state`, in transitions.
    pub visit: Option<Visit<'a>>,
    /// `event`, of what was heard.
    pub event: Option<&'a Delivery>,
    /// The block whose inner steps are seen, at its end.
    pub block: Option<Slot>,
}

/// One visit of a state.
#[derive(Clone, Copy)]
pub(super) struct Visit<'a> {
    /// Which, from 1.
    pub number: u32,
    /// Since when.
    pub entered_at: Timestamp,
    /// What the activity gave.
    pub output: Option<&'a RawJson>,
}

impl Visit<'_> {
    fn value(self) -> Value {
        let entered_at = Value::timestamp_micros(self.entered_at.as_micros());
        let mut fields = vec![
            ("visits", Value::Int(i64::from(self.number))),
            ("entered_at", entered_at),
        ];
        fields.extend(self.output.map(|output| ("output", raw(output))));
        Value::map(fields)
    }
}

fn heard(event: &Delivery) -> Value {
    let (Source::Event(name) | Source::Signal(name)) = &event.source;
    Value::map([
        ("name", Value::string(name.as_str())),
        ("data", raw(&event.data)),
        ("at", Value::timestamp_micros(event.at.as_micros())),
    ])
}

/// One iteration of a loop.
#[derive(Clone, Copy)]
pub(super) struct Iteration<'a> {
    /// Which, from 1.
    pub round: u32,
    /// How many there may be.
    pub max: u32,
    /// What it got from the one before.
    pub carry: &'a RawJson,
}

impl Iteration<'_> {
    fn value(self) -> Value {
        Value::map([
            ("index", Value::Int(i64::from(self.round))),
            ("is_last", Value::Bool(self.round >= self.max)),
            ("carry", raw(self.carry)),
        ])
    }
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
    /// From where it is looked.
    pass: PassId,
    extra: Extra<'a>,
}

impl<'a> RunScope<'a> {
    /// What a step in `pass` sees.
    pub(super) fn new(run: &'a RunState, moment: Moment, pass: PassId) -> Self {
        Self {
            run,
            moment,
            pass,
            extra: Extra::default(),
        }
    }

    /// The same, and what only this place has.
    pub(super) fn with(self, extra: Extra<'a>) -> Self {
        Self { extra, ..self }
    }

    /// Whether a condition is true.
    pub(super) fn holds(&self, condition: &Expr) -> Result<bool, Failure> {
        let holds = condition.eval_bool(self);
        holds.map_err(|error| Failure::new("expr", error.to_string()))
    }

    /// The value of a bare expression.
    pub(super) fn json(&self, expr: &Expr) -> Result<Json, Failure> {
        let value = expr.eval(self).and_then(Value::into_json);
        value.map_err(|error| Failure::new("expr", error.to_string()))
    }

    /// A name that a body around gives: an item and its place, the iteration, the error that is
    /// handled.
    fn given(&self, name: &str) -> Option<Value> {
        let mut at = Some(self.pass);
        while let Some(pass) = at.map(|id| self.run.pass(id)) {
            if let Some(value) = self.given_by(pass, name) {
                return Some(value);
            }
            at = pass.outer;
        }
        None
    }

    fn given_by(&self, pass: &Pass, name: &str) -> Option<Value> {
        let Some(slot) = pass.owner else {
            let handler = self.run.machine.on_failure();
            let handles = handler.is_some_and(|handler| handler.body == pass.body);
            return self
                .run
                .error
                .as_ref()
                .filter(|_| handles && name == "error")
                .map(|failure| {
                    let step = self.run.failed_step.as_deref();
                    ErrorInScope {
                        failure,
                        attempt: 1,
                        step,
                    }
                    .value()
                });
        };
        let step = self.run.step(slot);
        let spec = self.run.spec(slot);
        if self.run.machine.body(pass.body).owner == Owner::Undo(step.spec) {
            return match name {
                "self" => Some(itself(step)),
                "error" => Some(self.run.undo_cause(slot).in_scope().value()),
                _ => None,
            };
        }
        match &spec.kind {
            _ if name == "error" => self.handled(slot, pass),
            StepKind::Foreach(each) if each.body == pass.body => {
                let place = pass.round?;
                if name == each.index_as {
                    return Some(Value::Int(i64::from(place)));
                }
                let many = step.block.as_ref()?.many()?;
                let item = many
                    .items
                    .get(place as usize)
                    .filter(|_| name == each.as_name);
                item.map(raw)
            }
            StepKind::Loop(spec) if spec.body == pass.body && name == "iter" => {
                let iteration = Iteration {
                    round: pass.round?,
                    max: spec.max,
                    carry: pass.carry.as_ref()?,
                };
                Some(iteration.value())
            }
            _ => None,
        }
    }

    /// The error that a pass through a handler handles.
    fn handled(&self, slot: Slot, pass: &Pass) -> Option<Value> {
        let step = self.run.step(slot);
        let handler = step.handler.map(|id| self.run.pass(id));
        let name = self.run.name(slot);
        let attempt = step.task.as_ref().map_or(1, |task| task.attempt.max(1));
        if handler.is_some_and(|handler| handler.first == pass.first && handler.body == pass.body) {
            let failure = step.error.as_ref()?;
            let step = Some(name.as_str());
            return Some(
                ErrorInScope {
                    failure,
                    attempt,
                    step,
                }
                .value(),
            );
        }
        let StepKind::Try(spec) = &self.run.spec(slot).kind else {
            return None;
        };
        spec.catch.iter().find(|catch| catch.body == pass.body)?;
        let rounds = self.run.rounds_below(Some(slot), None);
        let tried = self.run.pass(self.run.last_pass(spec.body, &rounds)?);
        let (at, failure) = tried.error.as_ref()?;
        let at = at.map(|slot| self.run.name(slot));
        let step = at.as_deref();
        Some(
            ErrorInScope {
                failure,
                attempt,
                step,
            }
            .value(),
        )
    }

    /// Evaluates the entries of an `input:` or `outputs:` into one JSON object.
    pub(super) fn object(&self, entries: &[(String, Template)]) -> Result<RawJson, Failure> {
        let mut object = serde_json::Map::new();
        for (name, template) in entries {
            object.insert(name.clone(), self.value(template)?);
        }
        Ok(RawJson::from_value(&Json::Object(object)))
    }

    /// Evaluates entries one by one.
    pub(super) fn entries(
        &self,
        entries: &[(String, Template)],
    ) -> Result<Vec<(String, Json)>, Failure> {
        let entries = entries.iter();
        let entries = entries.map(|(name, template)| Ok((name.clone(), self.value(template)?)));
        entries.collect()
    }

    /// Evaluates values one by one.
    pub(super) fn list(&self, templates: &[Template]) -> Result<Vec<RawJson>, Failure> {
        let values = templates.iter().map(|template| self.value(template));
        values.map(|v| Ok(RawJson::from_value(&v?))).collect()
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

/// A block without a last step, and a wait that may end by itself and heard nothing, have succeeded
/// without an output.
fn has_output(run: &RunState, slot: Slot) -> bool {
    let (step, spec) = (run.step(slot), run.spec(slot));
    let may_lack = match &spec.kind {
        StepKind::WaitFor(wait) => wait.on_timeout == OnExpiry::Continue,
        kind => kind.is_block(),
    };
    let null = step
        .output
        .as_ref()
        .is_some_and(|output| output.text() == "null");
    !(null && may_lack && spec.yields.is_none())
}

/// `self`: the step that is undone.
fn itself(step: &StepState) -> Value {
    let mut fields = Vec::new();
    let task = step.task.as_ref().map(|task| &task.input);
    if let Some(input) = task.or_else(|| step.block.as_ref()?.called_with()) {
        fields.push(("input", raw(input)));
    }
    // Absent for a step that ended by silence: there as an empty optional, so that
    // `self.output.?x.orValue(...)` has a value then, too.
    let output = step.output.as_ref();
    let output = output.map_or(Value::Optional(None), raw);
    fields.push(("output", output));
    Value::map(fields)
}

/// Values that are read by name.
fn named(values: &serde_json::Map<String, Json>) -> Value {
    let values = values.iter();
    Value::map(values.map(|(name, value)| (name.as_str(), Value::from_json(value))))
}

fn raw(value: &RawJson) -> Value {
    Value::from_json(&value.parse())
}

impl Scope for RunScope<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        match name {
            "inputs" => Some(named(&self.run.inputs)),
            "config" => Some(named(&self.run.config)),
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
            "vars" => Some(named(&self.run.vars)),
            "state" => self.extra.visit.map(Visit::value),
            "event" => self.extra.event.map(heard),
            "iter" if self.extra.iteration.is_some() => self.extra.iteration.map(Iteration::value),
            "error" if self.extra.error.is_some() => self.extra.error.map(ErrorInScope::value),
            "self" if self.extra.itself.is_some() => self.extra.itself.map(itself),
            name => self.given(name),
        }
    }

    fn step(&self, id: &str) -> Option<Value> {
        let step = self.run.machine.step_named(id)?;
        let slot = self.run.seen_from(self.pass, self.extra.block, step)?;
        let step = self.run.step(slot);
        let mut fields = Vec::new();
        // Only who did not wait for it sees it open: a step behind a join other than `all`.
        let outcome = step.outcome_word().unwrap_or("open");
        fields.push(("outcome", Value::string(outcome)));
        if let Some(output) = step.output.as_ref().filter(|_| has_output(self.run, slot)) {
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
