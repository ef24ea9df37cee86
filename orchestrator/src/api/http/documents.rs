//! Shared documents, one at a time: read with their version as the tag, written if it still has it. Whoever loses may wait for
//! a turn, and is told the document as it is then.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use phisync_state::FileId;
use phisync_state::transaction::{Change, DocumentChange, DocumentExpect, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::coordinator::{Refusal, TurnWish, Writer, unmet};
use crate::engine::RawJson;
use crate::identity::Caller;
use crate::protocol::{
    DocumentDetail, DocumentList, DocumentTurn, DocumentWritten, TurnReleaseRequest, TurnRequest,
};
use crate::runtime::TransactError;

use super::App;
use super::about::{About, Part, Reply};
use super::body::{Answer, Body, NoContent};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::roles::Member;
use super::runs::bounded_wait;
use super::writes::Right;

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
        about.headers.extend(["if-match", "if-none-match"]);
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

/// `PUT /v1/documents/{name}`, behind the question mark.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    /// Whoever loses the race waits in line for so long, in seconds, and is refused in its turn: with the document as it is
    /// then, which nobody else writes until the turn is over. At most 60. Absent: 0, or 30 without a condition.
    #[schemars(range(min = 0.0))]
    turn_s: Option<f64>,
    /// How long that turn may last, in seconds; 2 without it, 0.1 to 60.
    #[schemars(range(min = 0.0))]
    hold_s: Option<f64>,
}

/// How long a write that relies on nothing waits for others' turns to be over.
const BLIND_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Condition(expect): Condition,
    Query(patience): Query<Patience>,
    right: Right,
    Body(content): Body<Box<RawValue>>,
) -> Result<Tagged<DocumentWritten>, Problem> {
    let id = FileId::new(&name).map_err(|error| {
        let detail = format!("`{name}` is not the name of a document: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_name", detail)
    })?;
    let mut writer = right.of(&caller, &app)?;
    let change = DocumentChange {
        name: id,
        content: Some(Arc::from(RawJson::from(content).text())),
        expect,
    };
    let lost = match write(&app, &change, &writer).await {
        Err(TransactError::Refused(
            lost @ (Refusal::OtherVersion { .. } | Refusal::NotYourTurn { .. }),
        )) => lost,
        written => return Ok(written?),
    };
    let wait = match (patience.turn_s, &change.expect) {
        (None, DocumentExpect::Anything) => BLIND_WAIT,
        (seconds, _) => bounded_wait(seconds),
    };
    if wait.is_zero() {
        return Err(refused(&change, lost));
    }
    let wish = TurnWish {
        by: writer.by.clone(),
        hold: patience
            .hold_s
            .and_then(|s| Duration::try_from_secs_f64(s).ok()),
        wait,
        turns: writer.turns.clone(),
    };
    let (turn, _) = app.handle.take_turn(name, wish).await?;
    if let Some(expected) = unmet(&change.expect, turn.version, turn.content.is_some()) {
        let (name, found) = (change.name.clone(), turn.version);
        let lost = Refusal::OtherVersion {
            name,
            found,
            expected,
        };
        return Err(refused(&change, lost).with_turn(&turn));
    }
    writer.turns.push(turn.turn);
    match write(&app, &change, &writer).await {
        Ok(written) => Ok(written),
        Err(error) => {
            give_up(&app, turn, writer.by).await;
            Err(match error {
                TransactError::Refused(refusal) => refused(&change, refusal),
                error => error.into(),
            })
        }
    }
}

/// A lost race is 412 for whoever said what it relies on.
fn refused(change: &DocumentChange, lost: Refusal) -> Problem {
    match lost {
        Refusal::OtherVersion { .. } if !matches!(change.expect, DocumentExpect::Anything) => {
            let status = StatusCode::PRECONDITION_FAILED;
            Problem::new(status, "version", lost.to_string())
                .with_hint("read it again, then decide again what to write")
        }
        lost => lost.into(),
    }
}

/// What nobody will write in is nobody's turn. Whoever is next need not wait for its end.
async fn give_up(app: &App, turn: DocumentTurn, by: String) {
    let give_up = app
        .handle
        .call(move |c, now| c.give_up_turn(&turn.name, turn.turn, &by, now));
    if let Err(refusal) = give_up.await {
        tracing::debug!(%refusal, "a turn stays until its time is over");
    }
}

async fn write(
    app: &App,
    change: &DocumentChange,
    writer: &Writer,
) -> Result<Tagged<DocumentWritten>, TransactError> {
    let transaction = Transaction {
        changes: vec![Change::Document(change.clone())],
        ..Transaction::default()
    };
    let transacted = app.transactor.apply(transaction, writer.clone()).await?;
    let decision = transacted.state.decision.as_ref();
    let step = decision.and_then(|decision| decision.documents.first());
    let version = step.map_or(0, |step| step.after);
    let written = DocumentWritten {
        name: change.name.to_string(),
        version,
        transaction: transacted.state.id.to_string(),
    };
    let answer = Answer::ok(written, transacted.head);
    Ok(Tagged { version, answer })
}

pub(super) async fn turn(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Body(request): Body<TurnRequest>,
) -> Result<Answer<DocumentTurn>, Problem> {
    let wish = TurnWish {
        by: caller.display().to_owned(),
        hold: request
            .hold_s
            .and_then(|s| Duration::try_from_secs_f64(s).ok()),
        wait: bounded_wait(request.wait_s),
        turns: Vec::new(),
    };
    let (turn, head) = app.handle.take_turn(name, wish).await?;
    Ok(Answer::ok(turn, head))
}

pub(super) async fn release_turn(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Body(request): Body<TurnReleaseRequest>,
) -> Result<NoContent, Problem> {
    let by = caller.display().to_owned();
    let ((), head) = app
        .handle
        .call(move |c, now| c.give_up_turn(&name, request.turn, &by, now))
        .await?;
    Ok(NoContent(head))
}
