//! What people do to a run that exists: cancel, pause, resume, signal, start again from it.

use std::sync::Arc;

use axum::extract::State;

use crate::coordinator::Cut;
use crate::identity::Caller;
use crate::protocol::{
    CancelRequest, ForkRequest, PauseRequest, ResumeRequest, RetryRequest, SignalRequest, Standing,
    Started,
};

use super::App;
use super::body::{Answer, Body, data_of};
use super::extract::Path;
use super::problem::Problem;
use super::roles::Operator;

pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<CancelRequest>,
) -> Result<Answer<Started>, Problem> {
    let cancel = app.on_run(id, move |c, run, now| {
        c.cancel(run, caller.display(), request.reason.as_deref(), now)
    });
    cancel.await
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<PauseRequest>,
) -> Result<Answer<Standing>, Problem> {
    let pause = app.on_run(id, move |c, run, now| {
        c.pause(run, caller.display(), request.reason.as_deref(), now)
    });
    pause.await
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(ResumeRequest {}): Body<ResumeRequest>,
) -> Result<Answer<Standing>, Problem> {
    let resume = app.on_run(id, move |c, run, now| {
        c.resume_run(run, caller.display(), now)
    });
    resume.await
}

pub(super) async fn signal(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<SignalRequest>,
) -> Result<Answer<Standing>, Problem> {
    let data = data_of(request.data);
    let signal = app.on_run(id, move |c, run, now| {
        c.signal(run, &request.name, &data, caller.display(), now)
    });
    signal.await
}

pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<RetryRequest>,
) -> Result<Answer<Started>, Problem> {
    let cut = Cut::From(request.from);
    start_from(&app, caller, id, cut, request.id, request.confirm).await
}

pub(super) async fn fork(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<ForkRequest>,
) -> Result<Answer<Started>, Problem> {
    let cut = Cut::At(request.at);
    start_from(&app, caller, id, cut, request.id, request.confirm).await
}

async fn start_from(
    app: &App,
    caller: Caller,
    source: String,
    cut: Cut,
    id: Option<String>,
    confirm: bool,
) -> Result<Answer<Started>, Problem> {
    let started = app.on_run(source, move |c, source, now| {
        c.start_from(
            source,
            &cut,
            id.as_deref(),
            (caller.display(), confirm),
            now,
        )
    });
    Ok(started.await?.created())
}
