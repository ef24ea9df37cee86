//! Snapshots of the store: list them, take one; and going back to an earlier moment.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::coordinator::RewindOrder;
use crate::protocol::{RewindAnswer, RewindRequest, SnapshotList, SnapshotTaken};
use crate::runtime::SnapshotFailure;

use super::App;
use super::body::{Answer, Body};
use super::past::moment;
use super::problem::Problem;
use super::roles::Owner;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _owner: Owner,
) -> Result<Json<SnapshotList>, Problem> {
    let snapshots = app.snapshots.clone();
    let listed = tokio::task::spawn_blocking(move || snapshots.list()).await;
    let listed = listed.map_err(|_| "the reader of the snapshots stopped".to_owned());
    let listed = listed.and_then(|listed| listed.map_err(|error| error.to_string()));
    let listed = listed
        .map_err(|detail| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail))?;
    Ok(Json(SnapshotList::of(&listed)))
}

pub(super) async fn take(
    State(app): State<Arc<App>>,
    _owner: Owner,
) -> Result<Json<SnapshotTaken>, Problem> {
    match app.snapshots.take().await {
        Ok(taken) => Ok(Json(SnapshotTaken::of(taken.as_ref()))),
        Err(SnapshotFailure::Refused(refusal)) => Err(refusal.into()),
        Err(failure @ SnapshotFailure::Stopping) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "busy", failure.to_string()))
        }
        Err(failure @ SnapshotFailure::Snapshot(_)) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, "no_snapshot", failure.to_string())
                .with_hint("the server goes on as before; `phisync doctor` says what is wrong"))
        }
    }
}

pub(super) async fn rewind(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    Body(request): Body<RewindRequest>,
) -> Result<Answer<RewindAnswer>, Problem> {
    let order = RewindOrder {
        to: moment(&request.to)?,
        by: caller.display().to_owned(),
        reason: request.reason,
        confirmed: request.confirm,
    };
    let rewound = app.handle.call(move |c, now| c.rewind(&order, now));
    let (answer, head) = rewound.await?;
    Ok(Answer::ok(answer, head))
}
