//! Who is calling: the bearer token, and for the owner the one they act as.
//!
//! Found out once for each request, before its handler. A token holds so many requests at a time and no more;
//! a peer that guesses tokens is answered more and more slowly, while good tokens from the same place pass.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use crate::identity::{Caller, Role, Secret};

use super::App;
use super::limits::Limits;
use super::problem::Problem;
use super::witness;

/// With this header the owner acts as an agent or a person.
pub const ACT_AS: &str = "phisync-agent";

/// For so long the wrong tokens of a peer are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// Peers remembered; more are one.
const PEERS_MAX: usize = 4096;

/// What is counted of callers.
#[derive(Debug)]
pub struct Counts {
    /// Requests that one token may have open at once.
    open_max: u32,
    open: Mutex<BTreeMap<String, u32>>,
    /// Wrong tokens that a peer may send in a [`WINDOW`].
    wrong_max: u32,
    wrong: Mutex<BTreeMap<Option<IpAddr>, (Duration, u32)>>,
}

/// One open request of a token.
pub(super) struct Open<'a> {
    counts: &'a Counts,
    token: String,
}

impl Counts {
    /// Nobody has called yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            open_max: limits.requests_per_token,
            open: Mutex::default(),
            wrong_max: limits.wrong_tokens,
            wrong: Mutex::default(),
        }
    }

    fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
        // A thread that panicked while holding the lock left the table as it was.
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, token: &str) -> Option<Open<'_>> {
        let mut open = Self::lock(&self.open);
        let count = open.entry(token.to_owned()).or_default();
        if *count == self.open_max {
            return None;
        }
        *count += 1;
        Some(Open {
            counts: self,
            token: token.to_owned(),
        })
    }

    /// Counts a wrong token; whether there were too many of late.
    fn wrong(&self, peer: Option<IpAddr>, now: Duration) -> bool {
        let mut wrong = Self::lock(&self.wrong);
        if wrong.len() >= PEERS_MAX {
            wrong.retain(|_, (since, _)| now.saturating_sub(*since) < WINDOW);
        }
        let peer = peer.filter(|peer| wrong.len() < PEERS_MAX || wrong.contains_key(&Some(*peer)));
        let (since, count) = wrong.entry(peer).or_insert((now, 0));
        if now.saturating_sub(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > self.wrong_max
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = Counts::lock(&self.counts.open);
        if let Some(count) = open.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.token);
            }
        }
    }
}

/// Finds out who calls, once, and leaves it with the request for the handler to ask. What it gives counts as
/// an open request while it lives.
///
/// # Errors
/// Too many wrong tokens from this peer; too many open requests of this token.
pub(super) fn identify<'a>(
    app: &'a App,
    request: &mut Request,
    peer: Option<IpAddr>,
) -> Result<Option<Open<'a>>, Problem> {
    let Some(token) = bearer(request.headers()) else {
        return Ok(None);
    };
    let known = {
        let tokens = app.tokens.lock();
        // A thread that panicked while holding the lock left the table as it was.
        let tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        tokens.identify(token, app.clock.now())
    };
    let Some(caller) = known else {
        if app.counts.wrong(peer, app.clock.monotonic()) {
            let detail = "too many wrong tokens came from here";
            return Err(busy("wrong_tokens", detail, WINDOW));
        }
        return Ok(None);
    };
    let open = match caller.role {
        Role::Admin => None,
        _ => {
            let open = app.counts.enter(Secret::from_text(token).id());
            let detail = || {
                format!(
                    "this token has {} requests open already",
                    app.counts.open_max
                )
            };
            let wait = Duration::from_secs(1);
            Some(open.ok_or_else(|| busy("too_many_requests", detail(), wait))?)
        }
    };
    request.extensions_mut().insert(caller);
    Ok(open)
}

fn busy(code: &str, detail: impl Into<String>, wait: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).with_retry_after(wait)
}

/// The token of the request, if it is a bearer token at all.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Some(mut caller) = parts.extensions.get::<Self>().cloned() else {
            return Err(unauthorized(&parts.headers));
        };
        witness::check(&parts.headers, app, caller.display()).await?;
        if let Some(name) = parts.headers.get(ACT_AS) {
            let name = name.to_str().unwrap_or_default().to_lowercase();
            let own = caller.name.as_deref() == Some(name.as_str());
            if caller.role == Role::Admin {
                caller.acting_as = Some(name);
            } else if !own {
                let detail = "only the owner acts as somebody else";
                return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
            }
        }
        Ok(caller)
    }
}

fn unauthorized(headers: &HeaderMap) -> Problem {
    let detail = match (headers.get(header::AUTHORIZATION), bearer(headers)) {
        (None, _) => "no token was sent",
        (Some(_), None) => "that is not a bearer token",
        (Some(_), Some(_)) => "that token is not known, or good no more",
    };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).with_hint(
        "send `Authorization: Bearer TOKEN`; the owner makes tokens with `phisync token create`",
    )
}

#[cfg(test)]
mod tests {
    use super::{Counts, Limits, WINDOW};
    use std::time::Duration;

    #[test]
    fn a_token_has_so_many_requests_open_and_gets_room_when_one_ends() {
        let counts = Counts::new(Limits::default());
        let mut open: Vec<_> = (0..300).map_while(|_| counts.enter("a")).collect();
        assert_eq!(open.len(), 256);
        assert!(counts.enter("a").is_none());
        assert!(counts.enter("b").is_some());
        open.pop();
        assert!(counts.enter("a").is_some());
        drop(open);
        assert!(Counts::lock(&counts.open).is_empty());
    }

    #[test]
    fn wrong_tokens_are_counted_by_peer_and_forgotten_with_time() {
        let counts = Counts::new(Limits::default());
        let (one, other) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let at = Duration::from_secs;
        for _ in 0..30 {
            assert!(!counts.wrong(one, at(1)));
        }
        assert!(counts.wrong(one, at(2)));
        assert!(!counts.wrong(other, at(2)));
        assert!(!counts.wrong(one, at(1) + WINDOW));
    }
}
