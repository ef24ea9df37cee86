//! Schedules: list, show, pause, resume, set off by hand, make up for the past.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_state::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::identity::Caller;
use crate::protocol::{BackfillRequest, PauseRequest, ResumeRequest, ScheduleDetail, ScheduleList};
use crate::schedule::ScheduleInput;

use super::App;
use super::body::{Answer, Body};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::roles::Operator;

/// At most so many coming instants in one answer.
const NEXT_MAX: usize = 1000;

/// A workflow and the id of one of its schedules.
type Name = (String, String);

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<ScheduleList>, Problem> {
    let list = app.answer(|c, now| {
        let schedules = c.schedules(now);
        Ok(ScheduleList { schedules })
    });
    list.await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// How many coming instants to tell, at most 1000.
    next: Option<usize>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path((workflow, id)): Path<Name>,
    Query(query): Query<ShowQuery>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let count = query.next.unwrap_or(0).min(NEXT_MAX);
    let show = app.answer(move |c, now| c.schedule((&workflow, &id), count, now));
    show.await
}

/// Does to a schedule what `input` says once it is told by whom.
async fn control(
    app: &App,
    caller: &Caller,
    (workflow, id): Name,
    input: impl FnOnce(String) -> ScheduleInput,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let input = input(caller.display().to_owned());
    let control = app.answer(move |c, now| c.control_schedule((&workflow, &id), &input, now));
    control.await
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<Name>,
    Body(PauseRequest { reason }): Body<PauseRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let pause = |by| ScheduleInput::Pause { by, reason };
    control(&app, &caller, name, pause).await
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<Name>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    control(&app, &caller, name, |by| ScheduleInput::Resume { by }).await
}

pub(super) async fn trigger(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<Name>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    control(&app, &caller, name, |by| ScheduleInput::Trigger { by }).await
}

pub(super) async fn backfill(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<Name>,
    Body(request): Body<BackfillRequest>,
) -> Result<Answer<ScheduleDetail>, Problem> {
    let (from, until) = (instant(&request.from)?, instant(&request.to)?);
    let backfill = |by| ScheduleInput::Backfill { from, until, by };
    control(&app, &caller, name, backfill).await
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
