//! Events: what anybody may wait for, and what starts runs.

use std::sync::Arc;

use axum::extract::State;

use crate::protocol::{EventRequest, EventSent};

use super::App;
use super::body::{Answer, Body, data_of};
use super::problem::Problem;
use super::roles::Operator;

pub(super) async fn send(
    State(app): State<Arc<App>>,
    Operator(caller): Operator,
    Body(request): Body<EventRequest>,
) -> Result<Answer<EventSent>, Problem> {
    let data = data_of(request.data);
    let sent = app.answer(move |c, now| {
        let key = request.key.as_deref();
        let number = c.send_event(&request.event, &data, key, caller.display(), now)?;
        let event = request.event;
        Ok(EventSent { event, number })
    });
    Ok(sent.await?.created())
}
