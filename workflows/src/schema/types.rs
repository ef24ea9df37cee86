//! The static type of a schema's values: what an expression may rely on.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Additional, ObjectShape, OneOfShape, Schema, Shape};
use crate::expr::{ObjectType, Type};

impl Schema {
    pub(crate) fn static_type(&self) -> Type {
        if self.0.optional {
            Type::Any
        } else {
            self.static_type_when_present()
        }
    }

    /// The type of the values that are not null.
    pub(crate) fn static_type_when_present(&self) -> Type {
        match &self.0.shape {
            Shape::Any => Type::Any,
            Shape::Null => Type::Null,
            Shape::Bool => Type::Bool,
            Shape::Int(_) => Type::Int,
            Shape::Number(_) => Type::Double,
            Shape::Text(_) => Type::String,
            Shape::Timestamp => Type::Timestamp,
            Shape::Duration => Type::Duration,
            Shape::Enum(values) => enum_type(values),
            Shape::List(list) => {
                let most = list.length.max.and_then(|most| u32::try_from(most).ok());
                Type::list_of(list.items.static_type(), most)
            }
            Shape::Object(object) => object_type(object),
            Shape::OneOf(one_of) => one_of_type(one_of),
        }
    }
}

fn enum_type(values: &[Json]) -> Type {
    let texts: Option<Vec<&str>> = values.iter().map(Json::as_str).collect();
    if let Some(texts) = texts {
        Type::one_of(texts)
    } else if values.iter().all(Json::is_i64) {
        Type::Int
    } else if values.iter().all(Json::is_number) {
        Type::Double
    } else if values.iter().all(Json::is_boolean) {
        Type::Bool
    } else {
        Type::Any
    }
}

fn object_type(object: &ObjectShape) -> Type {
    if object.properties.is_empty() {
        return Type::map(match &object.additional {
            Additional::Matching(schema) => schema.static_type(),
            Additional::Kept | Additional::Allowed | Additional::Refused => Type::Any,
        });
    }
    let closed = object
        .properties
        .iter()
        .fold(ObjectType::default(), |fields, property| {
            let ty = property.schema.static_type_when_present();
            if property.required && !property.schema.is_optional() {
                fields.field(&property.name, ty)
            } else {
                fields.optional_field(&property.name, ty, "it is optional")
            }
        });
    match object.additional {
        Additional::Kept | Additional::Refused => closed.into(),
        Additional::Allowed | Additional::Matching(_) => closed.open().into(),
    }
}

/// The tag is always there; any other property only if every variant has it.
fn one_of_type(one_of: &OneOfShape) -> Type {
    let mut known: BTreeMap<&str, (Type, usize)> = BTreeMap::new();
    for variant in &one_of.variants {
        let Shape::Object(object) = &variant.schema.0.shape else {
            return Type::Any;
        };
        for property in &object.properties {
            let ty = property.schema.static_type_when_present();
            let certain = usize::from(property.required && !property.schema.is_optional());
            known
                .entry(&property.name)
                .and_modify(|(joined, count)| {
                    *joined = joined.join(&ty);
                    *count += certain;
                })
                .or_insert((ty, certain));
        }
    }
    let tags: Vec<Json> = one_of.variants.iter().map(|v| v.tag.clone()).collect();
    known
        .into_iter()
        .fold(ObjectType::default(), |fields, (name, (ty, count))| {
            if name == one_of.tag {
                fields.field(name, enum_type(&tags))
            } else if count == one_of.variants.len() {
                fields.field(name, ty)
            } else {
                fields.optional_field(name, ty, "not every variant has it")
            }
        })
        .into()
}
