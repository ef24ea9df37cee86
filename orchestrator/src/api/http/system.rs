//! The server itself: health, and who the server takes the caller for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::identity::Caller;
use crate::protocol::{AlarmList, Health, Me, NewestAlarm};

use super::App;
use super::body::Answer;
use super::problem::Problem;
use super::roles::Operator;

pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let store = app.handle.store();
    let head = store.head();
    let reason = store.refuses();
    let status = match reason {
        None => "ok",
        Some(_) => "read_only",
    };
    let (alarms, newest) = app.alarms.open(app.clock.now());
    Json(Health {
        status: status.to_owned(),
        reason: reason.map(|reason| reason.to_string()),
        mode: store.durability().name().to_owned(),
        alarms,
        newest_alarm: newest.map(|(kind, at)| NewestAlarm {
            kind: kind.as_str().to_owned(),
            at: at.to_string(),
        }),
        head_seq: head.seq.0,
        head_hash: head.hash.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: app.instance.clone(),
    })
}

pub(super) async fn me(caller: Caller) -> Json<Me> {
    let name = caller.acting_as.or(caller.name);
    Json(Me {
        role: caller.role.as_str().to_owned(),
        name,
    })
}

pub(super) async fn alarms(
    State(app): State<Arc<App>>,
    _operator: Operator,
) -> Result<Answer<AlarmList>, Problem> {
    let alarms = app.answer(|c, _| {
        let alarms = c.alarms();
        Ok(AlarmList { alarms })
    });
    alarms.await
}
