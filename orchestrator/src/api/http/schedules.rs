//! Schedules: list, show, pause, resume, set off by hand, make up for the past.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_state::Timestamp;
use serde::Deserialize;

use crate::identity::Caller;
use crate::protocol::{BackfillRequest, PauseRequest, ResumeRequest, ScheduleDetail, ScheduleList};
use crate::schedule::ScheduleInput;

use super::App;
use super::body::{Answer, Body};
use super::extract::{Path, Query};
use super::problem::Problem;

/// At most so many coming instants in one answer.
const NEXT_MAX: usize = 1000;

/// A workflow and the id of one of its schedules.
type Name = (String, String);

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<ScheduleList>, Problem> {
    let (schedules, head) = app.handle.call(|c, now| Ok(c.schedules(now))).await?;
    Ok(Answer::ok(ScheduleList { schedules }, head))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// How many coming instants to tell.
    next: Option<usize>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path((workflow, id)): Path<Name>,
    Query(query): Query<ShowQuery>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let count = query.next.unwrap_or(0).min(NEXT_MAX);
    let (detail, head) = app
        .handle
        .call(move |c, now| c.schedule((&workflow, &id), count, now))
        .await?;
    Ok(Answer::ok(detail, head))
}

async fn control(
    app: &App,
    (workflow, id): Name,
    input: ScheduleInput,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let (detail, head) = app
        .handle
        .call(move |c, now| c.control_schedule((&workflow, &id), &input, now))
        .await?;
    Ok(Answer::ok(detail, head))
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<Name>,
    Body(request): Body<PauseRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let reason = request.reason;
    control(&app, name, ScheduleInput::Pause { by, reason }).await
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<Name>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    control(&app, name, ScheduleInput::Resume { by }).await
}

pub(super) async fn trigger(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<Name>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    control(&app, name, ScheduleInput::Trigger { by }).await
}

pub(super) async fn backfill(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<Name>,
    Body(request): Body<BackfillRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let (from, until) = (instant(&request.from)?, instant(&request.to)?);
    control(&app, name, ScheduleInput::Backfill { from, until, by }).await
}

fn instant(text: &str) -> Result<Timestamp, Problem> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    let parsed = parsed.map(|at| Timestamp::from_micros(at.timestamp_micros()));
    parsed.map_err(|_| {
        let detail =
            format!("`{text}` is not a timestamp of RFC 3339, such as 2026-11-22T09:30:00Z");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", detail)
    })
}
