//! Runs: start, list, show, follow, wait, why.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_state::Record;
use phisync_workflows::Machine;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::coordinator::{
    BusinessKey, Call, Order, Refusal, Target, body_hash, started_of, why_closed,
};
use crate::engine::{RunEvent, RunId, RunState, apply_traced};
use crate::identity::Caller;
use crate::protocol::{EventList, EventRecord, StartRequest, Started, Why, WorkflowDetail};
use crate::runtime::Until;

use super::App;
use super::body::{Answer, Body};
use super::extract::{IdempotencyKey, Path, Query};
use super::past::{closed, machine_of, records_of, resolve};
use super::problem::Problem;
use super::roles::Operator;
use super::workflows::compile_one;

/// No request waits longer.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A wait in seconds from a request, bounded; nonsense is no wait.
pub(super) fn bounded_wait(seconds: Option<f64>) -> Duration {
    let seconds = seconds.filter(|s| s.is_finite() && *s > 0.0);
    Duration::from_secs_f64(seconds.unwrap_or(0.0).min(WAIT_MAX.as_secs_f64()))
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Body(request): Body<StartRequest>,
) -> Result<Answer<Started>, Problem> {
    let call = idempotency_key.map(|key| Call {
        key: (caller.display().to_owned(), key),
        body: body_hash(&asked_for(&request)),
    });
    let target = match (&request.workflow, &request.definition) {
        (Some(name), None) => Target::Named(name.clone()),
        (None, Some(text)) => Target::Compiled(compile_one(&app, "<definition>", text).await?),
        _ => {
            let detail = "give either `workflow` or `definition`";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "bad_request", detail));
        }
    };
    let wait = bounded_wait(request.wait_s);
    let order = Order {
        target,
        id: request.id,
        inputs: request.inputs,
        labels: request.labels,
        by: caller.display().to_owned(),
        key: request.key.map(|key| BusinessKey {
            key,
            on_open: request.on_open.unwrap_or_default(),
            on_closed: request.on_closed.unwrap_or_default(),
        }),
        call,
    };
    let (body, head) = app
        .handle
        .outcome(wait, move |c, now| c.start_order(&order, now))
        .await?;
    let status = if body.attached {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(Answer { status, head, body })
}

/// What a start asks for, in one form: how long the caller waits for the outcome is no part of it.
fn asked_for(request: &StartRequest) -> String {
    let request = StartRequest {
        wait_s: None,
        ..request.clone()
    };
    serde_json::to_string(&request).expect("what was read as JSON prints as JSON")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Events after this version.
    #[serde(default)]
    from: u64,
    /// Wait so many seconds for the next one.
    wait_s: Option<f64>,
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<EventsQuery>,
) -> Result<Answer<EventList>, Problem> {
    let run = resolve(&app, &id).await?;
    let wait = bounded_wait(query.wait_s);
    if !wait.is_zero() {
        let more = app.handle.watch(run.clone(), Until::After(query.from));
        if let Ok(Err(refusal)) = tokio::time::timeout(wait, more).await {
            return Err(refusal.into());
        }
    }
    let of = run.clone();
    let (progress, head) = app.handle.call(move |c, _| Ok(c.progress(&of))).await?;
    let closed = progress.is_some_and(|(_, closed)| closed);
    let records = records_of(&app, &run).await?;
    let first = records.first().ok_or_else(|| Refusal::NotFound {
        what: "run",
        id: run.to_string(),
    })?;
    let machine = machine_of(&app, &run, first).await?;
    let events = trace(machine, &run, &records, query.from)?;
    let next = events.last().map_or(query.from, |event| event.version);
    let list = EventList {
        // More may have come since the state was asked for; then the next call says closed.
        closed: closed && records.last().is_none_or(|last| last.version == next),
        next,
        events,
    };
    Ok(Answer::ok(list, head))
}

/// Replays a run to tell what each event changed.
fn trace(
    machine: Arc<Machine>,
    run: &RunId,
    records: &[Record],
    from: u64,
) -> Result<Vec<EventRecord>, Problem> {
    let mut state = RunState::new(machine, run.clone());
    let mut events = Vec::new();
    for record in records {
        let unreadable = |error: serde_json::Error| {
            let detail = format!("record {} is not an event: {error}", record.seq.0);
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
        };
        let event: RunEvent = serde_json::from_str(&record.event).map_err(unreadable)?;
        let transitions = apply_traced(&mut state, &event);
        if record.version <= from {
            continue;
        }
        let line =
            |t: &crate::engine::Transition| t.line(record.seq.0, record.at, state.started_at);
        events.push(EventRecord {
            seq: record.seq.0,
            version: record.version,
            at: record.at.to_string(),
            log: transitions.iter().map(line).collect(),
            event: RawValue::from_string(record.event.clone()).map_err(unreadable)?,
        });
    }
    Ok(events)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    /// For what: only `closed`.
    #[schemars(extend("enum" = ["closed"]))]
    r#for: Option<String>,
    /// At most so many seconds, 60 without it.
    timeout_s: Option<f64>,
}

pub(super) async fn wait(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Answer<Started>, Problem> {
    if let Some(other) = query.r#for.filter(|word| word != "closed") {
        let detail = format!("a wait is for `closed`, not for `{other}`");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "bad_request", detail));
    }
    let seconds = query.timeout_s.or(Some(WAIT_MAX.as_secs_f64()));
    let run = resolve(&app, &id).await?;
    if let Some((closed, head)) = closed(&app, &run).await? {
        return Ok(Answer::ok(started_of(&closed), head));
    }
    let (body, head) = app
        .handle
        .outcome(bounded_wait(seconds), move |c, _| c.outcome(&run))
        .await?;
    Ok(Answer::ok(body, head))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyQuery {
    /// Of this step alone.
    step: Option<String>,
}

pub(super) async fn why(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<WhyQuery>,
) -> Result<Answer<Why>, Problem> {
    let run = resolve(&app, &id).await?;
    let step = query.step;
    if let Some((closed, head)) = closed(&app, &run).await? {
        return Ok(Answer::ok(why_closed(&closed, step.as_deref())?, head));
    }
    let why = app.answer(move |c, now| c.why(&run, step.as_deref(), now));
    why.await
}

/// The version of its workflow that a run is pinned to, whatever is registered by now.
pub(super) async fn workflow(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<WorkflowDetail>, Problem> {
    let run = resolve(&app, &id).await?;
    let records = records_of(&app, &run).await?;
    let first = records.first().ok_or_else(|| Refusal::NotFound {
        what: "run",
        id: run.to_string(),
    })?;
    let machine = machine_of(&app, &run, first).await?;
    let answer = app.answer(move |c, _| Ok(WorkflowDetail::of(&machine, c.calls_of(&machine))));
    answer.await
}
