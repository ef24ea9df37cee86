//! The team: who lives, who holds what, and who is given nothing more.

use std::sync::Arc;

use axum::extract::State;
use phisync_agents::protocol::SeqResponse;
use phisync_agents::registry::Description;
use phisync_state::env::OsEntropy;

use crate::identity::{Caller, Role};
use crate::protocol::{
    AgentDetail, AgentList, AgentRegistered, AgentRemoved, DrainRequest, RegisterAgentRequest,
    RemoveAgentRequest, UndrainRequest,
};

use super::App;
use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::{AsAgent, Operator};
use super::tokens;

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

/// The words of a request, with the defaults of `agents.yaml` where it says nothing.
fn described(request: RegisterAgentRequest) -> Description {
    let default = Description::of(&request.name);
    Description {
        name: request.name,
        capabilities: request.capabilities,
        pool: request.pool.unwrap_or(default.pool),
        concurrency: request.concurrency.unwrap_or(default.concurrency),
        silence: request.silence.unwrap_or(default.silence),
        detector: request.detector.unwrap_or(default.detector),
        rate: request.rate,
    }
}

/// Tokens are a file of their own: they are made after the registration is on disk and ended after the
/// removal is, so that at no time a token is good for an agent that nobody registered. A crash between
/// leaves an agent without a token, or tokens that a new registration ends.
pub(super) async fn register(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Body(request): Body<RegisterAgentRequest>,
) -> Result<Answer<AgentRegistered>, Problem> {
    let described = described(request);
    let name = described.name.clone();
    let register = app.answer(move |c, now| c.register_agent(&described, caller.display(), now));
    let registered = register.await?;
    let (agent, is_new) = registered.body;
    let mut answer = Answer {
        status: registered.status,
        head: registered.head,
        body: AgentRegistered { agent, token: None },
    };
    if is_new {
        let now = app.clock.now();
        let mut tokens = tokens::store(&app);
        tokens.revoke_all_of(Role::Agent, &name)?;
        let token = tokens.create(Role::Agent, Some(&name), &mut OsEntropy, now, None)?;
        answer.body.token = Some(tokens::shown(&token));
        return Ok(answer.created());
    }
    Ok(answer)
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Body(request): Body<RemoveAgentRequest>,
) -> Result<Answer<AgentRemoved>, Problem> {
    let who = name.clone();
    let remove = app.answer(move |c, now| {
        let reason = request.reason.as_deref();
        c.remove_agent(&who, caller.display(), reason, request.at_once, now)
    });
    let removed = remove.await?;
    let tokens = tokens::store(&app).revoke_all_of(Role::Agent, &name)?;
    Ok(Answer {
        status: removed.status,
        head: removed.head,
        body: AgentRemoved {
            name,
            lost: removed.body,
            tokens,
        },
    })
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
