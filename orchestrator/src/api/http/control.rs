//! What people do to a run that exists: pause, resume, signal.

use std::sync::Arc;

use axum::extract::State;

use crate::engine::RawJson;
use crate::identity::Caller;
use crate::protocol::{PauseRequest, ResumeRequest, SignalRequest, Standing};

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
