//! How large a schema may become once its names are resolved.

use std::sync::Arc;

use super::parse::error;
use super::{Additional, Schema, SchemaError, Shape};

/// Schemas nest no deeper than this, names resolved.
pub(super) const HEIGHT_MAX: u32 = 48;

/// A schema consists of no more schemas than this, names resolved: few names that each use
/// another twice would otherwise make a text of any size.
const WEIGHT_MAX: u32 = 10_000;

/// Notes the size of a schema whose parts are measured.
pub(super) fn measured(mut schema: Schema, at: &str) -> Result<Schema, SchemaError> {
    let parts: Vec<&Schema> = match &schema.0.shape {
        Shape::List(list) => vec![&list.items],
        Shape::Object(object) => {
            let rest = match &object.additional {
                Additional::Matching(schema) => Some(schema),
                Additional::Kept | Additional::Allowed | Additional::Refused => None,
            };
            object
                .properties
                .iter()
                .map(|p| &p.schema)
                .chain(rest)
                .collect()
        }
        Shape::OneOf(one_of) => one_of.variants.iter().map(|v| &v.schema).collect(),
        Shape::Any
        | Shape::Null
        | Shape::Bool
        | Shape::Int(_)
        | Shape::Number(_)
        | Shape::Text(_)
        | Shape::Timestamp
        | Shape::Duration
        | Shape::Enum(_) => Vec::new(),
    };
    let weight = parts
        .iter()
        .fold(1_u32, |sum, part| sum.saturating_add(part.0.weight));
    let height = 1 + parts.iter().map(|part| part.0.height).max().unwrap_or(0);
    if height > HEIGHT_MAX {
        return Err(too_deep(at));
    }
    if weight > WEIGHT_MAX {
        let message = format!("the schema has more than {WEIGHT_MAX} parts, names resolved");
        return Err(error("PHI104", at, message));
    }
    let node = Arc::make_mut(&mut schema.0);
    (node.weight, node.height) = (weight, height);
    Ok(schema)
}

pub(super) fn too_deep(at: &str) -> SchemaError {
    let message = format!("schemas may be nested {HEIGHT_MAX} deep, this one is deeper");
    error("PHI104", at, message)
}
