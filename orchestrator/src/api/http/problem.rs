//! Errors over HTTP: RFC 9457 problem details, with a stable `code` for programs.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use phisync_agents::protocol::Problem as Body;
use serde_json::Value;

use crate::coordinator::{Refusal, RefusalClass};
use crate::engine::Rejection;
use crate::identity::NotAllowed;
use crate::protocol::DocumentTurn;

/// Every status of a refusal, its codes, and what it means.
pub const PROBLEMS: [(u16, &[&str], &str); 17] = [
    (
        400,
        &["bad_request"],
        "the body, a header or the address is not what is wanted",
    ),
    (401, &["unauthorized"], "no token, or none that is known"),
    (
        403,
        &["forbidden", "may_not_decide", "wrong_door"],
        "not this caller, not by this name",
    ),
    (
        404,
        &["not_found", "no_such_step", "no_route"],
        "it does not exist",
    ),
    (405, &["no_method"], "not with this method"),
    (
        406,
        &["not_acceptable"],
        "`/mcp` answers with JSON or a stream of events, and the caller must take both",
    ),
    (
        408,
        &["slow_body"],
        "the body did not come within 30 seconds",
    ),
    (
        409,
        &[
            "stale_token",
            "already_ended",
            "not_in_state",
            "run_closed",
            "paused",
            "key_taken",
            "no_slot",
            "irreversible",
            "cannot_fork",
            "exists",
            "ambiguous",
            "other_content",
            "already_decided",
            "locked",
            "turn",
            "files.conflict",
            "files.taken",
            "version",
            "not_committed",
            "owners_token",
            "declared",
            "holds_tasks",
            "crew_full",
        ],
        "somebody was first, or it is over: the same again does not help",
    ),
    (
        410,
        &["gone"],
        "a closed run that retention dropped; a transaction whose earlier contents are not kept any more",
    ),
    (
        412,
        &["not_this_journal", "version"],
        "the journal never went through the head that the client saw; a document is not as `If-Match` says",
    ),
    (413, &["too_large"], "the body is too long"),
    (415, &["media_type"], "the body is not declared as JSON"),
    (
        422,
        &[
            "invalid_workflow",
            "schema.input",
            "schema.config",
            "schema.output",
            "schema.form",
            "no_such_option",
            "bad_name",
            "bad_role",
            "bad_agent",
            "bad_schedule",
            "other_body",
            "expr",
            "bad_question",
            "acceptance",
            "progress_too_long",
            "bad_request",
            "unstorable",
            "transaction",
            "files.prepare",
        ],
        "what came breaks a rule",
    ),
    (
        429,
        &["busy", "lost_race", "too_many_requests", "wrong_tokens"],
        "later; `Retry-After` says when, where it is known",
    ),
    (
        500,
        &["no_snapshot", "token_store", "unreadable"],
        "the server could not read or write one of its own files; it goes on as before",
    ),
    (
        503,
        &["unknown_outcome", "unreadable", "files.prepare", "busy"],
        "the store failed: nobody knows; look, or send the same again",
    ),
    (
        507,
        &["disk_full", "full", "read_only"],
        "the disk has no room, or the server only shows what is there; nothing happened",
    ),
];

/// One error answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
    /// Boxed, as every handler's result has room for it.
    diagnostics: Option<Box<Value>>,
    turn: Option<Box<Value>>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
            retry_after: None,
            diagnostics: None,
            turn: None,
        }
    }

    /// With the turn that the caller got.
    pub(super) fn with_turn(mut self, turn: &DocumentTurn) -> Self {
        self.turn = serde_json::to_value(turn).ok().map(Box::new);
        self
    }

    pub(super) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn with_diagnostics(mut self, diagnostics: Value) -> Self {
        self.diagnostics = Some(Box::new(diagnostics));
        self
    }
}

impl Problem {
    /// As it is written.
    pub(super) fn body(self) -> Body {
        Body {
            kind: format!("urn:phisync:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            hint: self.hint,
            diagnostics: self.diagnostics.map(|diagnostics| *diagnostics),
            turn: self.turn.map(|turn| *turn),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let body = self.body();
        // Plain data always prints; if it did not, the status would still tell.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(wait) = retry_after {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.class() {
            RefusalClass::NotFound => StatusCode::NOT_FOUND,
            RefusalClass::Gone => StatusCode::GONE,
            RefusalClass::Forbidden => StatusCode::FORBIDDEN,
            RefusalClass::Conflict => StatusCode::CONFLICT,
            RefusalClass::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalClass::Unknown => StatusCode::SERVICE_UNAVAILABLE,
            RefusalClass::Busy => StatusCode::TOO_MANY_REQUESTS,
            RefusalClass::Full => StatusCode::INSUFFICIENT_STORAGE,
        };
        let mut detail = refusal.to_string();
        let violations = refusal.violations();
        for violation in violations {
            detail.push_str(&format!("\n  {}: {}", violation.path, violation.message));
        }
        let mut problem = Self::new(status, refusal.code(), detail);
        problem.hint = hint(&refusal);
        if !violations.is_empty() {
            let list = violations
                .iter()
                .map(|v| serde_json::json!({ "path": v.path, "message": v.message }));
            problem.diagnostics = Some(Box::new(Value::Array(list.collect())));
        }
        problem
    }
}

fn hint(refusal: &Refusal) -> Option<String> {
    let text = match refusal {
        Refusal::Rejected(Rejection::StaleToken { .. }) => {
            "stop working on it: the task was given to somebody else or has ended"
        }
        Refusal::Rejected(Rejection::BadOutput { .. }) => {
            "the attempt is still yours: correct the result and complete again, or fail it"
        }
        Refusal::Rejected(Rejection::Unproven { left: 0, .. }) => {
            "the attempt has ended: its last result lacked its proof too"
        }
        Refusal::Rejected(Rejection::Unproven { .. }) => {
            "the attempt is still yours: do what is missing and complete again, or fail it"
        }
        Refusal::Rejected(Rejection::BadQuestion { .. }) => {
            "the attempt is still yours: ask something else, or go on without an answer"
        }
        Refusal::LongProgress { .. } => "the lease was not renewed: say less, and beat again",
        Refusal::NotFound {
            what: "agent" | "agent or person",
            ..
        } => "declare it in agents.yaml, or register it: `phisync agent register`",
        Refusal::Declared { .. } => {
            "who is declared is changed in agents.yaml, which a server reads at its start"
        }
        Refusal::HoldsTasks { .. } => {
            "drain it and come again when it holds nothing, or say that its tasks are to go to others: \
             `at_once` (on the command line, `--at-once`)"
        }
        Refusal::NotFound {
            what: "workflow", ..
        } => "register it, or start it from its file",
        Refusal::NotYourTurn { .. } => {
            "ask for a turn: `turn_s` with the write, or `POST` to the document's `turn`; `phisync doc update` does so"
        }
        Refusal::Full(_) => "nothing happened; it is taken again as soon as there is room",
        Refusal::Fork(crate::engine::ForkRefusal::Irreversible { .. }) => {
            "say that this is meant: `confirm` (on the command line, `--confirm`)"
        }
        Refusal::Rewind(crate::coordinator::RewindRefusal::Archived { .. }) => {
            "a closed run can be gone on from by itself: `phisync run retry` or `run fork`"
        }
        Refusal::Unknown(_) => "it may have happened or not: look, or send the same again",
        _ => return None,
    };
    Some(text.to_owned())
}

impl From<NotAllowed> for Problem {
    fn from(not_allowed: NotAllowed) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", not_allowed.0)
    }
}

pub(super) async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no_route", detail)
}

pub(super) async fn no_method(uri: Uri) -> Problem {
    let detail = format!("`{}` does not take this method", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_method", detail)
}
