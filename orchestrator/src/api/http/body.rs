//! Bodies in and out.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use phisync_state::Head;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::engine::RawJson;

use super::about::{About, Part, Reply, schema_of};
use super::problem::Problem;
use super::{BODY_BYTES_MAX, unambiguous};

/// A body must have come within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body of a request, of a declared type and with no more than `MAX` bytes.
pub(super) struct Body<T, const MAX: usize = BODY_BYTES_MAX>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const MAX: usize> FromRequest<S> for Body<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = format!("the body must be `application/json`, not `{kind}`");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "media_type", detail));
        }
        let bytes = read(request, MAX, state).await?;
        let read = serde_json::from_slice(&bytes);
        let read = read.and_then(|body| unambiguous::check(&bytes).map(|()| Self(body)));
        read.map_err(|error| {
            let detail = format!("the body is not what is wanted here: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
        })
    }
}

impl<T: JsonSchema, const MAX: usize> Part for Body<T, MAX> {
    fn describe(about: &mut About) {
        about.body = Some(("application/json", schema_of::<T>()));
        about.refusals.extend([400, 408, 413, 415]);
    }
}

/// A request's body as text, whatever its type is declared to be.
pub(super) struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(request, BODY_BYTES_MAX, state).await?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|error| {
            let detail = format!("the body is not UTF-8: {}", error.utf8_error());
            Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
        })
    }
}

impl Part for Text {
    fn describe(about: &mut About) {
        about.body = Some(("application/yaml", schema_of::<String>()));
        about.refusals.extend([400, 408, 413]);
    }
}

/// The media type of what is read and told here.
pub(super) const JSON: &str = "application/json";

/// A request of JSON whose body of at most `max` bytes has come, for somebody else to read. Of what type the body is declared to
/// be is theirs to ask.
pub(super) async fn whole(request: Request, max: usize) -> Result<(Parts, Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let bytes = read(Request::new(body), max, &()).await?;
    unambiguous::check(&bytes).map_err(|error| {
        let detail = format!("the body is not what is wanted here: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    })?;
    Ok((parts, bytes))
}

/// The bytes of a request, at most `max`.
async fn read<S: Send + Sync>(
    mut request: Request,
    max: usize,
    state: &S,
) -> Result<Bytes, Problem> {
    DefaultBodyLimit::max(max).apply(&mut request);
    read_within(BODY_TIMEOUT, request, state).await
}

async fn read_within<S: Send + Sync>(
    limit: Duration,
    request: Request,
    state: &S,
) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(limit, Bytes::from_request(request, state)).await;
    let read = read.map_err(|_| {
        let detail = format!("the body did not come within {} s", limit.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail)
    })?;
    read.map_err(|error| {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "too_large"
        } else {
            "bad_request"
        };
        Problem::new(error.status(), code, error.body_text())
    })
}

/// A JSON answer with the witness of the store.
pub(super) struct Answer<T> {
    pub status: StatusCode,
    pub head: Head,
    pub body: T,
}

impl<T> Answer<T> {
    pub(super) fn ok(body: T, head: Head) -> Self {
        Self {
            status: StatusCode::OK,
            head,
            body,
        }
    }

    /// The same, of something that was not there before.
    pub(super) fn created(self) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..self
        }
    }
}

/// What an event or a signal says; `null` if it says nothing.
pub(super) fn data_of(data: Option<Box<RawValue>>) -> RawJson {
    let data = data.map(RawJson::from);
    data.unwrap_or_else(|| RawJson::from_value(&serde_json::Value::Null))
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        witness(&mut response, &self.head);
        response
    }
}

impl<T: JsonSchema> Reply for Answer<T> {
    fn describe(about: &mut About) {
        about.answer = Some(schema_of::<T>());
        about.statuses.push(200);
        of_the_store(about);
    }
}

/// What comes from the store carries its witness, and there may be none to be had.
fn of_the_store(about: &mut About) {
    about.head = true;
    about.refusals.insert(503);
}

/// An answer without a body.
pub(super) struct NoContent(pub Head);

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        witness(&mut response, &self.0);
        response
    }
}

impl Reply for NoContent {
    fn describe(about: &mut About) {
        about.statuses.push(204);
        of_the_store(about);
    }
}

/// An answer with a body, or without one where there is nothing to tell.
pub(super) enum Maybe<T> {
    Some(Answer<T>),
    None(NoContent),
}

impl<T: Serialize> IntoResponse for Maybe<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Some(answer) => answer.into_response(),
            Self::None(nothing) => nothing.into_response(),
        }
    }
}

impl<T: JsonSchema> Reply for Maybe<T> {
    fn describe(about: &mut About) {
        Answer::<T>::describe(about);
        NoContent::describe(about);
    }
}

fn witness(response: &mut Response, head: &Head) {
    if let Ok(value) = HeaderValue::try_from(head.to_string()) {
        let name = HeaderName::from_static("phisync-head");
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use axum::body::{Body, Bytes, HttpBody};
    use axum::extract::Request;
    use axum::response::IntoResponse as _;
    use hyper::body::Frame;

    use super::read_within;

    /// A body of which nothing ever comes.
    struct Silence;

    impl HttpBody for Silence {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_body_that_does_not_come_is_not_waited_for_without_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let read = read_within(Duration::ZERO, Request::new(Body::new(Silence)), &());
        let refused = runtime.expect("a runtime").block_on(read);
        let refused = refused.expect_err("nothing came");
        assert_eq!(refused.into_response().status(), 408);
    }
}
