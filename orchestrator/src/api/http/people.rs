//! What waits for people: approvals and incidents.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::coordinator::{Decider, Refusal, Said};
use crate::engine::{RawJson, Resolution};
use crate::identity::Caller;
use crate::protocol::{ApprovalList, ApprovalSummary, DecideRequest, IncidentList, ResolveRequest};

use super::App;
use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::{Decides, Operator};

fn bad_word(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", detail)
}

pub(super) async fn approvals(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<ApprovalList>, Problem> {
    let list = app.answer(|c, _| {
        let approvals = c.approvals();
        Ok(ApprovalList { approvals })
    });
    list.await
}

pub(super) async fn approval(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<ApprovalSummary>, Problem> {
    app.answer(move |c, _| c.approval(&id)).await
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Path(id): Path<String>,
    Body(request): Body<DecideRequest>,
) -> Result<Answer<ApprovalSummary>, Problem> {
    let decide = app.answer(move |c, now| {
        let is_person = |name: &str| c.registry().person(name).is_some();
        let decider = caller.decider(is_person);
        let decider = decider.map_err(|error| Refusal::Forbidden(error.0))?;
        if let Decider::Agent(name) = &decider
            && !c.has_agent(name)
        {
            let (what, id) = ("agent or person", name.clone());
            return Err(Refusal::NotFound { what, id });
        }
        let shown = request.shown_hash.as_deref();
        let form = request.form.clone().map(RawJson::from);
        let said = Said {
            decision: &request.decision,
            comment: request.comment.as_deref(),
            form: form.as_ref(),
        };
        c.decide_approval(&id, &said, &decider, shown, now)?;
        c.approval(&id)
    });
    decide.await
}

pub(super) async fn incidents(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<IncidentList>, Problem> {
    let list = app.answer(|c, _| {
        let incidents = c.incidents();
        Ok(IncidentList { incidents })
    });
    list.await
}

pub(super) async fn resolve(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(request): Body<ResolveRequest>,
) -> Result<Answer<IncidentList>, Problem> {
    let action = match request.action.as_str() {
        "retry" => Resolution::Retry,
        "skip" => Resolution::Skip,
        "abandon" => Resolution::Abandon,
        other => {
            return Err(bad_word(format!(
                "`{other}` is not an action: retry, skip, abandon"
            )));
        }
    };
    if request.reason.trim().is_empty() {
        return Err(bad_word("say why: `reason` is empty".to_owned()));
    }
    let resolve = app.answer(move |c, now| {
        c.resolve_incident(&id, action, &request.reason, caller.display(), now)?;
        let incidents = c.incidents();
        Ok(IncidentList { incidents })
    });
    resolve.await
}
