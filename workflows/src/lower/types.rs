//! The types of what the engine itself provides.

use crate::expr::{ObjectType, Type};
use crate::machine::{ApprovalSpec, Template, TemplatePart};

/// `self.input`: the names are certain, the values were evaluated long ago.
pub(super) fn input_type(input: &[(String, Template)]) -> Type {
    Type::object(input.iter().map(|(name, template)| {
        let ty = match template {
            Template::Text(parts) if parts.iter().any(|p| matches!(p, TemplatePart::Text(_))) => {
                Type::String
            }
            _ => Type::Any,
        };
        (name.as_str(), ty)
    }))
}

/// `run`.
pub(super) fn run_type() -> Type {
    Type::object([
        ("id", Type::String),
        ("workflow", Type::String),
        ("version", Type::String),
        ("started_at", Type::Timestamp),
        ("now", Type::Timestamp),
        ("attempt", Type::Int),
        ("trigger", Type::Any),
        ("labels", Type::map(Type::String)),
    ])
}

/// `error`, where there is one.
pub(super) fn error_type() -> Type {
    ObjectType::default()
        .field("code", Type::String)
        .field("message", Type::String)
        .field("data", Type::Any)
        .field("attempt", Type::Int)
        .optional_field("step", Type::String, "a run can fail at no step")
        .into()
}

/// `event`, where one has come: its name, its data, and when it was published.
pub(super) fn event_type(data: Type) -> Type {
    Type::object([
        ("name", Type::String),
        ("data", data),
        ("at", Type::Timestamp),
    ])
}

/// The output of `files`: a digest is missing where there was no file, or is none any more.
pub(super) fn file_changes_type() -> Type {
    let change = ObjectType::default()
        .field("in", Type::String)
        .field("path", Type::String)
        .optional_field("before", Type::String, "the file may be new")
        .optional_field("after", Type::String, "the file may be gone");
    Type::object([("txid", Type::String), ("files", Type::list(change.into()))])
}

/// The output of an approval.
pub(super) fn approval_type(spec: &ApprovalSpec) -> Type {
    let object = ObjectType::default()
        .field("decision", Type::one_of(spec.options.iter().cloned()))
        .field("by", Type::list(Type::String))
        .field("at", Type::Timestamp)
        .optional_field("comment", Type::String, "nobody has to say a word");
    let why = "time may have run out without an answer";
    match &spec.form {
        Some(form) => object.optional_field("form", Type::from_schema(form), why),
        None => object,
    }
    .into()
}
