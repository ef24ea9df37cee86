//! Access tokens: made, listed, replaced and ended while the server runs.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use phisync_state::env::OsEntropy;

use crate::coordinator::Coordinator;
use crate::identity::{Role, Secret, TokenStore, TokenStoreError};
use crate::protocol::{TokenCreated, TokenList, TokenRequest};

use super::App;
use super::body::Body;
use super::extract::Path;
use super::problem::Problem;
use super::roles::Owner;

pub(super) fn store(app: &App) -> MutexGuard<'_, TokenStore> {
    // A thread that panicked while holding the lock left the table as it was.
    app.tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _owner: Owner,
) -> Result<Json<TokenList>, Problem> {
    let tokens = store(&app).list();
    Ok(Json(TokenList { tokens }))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    _owner: Owner,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenCreated>), Problem> {
    let invalid =
        |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_role", detail);
    let role = Role::parse(&request.role).ok_or_else(|| {
        let words = Role::WORDS.join(", ");
        invalid(format!("`{}` is not a role: {words}", request.role))
    })?;
    if role.is_personal() != request.name.is_some() {
        return Err(invalid(match request.name {
            Some(_) => format!(
                "a token of role `{}` belongs to nobody by name",
                role.as_str()
            ),
            None => format!("a token of role `{}` needs a name", role.as_str()),
        }));
    }
    if let Some(name) = request.name.clone() {
        let (declared, _) = app
            .handle
            .call(move |c, _| {
                Ok(match role {
                    Role::Agent => c.has_agent(&name),
                    _ => c.registry().person(&name).is_some(),
                })
            })
            .await?;
        if !declared {
            let name = request.name.unwrap_or_default();
            let (detail, hint) = match role {
                Role::Agent => (
                    format!("no agent `{name}` is declared or registered"),
                    "declare it in agents.yaml, or register it: `phisync agent register`",
                ),
                _ => (
                    format!("no {} `{name}` is declared", role.as_str()),
                    "declare it in agents.yaml",
                ),
            };
            return Err(invalid(detail).with_hint(hint));
        }
    }
    let now = app.clock.now();
    let lifetime = request.expires_in_s.map(Duration::from_secs);
    let end = lifetime.map(|lifetime| now.saturating_add(lifetime));
    let name = request.name.as_deref();
    let token = store(&app).create(role, name, &mut OsEntropy, now, end)?;
    Ok((StatusCode::CREATED, Json(shown(&token))))
}

pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    _owner: Owner,
    Path(id): Path<String>,
) -> Result<Json<TokenCreated>, Problem> {
    let now = app.clock.now();
    let agent = agent_of(&app, &id);
    let token = store(&app).rotate(&id, &mut OsEntropy, now)?;
    end_waits(&app, agent).await?;
    token
        .map(|token| Json(shown(&token)))
        .ok_or_else(|| unknown(&id))
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    _owner: Owner,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if store(&app).admin().id() == id {
        let detail = "the owner's token cannot be revoked";
        let problem = Problem::new(StatusCode::CONFLICT, "owners_token", detail);
        return Err(problem.with_hint("rotate it: that ends the old one"));
    }
    let agent = agent_of(&app, &id);
    if !store(&app).revoke(&id)? {
        return Err(unknown(&id));
    }
    end_waits(&app, agent).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The agent that a token is of, if it is one's.
fn agent_of(app: &App, id: &str) -> Option<String> {
    match store(app).owner_of(id)? {
        (Role::Agent, name) => name.map(str::to_owned),
        _ => None,
    }
}

/// A poll that waits when its token ends must not bring a task: all of the agent's end empty, and those with
/// another token come again.
async fn end_waits(app: &App, agent: Option<String>) -> Result<(), Problem> {
    if let Some(agent) = agent {
        let end = move |c: &mut Coordinator, _| {
            c.end_polls_of(&agent);
            Ok(())
        };
        app.handle.call(end).await?;
    }
    Ok(())
}

pub(super) fn shown(token: &Secret) -> TokenCreated {
    TokenCreated {
        id: token.id().to_owned(),
        token: token.reveal().to_owned(),
    }
}

fn unknown(id: &str) -> Problem {
    let detail = format!("no token `{}`", id.escape_debug());
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

impl From<TokenStoreError> for Problem {
    fn from(error: TokenStoreError) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "token_store", error.to_string())
    }
}
