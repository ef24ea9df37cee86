//! The API as a whole: who may do what, whether its description is true, and what foreign tools find.

mod matrix;
mod schemathesis;
mod tour;
