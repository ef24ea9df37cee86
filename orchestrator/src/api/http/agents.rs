//! The team: who lives, who holds what, and who is given nothing more.

use std::sync::Arc;

use axum::extract::State;
use phisync_agents::protocol::SeqResponse;

use crate::identity::Caller;
use crate::protocol::{AgentDetail, AgentList, DrainRequest, UndrainRequest};

use super::App;
use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::{AsAgent, Operator};

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<AgentList>, Problem> {
    let list = app.answer(|c, now| {
        let agents = c.agents(now);
        Ok(AgentList { agents })
    });
    list.await
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Answer<AgentDetail>, Problem> {
    app.answer(move |c, now| c.agent(&name, now)).await
}

pub(super) async fn heartbeat(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
) -> Result<Answer<SeqResponse>, Problem> {
    app.change(move |c, now| c.agent_heartbeat(&agent, now))
        .await
}

pub(super) async fn drain(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Body(request): Body<DrainRequest>,
) -> Result<Answer<AgentDetail>, Problem> {
    let drain =
        app.answer(move |c, now| c.drain(&name, caller.display(), request.reason.as_deref(), now));
    drain.await
}

pub(super) async fn undrain(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Body(UndrainRequest {}): Body<UndrainRequest>,
) -> Result<Answer<AgentDetail>, Problem> {
    let undrain = app.answer(move |c, now| c.undrain(&name, caller.display(), now));
    undrain.await
}
