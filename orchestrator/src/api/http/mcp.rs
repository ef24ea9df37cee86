//! `/mcp`: the Model Context Protocol over streamable HTTP, without sessions.
//!
//! Each request stands alone and carries its own token, so nothing has to be remembered between
//! requests, bounded or guarded. Calls go back through this server's own routes, as the caller. What is
//! refused before the protocol begins is a problem document, as everywhere; how all of that looks stands
//! in `openapi/mcp.rs`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use rmcp::model::Extensions;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use crate::api::mcp::{Answer, Ask, Door, DoorError, Identity, Server};
use crate::identity::Caller;

use super::body::{JSON, whole};
use super::gate::Gate;
use super::problem::{self, Problem};
use super::{ACT_AS, App};

/// Requests of the protocol may be this long: a result and its wrapping.
pub(super) const BODY_BYTES_MAX: usize = super::RESULT_BYTES_MAX + (1 << 20);

/// What the protocol says of a request that it does not take.
const WORDS_BYTES_MAX: usize = 64 << 10;

/// Answers of the API that a model could read at all.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The routes of this very server.
#[derive(Clone)]
struct Inside {
    routes: Gate,
}

impl Door for Inside {
    fn identity(&self, context: &Extensions) -> Option<Identity> {
        let caller = context.get::<Parts>()?.extensions.get::<Caller>()?;
        Some(identity(caller))
    }

    async fn ask(&self, ask: Ask, context: &Extensions) -> Result<Answer, DoorError> {
        let failed =
            |cause: &dyn std::fmt::Display| DoorError(format!("the request went nowhere: {cause}"));
        let mut request = Request::builder().method(ask.method).uri(ask.target());
        let given = context.get::<Parts>().map(|parts| &parts.headers);
        for name in [header::AUTHORIZATION, HeaderName::from_static(ACT_AS)] {
            if let Some(value) = given.and_then(|headers| headers.get(&name)) {
                request = request.header(name, value);
            }
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| failed(&error))?;
        let response = self.routes.answer(request, None).await;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| failed(&error))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|error| failed(&error))?
        };
        Ok(Answer { status, body })
    }
}

/// Who a caller is, for the protocol.
pub(super) fn identity(caller: &Caller) -> Identity {
    let name = caller.acting_as.as_ref().or(caller.name.as_ref());
    Identity {
        role: caller.role.as_str().to_owned(),
        name: name.cloned(),
    }
}

/// `/mcp` over `routes`, those of the API itself.
pub(super) fn router(routes: Gate) -> Router<Arc<App>> {
    // `Host` and `Origin` have been checked for every route, against the real address; the check of
    // this service knows loopback names only.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(BODY_BYTES_MAX)
        .disable_allowed_hosts();
    let door = Inside { routes };
    let service = StreamableHttpService::new(
        move || Ok(Server::new(door.clone())),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let handle = move |caller: Caller, request: Request| {
        let service = service.clone();
        async move {
            // Read here, because the protocol would wait without end for a body that does not come.
            let (parts, bytes) = whole(request, BODY_BYTES_MAX).await?;
            let mut request = Request::from_parts(parts, Body::from(bytes));
            request.extensions_mut().insert(caller);
            let answer = service.handle(request).await;
            said(answer.map(Body::new).into_response()).await
        }
    };
    Router::new()
        .route("/mcp", post(handle))
        .method_not_allowed_fallback(problem::no_method)
}

/// An answer of the protocol as it is; words in which it refuses a request as a problem.
async fn said(answer: Response) -> Result<Response, Problem> {
    let status = answer.status();
    let json = HeaderValue::from_static(JSON);
    if !status.is_client_error() || answer.headers().get(header::CONTENT_TYPE) == Some(&json) {
        return Ok(answer);
    }
    let code = match status {
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "media_type",
        _ => "bad_request",
    };
    let words = to_bytes(answer.into_body(), WORDS_BYTES_MAX).await;
    let words = String::from_utf8_lossy(&words.unwrap_or_default()).into_owned();
    Err(Problem::new(status, code, words))
}
