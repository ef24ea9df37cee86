//! Transactions over files and documents.

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_state::transaction::{
    Act, Change, PatchError, PrepareError, ReaderFault, RevertError, Step, TransactionState, read,
};
use serde_json::json;

use crate::identity::Caller;
use crate::protocol::{
    ChangedDocument, ChangedFile, KeptFile, TransactionDetail, TransactionList, TransactionRequest,
};
use crate::runtime::{TransactError, Transacted};

use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::{Member, Operator};
use super::writes::Right;
use super::{App, RESULT_BYTES_MAX};

pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    right: Right,
    Body(TransactionRequest(request)): Body<TransactionRequest, RESULT_BYTES_MAX>,
) -> Result<Answer<TransactionDetail>, Problem> {
    let transaction = read(&request, app.transactor.roots().only());
    let transaction = transaction.map_err(|faults| faulty(&faults))?;
    let files = |change: &Change| matches!(change, Change::File(_));
    if transaction.changes.iter().any(files) {
        caller.operator()?;
    }
    let writer = right.of(&caller, &app)?;
    Ok(created(app.transactor.apply(transaction, writer).await?))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<TransactionList>, Problem> {
    let list = app.answer(|c, _| {
        let transactions = c.transactions();
        Ok(TransactionList { transactions })
    });
    list.await
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<TransactionDetail>, Problem> {
    let show = app.answer(move |c, _| {
        let id = c.find_transaction(&id)?;
        Ok(detail(&c.transaction(&id)?, None))
    });
    show.await
}

pub(super) async fn revert(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Answer<TransactionDetail>, Problem> {
    let find = app.handle.call(move |c, _| c.find_transaction(&id));
    let (id, _) = find.await?;
    let by = caller.display().to_owned();
    Ok(created(app.transactor.revert(id, by).await?))
}

/// Whole on disk, or decided and on its way there.
fn created(transacted: Transacted) -> Answer<TransactionDetail> {
    let status = match transacted.waits {
        None => StatusCode::CREATED,
        Some(_) => StatusCode::ACCEPTED,
    };
    Answer {
        status,
        body: detail(&transacted.state, transacted.waits),
        head: transacted.head,
    }
}

fn detail(state: &TransactionState, waits: Option<String>) -> TransactionDetail {
    let decision = state.decision.as_ref();
    let files = decision.into_iter().flat_map(|decision| &decision.files);
    let documents = decision
        .into_iter()
        .flat_map(|decision| &decision.documents);
    let documents = documents.map(|step| ChangedDocument {
        name: step.name.to_string(),
        before: step.before,
        after: step.after,
    });
    let conflicts = state.kept.iter().map(|kept| KeptFile {
        root: kept.place.root.to_string(),
        path: kept.place.path.to_string(),
        kept: kept.kept.to_string(),
    });
    let aborted = state.aborted.as_ref();
    TransactionDetail {
        id: state.id.to_string(),
        status: state.phase.as_str().to_owned(),
        by: state.intent.by.clone(),
        reason: state.intent.reason.clone(),
        reverts: state.intent.reverts.as_ref().map(ToString::to_string),
        files: files.map(file).collect(),
        documents: documents.collect(),
        conflicts: conflicts.collect(),
        detail: waits.or_else(|| aborted.map(|(code, reason)| format!("{code}: {reason}"))),
    }
}

fn file(Step { place, act }: &Step) -> ChangedFile {
    let (change, before, after) = match act {
        Act::Put {
            before: None,
            after,
            ..
        } => ("created", None, Some(after)),
        Act::Put {
            before: Some(before),
            after,
            ..
        } => ("changed", Some(before), Some(after)),
        Act::Remove { before, .. } => ("removed", Some(before), None),
        Act::Same { after } => ("unchanged", Some(after), Some(after)),
        Act::MakeDir { .. } => ("made_directory", None, None),
        Act::RemoveDir {} => ("removed_directory", None, None),
    };
    ChangedFile {
        root: place.root.to_string(),
        path: place.path.to_string(),
        change: change.to_owned(),
        before: before.map(|image| image.sha256.to_string()),
        after: after.map(|image| image.sha256.to_string()),
    }
}

fn faulty(faults: &[ReaderFault]) -> Problem {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| match fault.pointer.as_str() {
            "" => fault.message.clone(),
            pointer => format!("{pointer}: {}", fault.message),
        })
        .collect();
    let list = faults
        .iter()
        .map(|fault| json!({ "path": fault.pointer, "message": fault.message }));
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "transaction", lines.join("\n")).with_diagnostics(list.collect())
}

impl From<TransactError> for Problem {
    fn from(error: TransactError) -> Self {
        let words = error.to_string();
        let problem = |status, code: &str| Self::new(status, code, words.clone());
        match error {
            TransactError::Refused(refusal) => refusal.into(),
            TransactError::NotCommitted { .. } => problem(StatusCode::CONFLICT, "not_committed"),
            TransactError::Revert(RevertError::Gone(_)) => problem(StatusCode::GONE, "gone"),
            TransactError::Revert(RevertError::Io { .. }) => {
                problem(StatusCode::SERVICE_UNAVAILABLE, "unreadable")
            }
            TransactError::Prepare(refused) => {
                let code = refused.code();
                match refused {
                    PrepareError::Conflict { .. }
                    | PrepareError::Patch {
                        source: PatchError::Misfit { .. },
                        ..
                    } => problem(StatusCode::CONFLICT, code)
                        .with_hint("nothing was changed: read the files again, then decide again"),
                    PrepareError::NoRoot(_) => problem(StatusCode::UNPROCESSABLE_ENTITY, code)
                        .with_hint("the server's owner declares roots: `serve --root NAME=PATH`"),
                    PrepareError::Io { source, .. }
                        if matches!(
                            source.kind(),
                            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                        ) =>
                    {
                        problem(StatusCode::INSUFFICIENT_STORAGE, "full")
                    }
                    PrepareError::Io { .. } => problem(StatusCode::SERVICE_UNAVAILABLE, code)
                        .with_hint("nothing was changed"),
                    PrepareError::Faulty(_)
                    | PrepareError::Patch { .. }
                    | PrepareError::Target { .. }
                    | PrepareError::TooLarge => problem(StatusCode::UNPROCESSABLE_ENTITY, code),
                }
            }
        }
    }
}
