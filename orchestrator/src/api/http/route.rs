//! One line of the table of routes.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post, put};

use crate::identity::Role;

use super::App;
use super::about::{About, Described};

/// One thing that a client can ask for.
pub struct Route {
    /// As `GET`.
    pub method: &'static str,
    /// As `/v1/runs/{id}`.
    pub path: &'static str,
    /// One word for programs, as `runs.show`.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    about: About,
    handler: MethodRouter<Arc<App>>,
}

impl Route {
    /// Something that is only looked at.
    pub(super) fn get<H, T, Parts>(
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>> + Described<Parts>,
        T: 'static,
    {
        Self {
            method: "GET",
            path,
            name,
            summary,
            about: H::about(),
            handler: get(handler),
        }
    }

    /// Something that may change what the store holds, so that the disk may have no room for it.
    pub(super) fn post<H, T, Parts>(
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>> + Described<Parts>,
        T: 'static,
    {
        let about = H::about();
        Self::change("POST", path, name, summary, about, post(handler))
    }

    /// Something that is put in the place of what was there.
    pub(super) fn put<H, T, Parts>(
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>> + Described<Parts>,
        T: 'static,
    {
        let about = H::about();
        Self::change("PUT", path, name, summary, about, put(handler))
    }

    fn change(
        method: &'static str,
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        mut about: About,
        handler: MethodRouter<Arc<App>>,
    ) -> Self {
        if about.head {
            about.refusals.extend([429, 507]);
        }
        Self {
            method,
            path,
            name,
            summary,
            about,
            handler,
        }
    }

    /// Its good answers have these statuses, not those that its types stand for.
    pub(super) fn answers(mut self, statuses: &[u16]) -> Self {
        self.about.statuses = statuses.to_vec();
        self
    }

    /// It is also refused with these statuses.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.about.refusals.extend(statuses);
        self
    }

    /// Who may call; `None`: nobody asks who it is.
    #[must_use]
    pub fn roles(&self) -> Option<&'static [Role]> {
        self.about.roles
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn into_handler(self) -> MethodRouter<Arc<App>> {
        self.handler
    }
}
