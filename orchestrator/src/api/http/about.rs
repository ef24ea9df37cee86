//! What a route tells of itself, taken from the types of its handler.
//!
//! Each argument of a handler and its answer add what they mean: who may call, what is read, what can come
//! back. So a description cannot forget what the code does. Only what no type says (a summary, the statuses
//! of a particular refusal) is written in the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::identity::Role;

use super::App;
use super::problem::Problem;

/// Makes the schema of one type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`, by name where it has one.
pub(super) fn schema_of<T: JsonSchema>() -> SchemaOf {
    |generator| generator.subschema_for::<T>()
}

/// What is known of a route besides its address.
#[derive(Default)]
pub(super) struct About {
    /// Who may call; `None`: nobody asks who it is.
    pub(super) roles: Option<&'static [Role]>,
    /// The headers that it takes, beside those of every request.
    pub(super) headers: Vec<&'static str>,
    /// What may stand behind the question mark, as an object.
    pub(super) query: Option<SchemaOf>,
    /// Media type and schema of the body.
    pub(super) body: Option<(&'static str, SchemaOf)>,
    /// What a good answer holds.
    pub(super) answer: Option<SchemaOf>,
    /// Whether a good answer carries the witness of the store.
    pub(super) head: bool,
    /// Statuses of good answers.
    pub(super) statuses: Vec<u16>,
    /// Statuses of refusals.
    pub(super) refusals: BTreeSet<u16>,
}

/// An argument of a handler.
pub(super) trait Part {
    /// Adds what it means for the route.
    fn describe(about: &mut About);
}

/// The answer of a handler.
pub(super) trait Reply {
    /// Adds what it means for the route.
    fn describe(about: &mut About);
}

/// A handler, told by the types of its arguments.
pub(super) trait Described<Parts> {
    /// What they and the answer mean for the route.
    fn about() -> About;
}

macro_rules! described {
    ($($part:ident),*) => {
        impl<F, Future, Answer, $($part),*> Described<($($part,)*)> for F
        where
            F: Fn($($part),*) -> Future,
            Future: std::future::Future<Output = Answer>,
            Answer: Reply,
            $($part: Part,)*
        {
            fn about() -> About {
                let mut about = About::default();
                $($part::describe(&mut about);)*
                Answer::describe(&mut about);
                about
            }
        }
    };
}

described!();
described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);
described!(A, B, C, D, E, G, H);

impl Part for State<Arc<App>> {
    fn describe(_: &mut About) {}
}

impl<T: Reply> Reply for Result<T, Problem> {
    fn describe(about: &mut About) {
        T::describe(about);
    }
}

impl<T: JsonSchema> Reply for Json<T> {
    fn describe(about: &mut About) {
        about.answer = Some(schema_of::<T>());
        about.statuses.push(200);
    }
}

impl<T: Reply> Reply for (StatusCode, T) {
    fn describe(about: &mut About) {
        T::describe(about);
    }
}

/// Done, and nothing to say.
impl Reply for StatusCode {
    fn describe(about: &mut About) {
        about.statuses.push(204);
    }
}
