//! The HTTP API: `/healthz` and `/v1`, JSON in and out, RFC 9457 problems.
//!
//! Handlers translate; they decide nothing. Every request passes `accept` first (limits, `Host`,
//! `Origin`), then names its caller by bearer token (`auth`). Every answer that comes from the
//! store carries the witness `Phisync-Head: seq:hash`. What can be asked stands in `table`; from it and
//! the types of the handlers `openapi` makes the description of the whole.

mod about;
mod accept;
mod agents;
mod app;
mod auth;
mod body;
mod control;
mod documents;
mod events;
mod extract;
mod locks;
mod mcp;
mod openapi;
mod past;
mod people;
mod problem;
mod read_only;
mod results;
mod roles;
mod route;
mod runs;
mod schedules;
mod snapshots;
mod system;
mod table;
mod tasks;
mod tokens;
mod transactions;
mod unambiguous;
mod witness;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

pub use accept::{Doors, serve};
pub use app::App;
pub use auth::{ACT_AS, Counts};
pub use openapi::document;
pub use problem::PROBLEMS;
pub use route::Route;
pub use table::routes;

/// A request's body may be this long.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A task's result may be this long.
const RESULT_BYTES_MAX: usize = 8 << 20;

/// The service over all routes.
pub fn router(app: Arc<App>) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.into_handler())
    });
    let api = router
        // A limit that a route sets for itself lies further inside and counts.
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(from_fn_with_state(Arc::clone(&app), read_only::refuse))
        .layer(from_fn_with_state(Arc::clone(&app), auth::identify))
        .with_state(Arc::clone(&app));
    let mcp = mcp::router(api.clone())
        .layer(from_fn_with_state(Arc::clone(&app), auth::identify))
        .with_state(app);
    api.merge(mcp)
}
