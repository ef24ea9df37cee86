//! The HTTP API: `/healthz` and `/v1`, JSON in and out, RFC 9457 problems.
//!
//! Handlers translate; they decide nothing. Every request passes `accept` first (limits, `Host`,
//! `Origin`), then names its caller by bearer token (`auth`). Every answer that comes from the
//! store carries the witness `Phisync-Head: seq:hash`.

mod accept;
mod auth;
mod body;
mod control;
mod events;
mod extract;
mod locks;
mod mcp;
mod past;
mod people;
mod problem;
mod runs;
mod schedules;
mod snapshots;
mod system;
mod tasks;
mod tokens;
mod transactions;
mod unambiguous;
mod witness;
mod workflows;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use phisync_state::env::Clock;
use phisync_workflows::Catalog;

use crate::identity::TokenStore;
use crate::runtime::{Handle, Snapshots, Transactor};

pub use accept::{Doors, serve};
pub use auth::{ACT_AS, Counts};

/// A request's body may be this long.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A task's result may be this long.
const RESULT_BYTES_MAX: usize = 8 << 20;

/// What the handlers share.
pub struct App {
    /// The coordinator's thread.
    pub handle: Handle,
    /// Snapshots and archives.
    pub snapshots: Snapshots,
    /// Who may call.
    pub tokens: Mutex<TokenStore>,
    /// How many of their requests are open, and how many were not allowed.
    pub counts: Counts,
    /// For what workflows may name.
    pub catalog: Catalog,
    /// For transactions over files and documents.
    pub transactor: Arc<Transactor>,
    /// For stamps of tokens.
    pub clock: Arc<dyn Clock>,
    /// Which of all servers this is; not a secret.
    pub instance: String,
    /// How often somebody knew a head that this journal never had.
    pub alarms: AtomicU64,
}

/// One thing that a client can ask for.
pub struct Route {
    /// As `GET`.
    pub method: &'static str,
    /// As `/v1/runs/{id}`.
    pub path: &'static str,
    handler: MethodRouter<Arc<App>>,
}

impl Route {
    fn get<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self {
            method: "GET",
            path,
            handler: get(handler),
        }
    }

    fn post<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self {
            method: "POST",
            path,
            handler: post(handler),
        }
    }

    fn body_max(mut self, bytes: usize) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::max(bytes));
        self
    }
}

/// All routes, in the order in which `docs/http-api.md` tells of them.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", system::health),
        Route::post("/v1/workflows", workflows::register),
        Route::get("/v1/workflows", workflows::list),
        Route::get("/v1/workflows/{name}", workflows::show),
        Route::post("/v1/runs", runs::start),
        Route::get("/v1/runs", past::list),
        Route::get("/v1/runs/{id}", past::show),
        Route::get("/v1/runs/{id}/events", runs::events),
        Route::get("/v1/runs/{id}/wait", runs::wait),
        Route::get("/v1/runs/{id}/why", runs::why),
        Route::post("/v1/runs/{id}/cancel", runs::cancel),
        Route::post("/v1/runs/{id}/pause", control::pause),
        Route::post("/v1/runs/{id}/resume", control::resume),
        Route::post("/v1/runs/{id}/signal", control::signal),
        Route::post("/v1/runs/{id}/retry", control::retry),
        Route::post("/v1/runs/{id}/fork", control::fork),
        Route::post("/v1/events", events::send),
        Route::get("/v1/schedules", schedules::list),
        Route::get("/v1/schedules/{name}/{id}", schedules::show),
        Route::post("/v1/schedules/{name}/{id}/pause", schedules::pause),
        Route::post("/v1/schedules/{name}/{id}/resume", schedules::resume),
        Route::post("/v1/schedules/{name}/{id}/trigger", schedules::trigger),
        Route::post("/v1/schedules/{name}/{id}/backfill", schedules::backfill),
        Route::post("/v1/tasks/poll", tasks::poll),
        Route::post("/v1/tasks/{id}/heartbeat", tasks::heartbeat),
        Route::post("/v1/tasks/{id}/complete", tasks::complete).body_max(RESULT_BYTES_MAX),
        Route::post("/v1/tasks/{id}/fail", tasks::fail),
        Route::post("/v1/tasks/{id}/release", tasks::release),
        Route::get("/v1/agents", tasks::agents),
        Route::post("/v1/agents/heartbeat", tasks::agent_heartbeat),
        Route::get("/v1/approvals", people::approvals),
        Route::get("/v1/approvals/{id}", people::approval),
        Route::post("/v1/approvals/{id}/decide", people::decide),
        Route::get("/v1/incidents", people::incidents),
        Route::post("/v1/incidents/{id}/resolve", people::resolve),
        Route::get("/v1/me", system::me),
        Route::post("/v1/transactions", transactions::apply).body_max(RESULT_BYTES_MAX),
        Route::get("/v1/transactions", transactions::list),
        Route::get("/v1/transactions/{id}", transactions::show),
        Route::post("/v1/transactions/{id}/revert", transactions::revert),
        Route::get("/v1/documents", transactions::documents),
        Route::get("/v1/documents/{name}", transactions::document),
        Route::get("/v1/locks", locks::list),
        Route::post("/v1/locks/{name}/acquire", locks::acquire),
        Route::post("/v1/locks/{name}/renew", locks::renew),
        Route::post("/v1/locks/{name}/release", locks::release),
        Route::get("/v1/snapshots", snapshots::list),
        Route::post("/v1/snapshots", snapshots::take),
        Route::get("/v1/tokens", tokens::list),
        Route::post("/v1/tokens", tokens::create),
        Route::post("/v1/tokens/{id}/rotate", tokens::rotate),
        Route::post("/v1/tokens/{id}/revoke", tokens::revoke),
    ]
}

/// The service over all routes.
pub fn router(app: Arc<App>) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    });
    let api = router
        // A limit that a route sets for itself lies further inside and counts.
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(from_fn_with_state(Arc::clone(&app), auth::identify))
        .with_state(Arc::clone(&app));
    let mcp = mcp::router(api.clone())
        .layer(from_fn_with_state(Arc::clone(&app), auth::identify))
        .with_state(app);
    api.merge(mcp)
}
