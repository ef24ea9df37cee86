//! A client's memory of the store: the highest head that it was told.
//!
//! A journal that was put back to an older state verifies by itself; whoever saw more notices. The word
//! of a client raises an alarm and ends its own request, and never stops the server.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use phisync_state::Head;

use crate::coordinator::{Alarm, AlarmKind};

use super::App;
use super::problem::Problem;

/// With this header a client says which head it was told last.
pub(super) const WITNESS: &str = "phisync-witness";

/// Holds the journal against the head that a client says it was told, if it says so.
///
/// # Errors
/// The journal never went through it; or what came is no head.
pub(super) async fn check(headers: &HeaderMap, app: &App, who: &str) -> Result<(), Problem> {
    let Some(given) = headers.get(WITNESS) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or_default();
    let witness: Head = given.parse().map_err(|error| {
        let detail = format!("the header `Phisync-Witness` holds no head: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    })?;
    let store = Arc::clone(app.handle.store());
    let head = store.head();
    let (asked, newest) = (witness.clone(), head.clone());
    let went_through = if witness.seq >= head.seq {
        Ok(asked == newest)
    } else {
        // Reading files has no place on the threads of the sockets.
        let read = tokio::task::spawn_blocking(move || store.went_through(&asked));
        read.await.unwrap_or(Ok(true))
    };
    match went_through {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::error!(
                %witness,
                %head,
                who,
                "a client was told a head that this journal never had: was an older copy put back?"
            );
            let alarm = Alarm {
                kind: AlarmKind::WitnessAhead,
                about: who.to_owned(),
                says: format!("was told {witness}, which this journal never went through"),
            };
            let raised = app.handle.call(move |c, now| c.raise(alarm, now));
            if let Err(refusal) = raised.await {
                tracing::warn!(%refusal, "an alarm is not on record");
            }
            let detail = format!("this journal, at {head}, never went through `{witness}`");
            let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "not_this_journal", detail);
            Err(problem.with_hint(
                "nothing was done; tell the owner: an older copy of the data directory may have \
                 been put back",
            ))
        }
        Err(error) => {
            tracing::warn!(%error, "a witness could not be looked up");
            Ok(())
        }
    }
}
