//! Shared documents, one at a time: read with their version as the tag, written if it still has it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use phisync_state::FileId;
use phisync_state::transaction::{Change, DocumentChange, DocumentExpect, Transaction};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::coordinator::Refusal;
use crate::engine::RawJson;
use crate::identity::Caller;
use crate::protocol::{DocumentDetail, DocumentList, DocumentWritten};
use crate::runtime::TransactError;

use super::App;
use super::about::{About, Part, Reply};
use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::Member;

/// What the caller relies on, by `If-Match` or `If-None-Match`.
pub(super) struct Condition(DocumentExpect);

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let one = |name| only(&parts.headers, name);
        match (one(header::IF_MATCH)?, one(header::IF_NONE_MATCH)?) {
            (None, None) => Ok(Self(DocumentExpect::Anything)),
            (None, Some("*")) => Ok(Self(DocumentExpect::Absent)),
            (Some("*"), None) => Ok(Self(DocumentExpect::Present)),
            (Some(tag), None) => {
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                let version = version.and_then(|version| version.parse().ok());
                let version = version.map(|version| Self(DocumentExpect::Version(version)));
                version.ok_or_else(bad_condition)
            }
            _ => Err(bad_condition()),
        }
    }
}

fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| bad_condition()),
        (Some(_), Some(_)) => Err(bad_condition()),
    }
}

fn bad_condition() -> Problem {
    let detail =
        "one of `If-Match: \"VERSION\"`, `If-Match: *` and `If-None-Match: *` is understood";
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}

impl Part for Condition {
    fn describe(about: &mut About) {
        about.refusals.extend([400, 412]);
    }
}

/// An answer about a document, with its version as the tag.
pub(super) struct Tagged<T> {
    version: u64,
    answer: Answer<T>,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

impl<T: JsonSchema> Reply for Tagged<T> {
    fn describe(about: &mut About) {
        <Answer<T> as Reply>::describe(about);
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<DocumentList>, Problem> {
    let list = app.answer(|c, _| {
        let documents = c.documents();
        Ok(DocumentList { documents })
    });
    list.await
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Tagged<DocumentDetail>, Problem> {
    let answer = app.answer(move |c, _| c.document(&name)).await?;
    let version = answer.body.version;
    Ok(Tagged { version, answer })
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Condition(expect): Condition,
    Body(content): Body<Box<RawValue>>,
) -> Result<Tagged<DocumentWritten>, Problem> {
    let id = FileId::new(&name).map_err(|error| {
        let detail = format!("`{name}` is not the name of a document: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_name", detail)
    })?;
    let conditional = !matches!(expect, DocumentExpect::Anything);
    let change = DocumentChange {
        name: id,
        content: Some(Arc::from(RawJson::from(content).text())),
        expect,
    };
    let transaction = Transaction {
        changes: vec![Change::Document(change)],
        ..Transaction::default()
    };
    let by = caller.display().to_owned();
    let transacted = match app.transactor.apply(transaction, by).await {
        Err(TransactError::Refused(refusal @ Refusal::OtherVersion { .. })) if conditional => {
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(Problem::new(status, "version", refusal.to_string())
                .with_hint("read it again, then decide again what to write"));
        }
        transacted => transacted?,
    };
    let decision = transacted.state.decision.as_ref();
    let step = decision.and_then(|decision| decision.documents.first());
    let version = step.map_or(0, |step| step.after);
    let written = DocumentWritten {
        name,
        version,
        transaction: transacted.state.id.to_string(),
    };
    let answer = Answer::ok(written, transacted.head);
    Ok(Tagged { version, answer })
}
