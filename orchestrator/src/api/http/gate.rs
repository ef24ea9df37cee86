//! What every request goes through before its handler: first who calls, then the routes.
//!
//! It is a plain call and no layer of the router: for each request axum copies the layers of a route, each with all
//! that lies inside of it, which cost as much as everything else that a handler needs.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use tower_service::Service as _;

use super::{App, auth};

/// The way to some routes.
#[derive(Clone)]
pub struct Gate {
    app: Arc<App>,
    routes: Router,
}

impl Gate {
    pub(super) fn new(app: Arc<App>, routes: Router) -> Self {
        Self { app, routes }
    }

    /// Answers one request. `peer` is where it comes from; `None`: from this server itself.
    pub(super) async fn answer(&self, mut request: Request, peer: Option<IpAddr>) -> Response {
        let _open = match auth::identify(&self.app, &mut request, peer) {
            Ok(open) => open,
            Err(problem) => return problem.into_response(),
        };
        match self.routes.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
