//! Named locks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;

use crate::identity::Caller;
use crate::protocol::{AcquireRequest, Acquired, LockList, LockTokenRequest};

use super::App;
use super::body::{Answer, Body, NoContent};
use super::extract::Path;
use super::problem::Problem;
use super::roles::Member;
use super::runs::bounded_wait;

/// How long a holder may be silent that says nothing about it.
const TTL: Duration = Duration::from_secs(30);

/// Longer than any lease that is given.
const TTL_S_MAX: f64 = 1e6;

/// The most bytes of a holder's word for itself.
const HOLDER_BYTES_MAX: usize = 200;

pub(super) async fn acquire(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Body(request): Body<AcquireRequest>,
) -> Result<Answer<Acquired>, Problem> {
    let holder = request.holder.as_deref().unwrap_or_default();
    if holder.len() > HOLDER_BYTES_MAX {
        let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        let detail = format!("`holder` has at most {HOLDER_BYTES_MAX} bytes");
        return Err(Problem::new(status, "bad_request", detail));
    }
    let ttl = request.ttl_s.filter(|ttl| (0.0..TTL_S_MAX).contains(ttl));
    let ttl = ttl.map_or(TTL, Duration::from_secs_f64);
    let wait = bounded_wait(request.wait_s);
    let by = caller.display().to_owned();
    let acquired = app.handle.acquire_lock(name, by, request.holder, ttl, wait);
    let (grant, head) = acquired.await?;
    let acquired = Acquired {
        name: grant.name.to_string(),
        token: grant.token,
        lease_ms: u64::try_from(grant.ttl.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Answer::ok(acquired, head))
}

pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Body(request): Body<LockTokenRequest>,
) -> Result<Answer<Acquired>, Problem> {
    let (by, lock, token) = (caller.display().to_owned(), name.clone(), request.token);
    let (lease, head) = app
        .handle
        .call(move |c, now| c.renew_lock(&lock, token, &by, now))
        .await?;
    let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let acquired = Acquired {
        name,
        token,
        lease_ms,
    };
    Ok(Answer::ok(acquired, head))
}

pub(super) async fn release(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Path(name): Path<String>,
    Body(request): Body<LockTokenRequest>,
) -> Result<NoContent, Problem> {
    let by = caller.display().to_owned();
    let ((), head) = app
        .handle
        .call(move |c, now| c.release_lock(&name, request.token, &by, now))
        .await?;
    Ok(NoContent(head))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<LockList>, Problem> {
    let (locks, head) = app.handle.call(|c, now| Ok(c.locks(now))).await?;
    Ok(Answer::ok(LockList { locks }, head))
}
