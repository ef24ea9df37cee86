//! The HTTP API: `/healthz` and `/v1`, JSON in and out, RFC 9457 problems.
//!
//! Handlers translate; they decide nothing. Every request passes [`accept`] first (limits, `Host`,
//! `Origin`), then names its caller by bearer token ([`auth`]). Every answer that comes from the
//! store carries the witness `Phisync-Head: seq:hash`.

mod accept;
mod auth;
mod body;
mod people;
mod problem;
mod runs;
mod system;
mod tasks;
mod workflows;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use phisync_state::env::Clock;
use phisync_workflows::Catalog;

use crate::identity::TokenStore;
use crate::runtime::Handle;

pub use accept::{Doors, serve};
pub use auth::ACT_AS;

/// A request's body may be this long.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A task's result may be this long.
const RESULT_BYTES_MAX: usize = 8 << 20;

/// What the handlers share.
pub struct App {
    /// The coordinator's thread.
    pub handle: Handle,
    /// Who may call.
    pub tokens: Mutex<TokenStore>,
    /// For what workflows may name.
    pub catalog: Catalog,
    /// For stamps of tokens.
    pub clock: Arc<dyn Clock>,
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let results = Router::new()
        .route("/v1/tasks/{id}/complete", post(tasks::complete))
        .layer(DefaultBodyLimit::max(RESULT_BYTES_MAX));
    Router::new()
        .route("/healthz", get(system::health))
        .route(
            "/v1/workflows",
            get(workflows::list).post(workflows::register),
        )
        .route("/v1/workflows/{name}", get(workflows::show))
        .route("/v1/runs", get(runs::list).post(runs::start))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/runs/{id}/events", get(runs::events))
        .route("/v1/runs/{id}/wait", get(runs::wait))
        .route("/v1/runs/{id}/why", get(runs::why))
        .route("/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/v1/tasks/poll", post(tasks::poll))
        .route("/v1/tasks/{id}/heartbeat", post(tasks::heartbeat))
        .route("/v1/tasks/{id}/fail", post(tasks::fail))
        .route("/v1/tasks/{id}/release", post(tasks::release))
        .route("/v1/agents", get(tasks::agents))
        .route("/v1/agents/heartbeat", post(tasks::agent_heartbeat))
        .route("/v1/approvals", get(people::approvals))
        .route("/v1/approvals/{id}", get(people::approval))
        .route("/v1/approvals/{id}/decide", post(people::decide))
        .route("/v1/incidents", get(people::incidents))
        .route("/v1/incidents/{id}/resolve", post(people::resolve))
        .route("/v1/tokens", get(system::tokens).post(system::create_token))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(results)
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .with_state(app)
}
