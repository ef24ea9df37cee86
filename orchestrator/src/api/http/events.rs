//! Events: what anybody may wait for, and what starts runs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::engine::RawJson;
use crate::identity::Caller;
use crate::protocol::{EventRequest, EventSent};

use super::App;
use super::body::{Answer, Body};
use super::problem::Problem;

pub(super) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<EventRequest>,
) -> Result<Answer<EventSent>, Problem> {
    caller.operator()?;
    let by = caller.display().to_owned();
    let data = request.data.map(RawJson::from);
    let data = data.unwrap_or_else(|| RawJson::from_value(&serde_json::Value::Null));
    let (body, head) = app
        .handle
        .call(move |c, now| {
            let key = request.key.as_deref();
            let number = c.send_event(&request.event, &data, key, &by, now)?;
            let event = request.event;
            Ok(EventSent { event, number })
        })
        .await?;
    let status = StatusCode::CREATED;
    Ok(Answer { status, head, body })
}
