//! A server that only shows what is there refuses everything that asks for more, before its handler.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

pub(super) async fn refuse(request: Request, next: Next) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if looks {
        return next.run(request).await;
    }
    let detail = "this server only shows what is there: nothing was done";
    let problem = Problem::new(StatusCode::INSUFFICIENT_STORAGE, "read_only", detail);
    let hint = "it was started with `--read-only`; end it, and serve the directory without";
    problem.with_hint(hint).into_response()
}
