//! Which values a schema leaves open at a path: what reasoning about conditions starts from.

use serde_json::Value as Json;

use super::{Bounds, ListShape, ObjectShape, Schema, Shape};
use crate::expr::Value;

/// The values that are possible at some place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Domain {
    /// Nothing is known.
    Anything,
    /// One of these.
    Values(Vec<Value>),
    /// Any text.
    Text,
    /// Integers from the first to the second.
    Int(Option<i64>, Option<i64>),
    /// Numbers from the first to the second.
    Number(Option<f64>, Option<f64>),
}

impl Domain {
    /// True or false.
    pub(crate) fn bool() -> Self {
        Self::Values(vec![Value::Bool(true), Value::Bool(false)])
    }

    /// One of these texts.
    pub(crate) fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::Values(texts.into_iter().map(Value::string).collect())
    }
}

impl Schema {
    /// The values that this schema allows at `fields` below it.
    pub(crate) fn domain(&self, fields: &[&str]) -> Domain {
        let Some(schema) = self.below(fields) else {
            return Domain::Anything;
        };
        let domain = match &schema.0.shape {
            Shape::Bool => Domain::bool(),
            Shape::Int(bounds) => Domain::Int(bounds.min, bounds.max),
            Shape::Number(bounds) => Domain::Number(bounds.min, bounds.max),
            Shape::Text(_) => Domain::Text,
            Shape::Enum(values) if values.iter().all(is_plain) => {
                Domain::Values(values.iter().map(Value::from_json).collect())
            }
            Shape::Null => Domain::Values(vec![Value::Null]),
            Shape::Any
            | Shape::Enum(_)
            | Shape::Timestamp
            | Shape::Duration
            | Shape::List(_)
            | Shape::Object(_)
            | Shape::OneOf(_) => Domain::Anything,
        };
        match domain {
            Domain::Values(mut values) if schema.0.optional => {
                if !values.contains(&Value::Null) {
                    values.push(Value::Null);
                }
                Domain::Values(values)
            }
            _ if schema.0.optional => Domain::Anything,
            domain => domain,
        }
    }

    /// How long a list or text at `fields` may be.
    pub(crate) fn sizes(&self, fields: &[&str]) -> Domain {
        let shape = self.below(fields).map(|schema| schema.0.shape.clone());
        let bounds = match shape {
            Some(Shape::List(ListShape { length, .. })) => length,
            Some(Shape::Text(text)) => text.length,
            _ => Bounds {
                min: None,
                max: None,
            },
        };
        let int = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
        Domain::Int(Some(bounds.min.map_or(0, int)), bounds.max.map(int))
    }

    /// The schema of the property that `fields` lead to.
    fn below(&self, fields: &[&str]) -> Option<Self> {
        let mut schema = self.clone();
        for field in fields {
            schema = match &schema.0.shape {
                Shape::Object(object) => property(object, field)?,
                Shape::OneOf(one_of) if one_of.tag == **field => {
                    let tags = one_of.variants.iter().map(|variant| variant.tag.clone());
                    Self::of(Shape::Enum(tags.collect()))
                }
                _ => return None,
            };
        }
        Some(schema)
    }
}

fn property(object: &ObjectShape, name: &str) -> Option<Schema> {
    object
        .properties
        .iter()
        .find(|property| property.name == name)
        .map(|property| property.schema.clone())
}

fn is_plain(json: &Json) -> bool {
    !json.is_object() && !json.is_array()
}
