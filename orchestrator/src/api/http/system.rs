//! The server itself: health, tokens.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use phisync_state::env::OsEntropy;

use crate::identity::{Caller, Role};
use crate::protocol::{Health, Me, TokenCreated, TokenList, TokenRequest};

use super::App;
use super::body::Body;
use super::problem::Problem;

pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let store = app.handle.store();
    let head = store.head();
    let reason = store.refuses();
    let status = match reason {
        None => "ok",
        Some(_) => "read_only",
    };
    Json(Health {
        status: status.to_owned(),
        reason: reason.map(|reason| reason.to_string()),
        mode: store.durability().name().to_owned(),
        alarms: app.alarms.load(Ordering::Relaxed),
        head_seq: head.seq.0,
        head_hash: head.hash.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: app.instance.clone(),
    })
}

pub(super) async fn me(caller: Caller) -> Json<Me> {
    let name = caller.acting_as.or(caller.name);
    Json(Me {
        role: caller.role.as_str().to_owned(),
        name,
    })
}

pub(super) async fn tokens(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<TokenList>, Problem> {
    caller.admin()?;
    let tokens = app.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    let tokens = tokens.list();
    Ok(Json(TokenList { tokens }))
}

pub(super) async fn create_token(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<TokenRequest>,
) -> Result<Response, Problem> {
    caller.admin()?;
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
                    Role::Agent => c.registry().agent(&name).is_some(),
                    _ => c.registry().person(&name).is_some(),
                })
            })
            .await?;
        if !declared {
            let name = request.name.unwrap_or_default();
            let detail = format!("no {} `{name}` is declared", role.as_str());
            return Err(invalid(detail).with_hint("declare it in agents.yaml"));
        }
    }
    let now = app.clock.now();
    let token = {
        let mut tokens = app.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.create(role, request.name.as_deref(), &mut OsEntropy, now)
    };
    let token = token.map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "token_store",
            error.to_string(),
        )
    })?;
    let created = TokenCreated {
        id: token.id().to_owned(),
        token: token.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}
