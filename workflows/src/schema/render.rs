//! Writes a schema as JSON Schema 2020-12, for agents: short forms spelt out, names resolved.

use serde_json::{Map, Value as Json, json};

use super::{Additional, Bounds, ObjectShape, Schema, Shape};

pub(super) fn to_json(schema: &Schema) -> Json {
    let mut keys = Map::new();
    let node = &*schema.0;
    if let Some(description) = &node.description {
        keys.insert("description".to_owned(), json!(description));
    }
    shape(&node.shape, &mut keys);
    if node.optional {
        allow_null(&mut keys);
    }
    if let Some(default) = &node.default {
        keys.insert("default".to_owned(), default.clone());
    }
    Json::Object(keys)
}

fn shape(shape: &Shape, keys: &mut Map<String, Json>) {
    let mut set = |key: &str, value: Json| keys.insert(key.to_owned(), value);
    match shape {
        Shape::Any => {}
        Shape::Null => {
            set("type", json!("null"));
        }
        Shape::Bool => {
            set("type", json!("boolean"));
        }
        Shape::Int(range) => {
            set("type", json!("integer"));
            bounds(keys, range, ["minimum", "maximum"]);
        }
        Shape::Number(range) => {
            set("type", json!("number"));
            bounds(keys, range, ["minimum", "maximum"]);
        }
        Shape::Text(text) => {
            set("type", json!("string"));
            if let Some(pattern) = &text.pattern {
                set("pattern", json!(pattern.as_str()));
            }
            if let Some(format) = &text.format {
                set("format", json!(format));
            }
            bounds(keys, &text.length, ["minLength", "maxLength"]);
        }
        Shape::Timestamp => {
            set("type", json!("string"));
            set("format", json!("date-time"));
        }
        Shape::Duration => {
            set("type", json!("string"));
            set("format", json!("duration"));
        }
        Shape::Enum(values) => match values.as_slice() {
            [value] => {
                set("const", value.clone());
            }
            _ => {
                set("enum", json!(values));
            }
        },
        Shape::List(list) => {
            set("type", json!("array"));
            if !list.items.is_any() {
                set("items", to_json(&list.items));
            }
            bounds(keys, &list.length, ["minItems", "maxItems"]);
        }
        Shape::Object(shape) => object(shape, keys),
        Shape::OneOf(one_of) => {
            let variants = one_of.variants.iter().map(|v| to_json(&v.schema));
            set("oneOf", variants.collect());
        }
    }
}

fn object(object: &ObjectShape, keys: &mut Map<String, Json>) {
    let mut set = |key: &str, value: Json| keys.insert(key.to_owned(), value);
    set("type", json!("object"));
    if !object.properties.is_empty() {
        let properties = object.properties.iter();
        let properties = properties.map(|p| (p.name.clone(), to_json(&p.schema)));
        set("properties", Json::Object(properties.collect()));
    }
    let required = object
        .properties
        .iter()
        .filter(|property| property.required);
    let required: Vec<&str> = required.map(|property| property.name.as_str()).collect();
    if !required.is_empty() {
        set("required", json!(required));
    }
    match &object.additional {
        Additional::Kept => {}
        Additional::Allowed => {
            set("additionalProperties", json!(true));
        }
        Additional::Refused => {
            set("additionalProperties", json!(false));
        }
        Additional::Matching(schema) => {
            set("additionalProperties", to_json(schema));
        }
    }
}

fn bounds<T: Copy + Into<Json>>(
    keys: &mut Map<String, Json>,
    bounds: &Bounds<T>,
    [min, max]: [&str; 2],
) {
    for (key, bound) in [(min, bounds.min), (max, bounds.max)] {
        if let Some(bound) = bound {
            keys.insert(key.to_owned(), bound.into());
        }
    }
}

/// Null is one type more where there is a `type`, else one value or one variant more.
fn allow_null(keys: &mut Map<String, Json>) {
    if let Some(name) = keys.get_mut("type") {
        if name != "null" {
            *name = json!([name.take(), "null"]);
        }
    } else if let Some(value) = keys.remove("const") {
        keys.insert("enum".to_owned(), json!([value, null]));
    } else if let Some(Json::Array(values)) = keys.get_mut("enum") {
        values.push(Json::Null);
    } else if let Some(Json::Array(variants)) = keys.get_mut("oneOf") {
        variants.push(json!({"type": "null"}));
    }
}
