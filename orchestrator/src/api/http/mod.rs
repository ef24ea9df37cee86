//! The HTTP API: `/healthz` and `/v1`, JSON in and out, RFC 9457 problems.
//!
//! Handlers translate; they decide nothing. Every request passes `accept` first (limits, `Host`,
//! `Origin`), then names its caller by bearer token (`gate`, `auth`). Every answer that comes from the
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
mod gate;
mod limits;
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
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;

pub use accept::{Doors, serve};
pub use app::App;
pub use auth::{ACT_AS, Counts};
pub use gate::Gate;
pub use limits::Limits;
pub use openapi::document;
pub use problem::PROBLEMS;
pub use route::Route;
pub use table::routes;

/// A request's body may be this long.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A task's result may be this long.
const RESULT_BYTES_MAX: usize = 8 << 20;

/// The way to all routes.
pub fn gate(app: Arc<App>) -> Gate {
    let router = routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.into_handler())
    });
    let api = router
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method);
    let api = match app.read_only {
        true => api.layer(from_fn(read_only::refuse)),
        false => api,
    };
    let api = api.with_state(Arc::clone(&app));
    let mcp = mcp::router(Gate::new(Arc::clone(&app), api.clone()));
    let mcp = mcp.with_state(Arc::clone(&app));
    Gate::new(app, api.merge(mcp))
}
