//! The parts of an address, whose errors are problem documents like all others.

use axum::extract::{FromRequestParts, rejection::PathRejection, rejection::QueryRejection};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::about::{About, Part, schema_of};
use super::problem::Problem;

/// Longer keys are refused.
pub(super) const IDEMPOTENCY_KEY_MAX: usize = 255;

/// What stands in the path.
pub(super) struct Path<T>(pub T);

/// The header `Idempotency-Key`: which call this is, so that it can be made again.
pub(super) struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all("idempotency-key").iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return match parts.headers.contains_key("idempotency-key") {
                true => Err(bad_key()),
                false => Ok(Self(None)),
            };
        };
        let key = key.to_str().ok();
        let key = key.filter(|key| !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_MAX);
        key.map(|key| Self(Some(key.to_owned())))
            .ok_or_else(bad_key)
    }
}

fn bad_key() -> Problem {
    let detail = format!(
        "`Idempotency-Key` is given once, with 1 to {IDEMPOTENCY_KEY_MAX} visible characters"
    );
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}

/// What stands behind the question mark.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path = path.map_err(|error: PathRejection| bad_address(&error.body_text()))?;
        Ok(Self(path.0))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let query = query.map_err(|error: QueryRejection| bad_address(&error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// A name that is none, or that nothing has.
impl<T> Part for Path<T> {
    fn describe(about: &mut About) {
        about.refusals.extend([400, 404, 422]);
    }
}

impl<T: JsonSchema> Part for Query<T> {
    fn describe(about: &mut About) {
        about.query = Some(schema_of::<T>());
        about.refusals.insert(400);
    }
}

impl Part for IdempotencyKey {
    fn describe(about: &mut About) {
        about.headers.push("idempotency-key");
        about.refusals.insert(400);
    }
}

fn bad_address(why: &str) -> Problem {
    let detail = format!("the address is not what is wanted here: {why}");
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}
