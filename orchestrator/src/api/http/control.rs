//! What people do to a run that exists: pause, resume, signal, start again from it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::coordinator::Cut;
use crate::engine::RawJson;
use crate::identity::Caller;
use crate::protocol::{
    ForkRequest, PauseRequest, ResumeRequest, RetryRequest, SignalRequest, Standing, Started,
};

use super::App;
use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<PauseRequest>,
) -> Result<Answer<Standing>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let (standing, head) = app
        .handle
        .call(move |c, now| {
            let run = c.resolve_run(&id)?;
            c.pause(&run, &by, request.reason.as_deref(), now)
        })
        .await?;
    Ok(Answer::ok(standing, head))
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<Standing>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let (standing, head) = app
        .handle
        .call(move |c, now| {
            let run = c.resolve_run(&id)?;
            c.resume_run(&run, &by, now)
        })
        .await?;
    Ok(Answer::ok(standing, head))
}

pub(super) async fn signal(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<SignalRequest>,
) -> Result<Answer<Standing>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let data = request.data.map(RawJson::from);
    let data = data.unwrap_or_else(|| RawJson::from_value(&serde_json::Value::Null));
    let (standing, head) = app
        .handle
        .call(move |c, now| {
            let run = c.resolve_run(&id)?;
            c.signal(&run, &request.name, &data, &by, now)
        })
        .await?;
    Ok(Answer::ok(standing, head))
}

pub(super) async fn retry(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<RetryRequest>,
) -> Result<Answer<Started>, Problem> {
    caller.operator()?;
    let cut = Cut::From(request.from);
    start_from(&app, &caller, id, cut, request.id, request.confirm).await
}

pub(super) async fn fork(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<ForkRequest>,
) -> Result<Answer<Started>, Problem> {
    caller.operator()?;
    let cut = Cut::At(request.at);
    start_from(&app, &caller, id, cut, request.id, request.confirm).await
}

async fn start_from(
    app: &App,
    caller: &Caller,
    source: String,
    cut: Cut,
    id: Option<String>,
    confirm: bool,
) -> Result<Answer<Started>, Problem> {
    let by = caller.display().to_owned();
    let (body, head) = app
        .handle
        .call(move |c, now| {
            let source = c.resolve_run(&source)?;
            c.start_from(&source, &cut, id.as_deref(), (&by, confirm), now)
        })
        .await?;
    let status = StatusCode::CREATED;
    Ok(Answer { status, head, body })
}
