//! Who is calling: the bearer token, and for the owner the one they act as.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use crate::identity::{Caller, Role};

use super::App;
use super::problem::Problem;
use super::witness;

/// With this header the owner acts as an agent or a person.
pub const ACT_AS: &str = "phisync-agent";

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let unauthorized = |detail: &str| {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).with_hint(
                "send `Authorization: Bearer TOKEN`; the owner makes tokens with `phisync token \
                 create`",
            )
        };
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.ok_or_else(|| unauthorized("no token was sent"))?;
        let token = given.to_str().ok();
        let token = token.and_then(|text| text.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| unauthorized("that is not a bearer token"))?;
        let known = {
            let tokens = app.tokens.lock();
            // A thread that panicked while holding the lock left the table as it was.
            let tokens = tokens.unwrap_or_else(std::sync::PoisonError::into_inner);
            tokens.identify(token.trim())
        };
        let mut caller = known.ok_or_else(|| unauthorized("that token is not known"))?;
        witness::check(&parts.headers, app, caller.display()).await?;
        if let Some(name) = parts.headers.get(ACT_AS) {
            let name = name.to_str().unwrap_or_default().to_lowercase();
            let own = caller.name.as_deref() == Some(name.as_str());
            if caller.role == Role::Admin {
                caller.acting_as = Some(name);
            } else if !own {
                let detail = "only the owner acts as somebody else";
                return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
            }
        }
        Ok(caller)
    }
}
