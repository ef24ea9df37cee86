//! Who may call a route, as an argument of its handler: whoever is none of them gets 403 before anything
//! of the request is read.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::identity::{Caller, NotAllowed, Role};

use super::App;
use super::about::{About, Part};
use super::problem::Problem;

/// Statuses of whoever must say who it is: a bad witness, no token, the wrong one, another journal, too much at once.
const REFUSALS: [u16; 5] = [400, 401, 403, 412, 429];

fn describe(about: &mut About, roles: &'static [Role]) {
    about.roles = Some(roles);
    about.refusals.extend(REFUSALS);
}

/// Anybody with a token.
impl Part for Caller {
    fn describe(about: &mut About) {
        describe(about, &Role::ALL);
    }
}

macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident($kind:ty) = $find:expr, $roles:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name(pub(super) $kind);

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
                let caller = Caller::from_request_parts(parts, app).await?;
                let find: fn(Caller) -> Result<$kind, NotAllowed> = $find;
                Ok(Self(find(caller)?))
            }
        }

        impl Part for $name {
            fn describe(about: &mut About) {
                describe(about, &$roles);
            }
        }
    )*};
}

callers! {
    /// Whoever may start and end runs.
    Operator(Caller) = |caller| caller.operator().map(|()| caller), [Role::Admin, Role::Operator];
    /// Whoever does anything here, not only looks.
    Member(Caller) = |caller| caller.member().map(|()| caller),
        [Role::Admin, Role::Operator, Role::Person, Role::Agent];
    /// The owner alone.
    Owner(Caller) = |caller| caller.admin().map(|()| caller), [Role::Admin];
    /// The name of the agent that calls, or that the owner acts as.
    AsAgent(String) = |caller| caller.agent(), [Role::Admin, Role::Agent];
    /// Whoever decides some approvals; which ones, each of them says.
    Decides(Caller) = |caller| caller.decider(|_| true).map(|_| caller),
        [Role::Admin, Role::Person, Role::Agent];
}
