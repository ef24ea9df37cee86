//! Schemas: the subset of JSON Schema 2020-12 that the language has, with its short forms.
//!
//! `parse` reads them, [`violations`](Schema::violations) holds values against them, and
//! [`Schema::to_json`] writes them out for agents. Nothing is ever fetched: a `$ref` names a schema of the same
//! workflow. Fields that a schema does not name are accepted in values (unless it says
//! `additionalProperties: false`) but cannot be read by expressions.

mod domain;
mod parse;
mod render;
mod size;
mod tag;
mod types;
mod validate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use regex::Regex;
use serde_json::Value as Json;

pub(crate) use domain::Domain;
pub(crate) use validate::bind;

/// What values are allowed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema(Arc<Node>);

#[derive(Clone, Debug)]
struct Node {
    shape: Shape,
    /// Whether null is allowed, and absence where the schema is a property or an input.
    optional: bool,
    default: Option<Json>,
    description: Option<String>,
    /// How many schemas it consists of, names resolved.
    weight: u32,
    /// How deep they nest.
    height: u32,
}

#[derive(Clone, Debug)]
enum Shape {
    Any,
    Null,
    Bool,
    Int(Bounds<i64>),
    Number(Bounds<f64>),
    Text(TextShape),
    Timestamp,
    Duration,
    /// One of these values, at least one.
    Enum(Vec<Json>),
    List(ListShape),
    Object(ObjectShape),
    /// Objects told apart by the constant of one property.
    OneOf(OneOfShape),
}

#[derive(Clone, Copy, Debug)]
struct Bounds<T> {
    min: Option<T>,
    max: Option<T>,
}

#[derive(Clone, Debug)]
struct TextShape {
    /// In characters.
    length: Bounds<u64>,
    pattern: Option<Regex>,
    /// Carried for agents, not checked.
    format: Option<String>,
}

#[derive(Clone, Debug)]
struct ListShape {
    items: Schema,
    length: Bounds<u64>,
}

#[derive(Clone, Debug)]
struct ObjectShape {
    /// In the order written.
    properties: Vec<Property>,
    additional: Additional,
}

#[derive(Clone, Debug)]
struct Property {
    name: String,
    schema: Schema,
    required: bool,
}

/// What holds for fields that are not named.
#[derive(Clone, Debug)]
enum Additional {
    /// Nothing was said: accepted and kept, unknown to expressions.
    Kept,
    /// `true`: accepted, and expressions may read them.
    Allowed,
    /// `false`.
    Refused,
    /// Each must match.
    Matching(Schema),
}

#[derive(Clone, Debug)]
struct OneOfShape {
    tag: String,
    variants: Vec<Variant>,
}

#[derive(Clone, Debug)]
struct Variant {
    tag: Json,
    schema: Schema,
}

/// A place where a value breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place, as `output.files[3].path`.
    pub path: String,
    /// What is wrong, as `expected integer, found string`.
    pub message: String,
}

/// Why a text is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// The bad place within the schema, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong, in one line.
    pub message: String,
    /// The diagnostic's code, as `PHI207`.
    pub code: &'static str,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

impl Schema {
    /// The schema that allows everything.
    #[must_use]
    pub fn any() -> Self {
        Self::of(Shape::Any)
    }

    fn of(shape: Shape) -> Self {
        Self(Arc::new(Node {
            shape,
            optional: false,
            default: None,
            description: None,
            weight: 1,
            height: 1,
        }))
    }

    /// Reads a schema that the YAML front end has turned into JSON: a short form (`string[]`,
    /// `Finding?`) or a JSON Schema object. `named` finds the schemas of the workflow.
    ///
    /// # Errors
    /// The first thing that is not a schema of the subset.
    pub fn from_json(
        json: &Json,
        named: &dyn Fn(&str) -> Option<Schema>,
    ) -> Result<Self, SchemaError> {
        parse::parse(json, named)
    }

    /// Whether every value is allowed, so that nobody need look.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self.0.shape, Shape::Any)
    }

    /// Whether null is allowed: written with `?`.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.0.optional
    }

    /// The value that stands for an absent one.
    #[must_use]
    pub fn default(&self) -> Option<&Json> {
        self.0.default.as_ref()
    }

    /// The description for people and agents.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Everything that is wrong with `value`; paths start with `root`. At most 20.
    #[must_use]
    pub fn violations(&self, root: &str, value: &Json) -> Vec<Violation> {
        validate::violations(self, root, value)
    }

    /// As a JSON Schema object, for agents.
    #[must_use]
    pub fn to_json(&self) -> Json {
        render::to_json(self)
    }
}
