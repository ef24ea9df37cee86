//! `oneOf`: objects told apart by the constant of one property.

use std::sync::Arc;

use serde_json::Value as Json;

use super::parse::error;
use super::{OneOfShape, Property, Schema, SchemaError, Shape, Variant};

/// Finds the property that tells the variants apart; a variant that is `null` makes the whole optional.
pub(super) fn one_of(mut schemas: Vec<Schema>, at: &str) -> Result<Schema, SchemaError> {
    let count = schemas.len();
    schemas.retain(|schema| !matches!(schema.0.shape, Shape::Null));
    let optional = schemas.len() < count;
    let tag = schemas.first().and_then(|first| {
        constants(first)
            .map(|(name, _)| name.to_owned())
            .find(|name| has_distinct_constants(name, &schemas))
    });
    let Some(tag) = tag else {
        let message = "`oneOf` needs a required property that is a different `const` in each \
                           of its objects";
        return Err(error("PHI103", at, message));
    };
    let variants = schemas
        .into_iter()
        .filter_map(|schema| {
            let value = constants(&schema)
                .find(|(name, _)| *name == tag)
                .map(|(_, value)| value.clone())?;
            Some(Variant { tag: value, schema })
        })
        .collect();
    let mut schema = Schema::of(Shape::OneOf(OneOfShape { tag, variants }));
    Arc::make_mut(&mut schema.0).optional = optional;
    Ok(schema)
}

/// The required properties of an object that allow one value only.
fn constants(schema: &Schema) -> impl Iterator<Item = (&str, &Json)> {
    let properties: &[Property] = match &schema.0.shape {
        Shape::Object(object) => &object.properties,
        _ => &[],
    };
    properties
        .iter()
        .filter(|property| property.required)
        .filter_map(|property| match &property.schema.0.shape {
            Shape::Enum(values) => match values.as_slice() {
                [value] => Some((property.name.as_str(), value)),
                _ => None,
            },
            _ => None,
        })
}

fn has_distinct_constants(name: &str, schemas: &[Schema]) -> bool {
    let mut seen: Vec<&Json> = Vec::new();
    schemas.iter().all(|schema| {
        let value = constants(schema).find(|(known, _)| *known == name);
        value.is_some_and(|(_, value)| {
            let fresh = !seen.contains(&value);
            seen.push(value);
            fresh
        })
    })
}
