//! What agents call.

use std::sync::Arc;

use axum::extract::State;
use phisync_agents::protocol::{
    AskRequest, AskResponse, FailRequest, HeartbeatRequest, HeartbeatResponse, PollRequest,
    PollResponse, ReleaseRequest, SeqResponse,
};

use crate::coordinator::Coordinator;
use crate::engine::{Failure, RawJson};
use crate::identity::Caller;
use crate::protocol::TaskDetail;

use super::App;
use super::body::{Answer, Body, Maybe, NoContent};
use super::extract::Path;
use super::problem::Problem;
use super::roles::AsAgent;
use super::runs::bounded_wait;

pub(super) async fn poll(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Body(request): Body<PollRequest>,
) -> Result<Maybe<PollResponse>, Problem> {
    let wait = bounded_wait(request.wait_s);
    let max = request.max.unwrap_or(1);
    let polled = app.handle.poll(agent, request.capabilities, max, wait);
    let (tasks, head) = polled.await?;
    if tasks.is_empty() {
        return Ok(Maybe::None(NoContent(head)));
    }
    Ok(Maybe::Some(Answer::ok(PollResponse { tasks }, head)))
}

pub(super) async fn heartbeat(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Path(id): Path<String>,
    Body(request): Body<HeartbeatRequest>,
) -> Result<Answer<HeartbeatResponse>, Problem> {
    let progress = request.progress.as_ref().map(RawJson::from_value);
    let lent = app.lent_for(&id).await?;
    let heartbeat = app.answer(lent.to(move |c: &mut Coordinator, now| {
        c.heartbeat(&agent, &id, request.token, progress.as_ref(), now)
    }));
    heartbeat.await
}

pub(super) async fn fail(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Path(id): Path<String>,
    Body(request): Body<FailRequest>,
) -> Result<Answer<SeqResponse>, Problem> {
    let error = Failure::new(request.code, request.message);
    let lent = app.lent_for(&id).await?;
    let fail = app.change(lent.to(move |c: &mut Coordinator, now| {
        let (retryable, after) = (request.retryable, request.retry_after_ms);
        c.fail(&agent, &id, request.token, &error, retryable, after, now)
    }));
    fail.await
}

pub(super) async fn ask(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Path(id): Path<String>,
    Body(request): Body<AskRequest>,
) -> Result<Answer<AskResponse>, Problem> {
    let form = request.form.map(RawJson::from);
    let lent = app.lent_for(&id).await?;
    let (asked, head) = app
        .handle
        .call(lent.to(move |c: &mut Coordinator, now| {
            let question = &request.question;
            c.ask(&agent, &id, request.token, question, form.as_ref(), now)
        }))
        .await?;
    let body = AskResponse {
        seq: head.seq.0,
        question: asked.id,
        deadline: asked.deadline,
    };
    Ok(Answer::ok(body, head))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<TaskDetail>, Problem> {
    let lent = app.lent_for(&id).await?;
    app.answer(lent.to(move |c: &mut Coordinator, now| c.task(&id, now)))
        .await
}

pub(super) async fn release(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Path(id): Path<String>,
    Body(request): Body<ReleaseRequest>,
) -> Result<Answer<SeqResponse>, Problem> {
    let lent = app.lent_for(&id).await?;
    let release = app.change(lent.to(move |c: &mut Coordinator, now| {
        c.release(&agent, &id, request.token, request.begun, now)
    }));
    release.await
}
