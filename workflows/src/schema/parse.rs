//! Reads schemas: short forms and the JSON Schema subset, from JSON.
//!
//! A property in short form is required unless it ends in `?`; a property written as an object
//! is required if `required` names it, as in JSON Schema.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::size::{HEIGHT_MAX, measured, too_deep};
use super::tag::one_of;
use super::{
    Additional, Bounds, ListShape, ObjectShape, Property, Schema, SchemaError, Shape, TextShape,
};
use crate::expr::nearest::nearest;
use crate::expr::pattern;

const PRIMITIVES: [&str; 7] = [
    "string",
    "int",
    "number",
    "bool",
    "timestamp",
    "duration",
    "any",
];

const JSON_TYPES: [&str; 5] = ["integer", "boolean", "array", "object", "null"];

const KEYWORDS: [&str; 17] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "$ref",
    "oneOf",
];

/// Keywords that say nothing about the value.
const ANNOTATIONS: [&str; 2] = ["default", "description"];

type Named<'a> = &'a dyn Fn(&str) -> Option<Schema>;

pub(super) fn parse(json: &Json, named: Named<'_>) -> Result<Schema, SchemaError> {
    Reader { named, depth: 0 }.schema(json, "")
}

struct Reader<'a> {
    named: Named<'a>,
    depth: u32,
}

impl Reader<'_> {
    fn schema(&mut self, json: &Json, at: &str) -> Result<Schema, SchemaError> {
        if self.depth >= HEIGHT_MAX {
            return Err(too_deep(at));
        }
        self.depth += 1;
        let schema = match json {
            Json::String(text) => self.short(text, at),
            Json::Object(keys) => self.object(keys, at),
            Json::Bool(true) => Ok(Schema::any()),
            other => Err(expected(at, "a schema", other)),
        };
        self.depth -= 1;
        measured(schema?, at)
    }

    /// `Finding[]?`: a name and its suffixes, read from the left.
    fn short(&self, text: &str, at: &str) -> Result<Schema, SchemaError> {
        let name_end = text.find(['[', '?']).unwrap_or(text.len());
        let (name, mut suffixes) = text.split_at(name_end);
        let mut schema = self.name(name, at)?;
        while !suffixes.is_empty() {
            if let Some(rest) = suffixes.strip_prefix("[]") {
                let list = Shape::List(ListShape {
                    items: schema,
                    length: Bounds {
                        min: None,
                        max: None,
                    },
                });
                schema = measured(Schema::of(list), at)?;
                suffixes = rest;
            } else if suffixes == "?" {
                Arc::make_mut(&mut schema.0).optional = true;
                suffixes = "";
            } else {
                let message = format!("`{text}` is no short form: `[]` or a last `?` may follow");
                return Err(error("PHI104", at, message));
            }
        }
        Ok(schema)
    }

    fn name(&self, name: &str, at: &str) -> Result<Schema, SchemaError> {
        let shape = match name {
            "any" => Shape::Any,
            "bool" | "boolean" => Shape::Bool,
            "int" | "integer" => Shape::Int(Bounds {
                min: None,
                max: None,
            }),
            "number" => Shape::Number(Bounds {
                min: None,
                max: None,
            }),
            "string" => Shape::Text(TextShape {
                length: Bounds {
                    min: None,
                    max: None,
                },
                pattern: None,
                format: None,
            }),
            "timestamp" => Shape::Timestamp,
            "duration" => Shape::Duration,
            "null" => Shape::Null,
            "array" => Shape::List(ListShape {
                items: Schema::any(),
                length: Bounds {
                    min: None,
                    max: None,
                },
            }),
            "object" => Shape::Object(ObjectShape {
                properties: Vec::new(),
                additional: Additional::Kept,
            }),
            other => {
                return (self.named)(other).ok_or_else(|| SchemaError {
                    nearest: nearest(other, PRIMITIVES.into_iter().chain(JSON_TYPES))
                        .map(str::to_owned),
                    ..error("PHI207", at, format!("unknown schema `{other}`"))
                });
            }
        };
        Ok(Schema::of(shape))
    }

    fn object(&mut self, keys: &Map<String, Json>, at: &str) -> Result<Schema, SchemaError> {
        for key in keys.keys() {
            if !KEYWORDS.contains(&key.as_str())
                && !ANNOTATIONS.contains(&key.as_str())
                && !key.starts_with("x-")
            {
                return Err(SchemaError {
                    nearest: nearest(key, KEYWORDS.into_iter().chain(ANNOTATIONS))
                        .map(str::to_owned),
                    ..error(
                        "PHI101",
                        &below(at, key),
                        format!("unknown key `{key}` in a schema"),
                    )
                });
            }
        }
        let (mut schema, mut used) = self.shape(keys, at)?;
        used.extend(["enum", "const"]);
        if let Some(stray) = keys
            .keys()
            .find(|key| KEYWORDS.contains(&key.as_str()) && !used.contains(&key.as_str()))
        {
            let message = format!("`{stray}` says nothing about {}", schema.0.shape.name());
            return Err(error("PHI101", &below(at, stray), message));
        }
        restrict_to_constants(&mut schema, keys, at)?;
        let node = Arc::make_mut(&mut schema.0);
        if let Some(description) = keys.get("description") {
            node.description = Some(text(description, &below(at, "description"))?.to_owned());
        }
        if let Some(default) = keys.get("default") {
            if let Some(first) = schema.violations("default", default).into_iter().next() {
                let message = format!("{}: {}", first.path, first.message);
                return Err(error("PHI104", &below(at, "default"), message));
            }
            Arc::make_mut(&mut schema.0).default = Some(default.clone());
        }
        Ok(schema)
    }

    /// The shape, and the keywords that belong to it.
    fn shape(
        &mut self,
        keys: &Map<String, Json>,
        at: &str,
    ) -> Result<(Schema, Vec<&'static str>), SchemaError> {
        if let Some(reference) = keys.get("$ref") {
            let place = below(at, "$ref");
            let path = text(reference, &place)?;
            let name = path.strip_prefix("#/schemas/").unwrap_or(path);
            let schema = (self.named)(name)
                .ok_or_else(|| error("PHI207", &place, format!("unknown schema `{path}`")))?;
            return Ok((schema, vec!["$ref"]));
        }
        if let Some(variants) = keys.get("oneOf") {
            let schema = self.one_of(variants, &below(at, "oneOf"))?;
            return Ok((schema, vec!["oneOf", "type"]));
        }
        let mut schema = self.base(keys, at)?;
        let mut used = vec!["type"];
        match &mut Arc::make_mut(&mut schema.0).shape {
            Shape::Int(bounds) => {
                used.extend(["minimum", "maximum"]);
                *bounds = read_bounds(
                    keys,
                    at,
                    ["minimum", "maximum"],
                    |json| json.as_i64(),
                    "an integer",
                )?;
            }
            Shape::Number(bounds) => {
                used.extend(["minimum", "maximum"]);
                *bounds = read_bounds(
                    keys,
                    at,
                    ["minimum", "maximum"],
                    |json| json.as_f64(),
                    "a number",
                )?;
            }
            Shape::Text(shape) => {
                used.extend(["minLength", "maxLength", "pattern", "format"]);
                read_text(shape, keys, at)?;
            }
            Shape::Timestamp | Shape::Duration => used.push("format"),
            Shape::List(list) => {
                used.extend(["minItems", "maxItems", "items"]);
                list.length = read_bounds(
                    keys,
                    at,
                    ["minItems", "maxItems"],
                    |json| json.as_u64(),
                    "a count",
                )?;
                if let Some(items) = keys.get("items") {
                    list.items = self.schema(items, &below(at, "items"))?;
                }
            }
            Shape::Object(object) => {
                used.extend(["properties", "required", "additionalProperties"]);
                self.read_object(object, keys, at)?;
            }
            Shape::Any | Shape::Null | Shape::Bool | Shape::Enum(_) | Shape::OneOf(_) => {}
        }
        Ok((schema, used))
    }

    /// The schema that `type` names, or that the other keywords imply.
    fn base(&self, keys: &Map<String, Json>, at: &str) -> Result<Schema, SchemaError> {
        let place = below(at, "type");
        let schema = match keys.get("type") {
            Some(Json::String(name)) => self.short(name, &place)?,
            Some(Json::Array(names)) => {
                let (null, others): (Vec<&Json>, Vec<&Json>) =
                    names.iter().partition(|name| name.as_str() == Some("null"));
                let (Some(_), [Json::String(name)]) = (null.first(), others.as_slice()) else {
                    let message = "a list of types holds one type and `null`";
                    return Err(error("PHI103", &place, message));
                };
                let mut schema = self.short(name, &place)?;
                Arc::make_mut(&mut schema.0).optional = true;
                schema
            }
            Some(other) => return Err(expected(&place, "a type's name", other)),
            None => {
                let has = |names: &[&str]| names.iter().any(|name| keys.contains_key(*name));
                if has(&["properties", "required", "additionalProperties"]) {
                    self.name("object", at)?
                } else if has(&["items", "minItems", "maxItems"]) {
                    self.name("array", at)?
                } else if has(&["pattern", "minLength", "maxLength", "format"]) {
                    self.name("string", at)?
                } else if has(&["minimum", "maximum"]) {
                    self.name("number", at)?
                } else {
                    Schema::any()
                }
            }
        };
        let format = keys.get("format").and_then(Json::as_str);
        Ok(match (&schema.0.shape, format) {
            (Shape::Text(_), Some("date-time")) => with_shape(schema, Shape::Timestamp),
            (Shape::Text(_), Some("duration")) => with_shape(schema, Shape::Duration),
            _ => schema,
        })
    }

    fn read_object(
        &mut self,
        object: &mut ObjectShape,
        keys: &Map<String, Json>,
        at: &str,
    ) -> Result<(), SchemaError> {
        let place = below(at, "properties");
        match keys.get("properties") {
            None => {}
            Some(Json::Object(properties)) => {
                for (name, json) in properties {
                    let schema = self.schema(json, &below(&place, name))?;
                    let required = json.is_string() && !schema.is_optional();
                    object.properties.push(Property {
                        name: name.clone(),
                        schema,
                        required,
                    });
                }
            }
            Some(other) => return Err(expected(&place, "a map of schemas", other)),
        }
        let place = below(at, "required");
        match keys.get("required") {
            None => {}
            Some(Json::Array(names)) => {
                for (index, name) in names.iter().enumerate() {
                    require(object, name, &below(&place, &index.to_string()))?;
                }
            }
            Some(other) => return Err(expected(&place, "a list of names", other)),
        }
        object.additional = match keys.get("additionalProperties") {
            None => Additional::Kept,
            Some(Json::Bool(true)) => Additional::Allowed,
            Some(Json::Bool(false)) => Additional::Refused,
            Some(json) => {
                Additional::Matching(self.schema(json, &below(at, "additionalProperties"))?)
            }
        };
        Ok(())
    }

    fn one_of(&mut self, json: &Json, at: &str) -> Result<Schema, SchemaError> {
        let Json::Array(entries) = json else {
            return Err(expected(at, "a list of schemas", json));
        };
        let mut schemas = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            schemas.push(self.schema(entry, &below(at, &index.to_string()))?);
        }
        one_of(schemas, at)
    }
}

fn require(object: &mut ObjectShape, name: &Json, at: &str) -> Result<(), SchemaError> {
    let name = text(name, at)?;
    if let Some(property) = object.properties.iter_mut().find(|p| p.name == name) {
        property.required = true;
        return Ok(());
    }
    let known = object
        .properties
        .iter()
        .map(|property| property.name.as_str());
    Err(SchemaError {
        nearest: nearest(name, known).map(str::to_owned),
        ..error(
            "PHI104",
            at,
            format!("`required` names `{name}`, which is no property"),
        )
    })
}

fn restrict_to_constants(
    schema: &mut Schema,
    keys: &Map<String, Json>,
    at: &str,
) -> Result<(), SchemaError> {
    let (place, values) = match (keys.get("enum"), keys.get("const")) {
        (None, None) => return Ok(()),
        (_, Some(value)) => (below(at, "const"), vec![value.clone()]),
        (Some(Json::Array(values)), None) if !values.is_empty() => {
            (below(at, "enum"), values.clone())
        }
        (Some(other), None) => {
            return Err(expected(&below(at, "enum"), "a list of values", other));
        }
    };
    for value in &values {
        if let Some(first) = schema.violations("value", value).into_iter().next() {
            return Err(error(
                "PHI104",
                &place,
                format!("`{value}`: {}", first.message),
            ));
        }
    }
    let node = Arc::make_mut(&mut schema.0);
    node.optional |= values.contains(&Json::Null);
    let present: Vec<Json> = values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect();
    node.shape = if present.is_empty() {
        Shape::Null
    } else {
        Shape::Enum(present)
    };
    Ok(())
}

fn read_text(shape: &mut TextShape, keys: &Map<String, Json>, at: &str) -> Result<(), SchemaError> {
    shape.length = read_bounds(
        keys,
        at,
        ["minLength", "maxLength"],
        |json| json.as_u64(),
        "a count",
    )?;
    if let Some(json) = keys.get("pattern") {
        let place = below(at, "pattern");
        let regex = pattern::compile(text(json, &place)?).map_err(|reason| {
            error(
                "PHI104",
                &place,
                format!("bad regular expression: {reason}"),
            )
        })?;
        shape.pattern = Some(regex);
    }
    if let Some(json) = keys.get("format") {
        shape.format = Some(text(json, &below(at, "format"))?.to_owned());
    }
    Ok(())
}

fn read_bounds<T: PartialOrd + Copy + std::fmt::Display>(
    keys: &Map<String, Json>,
    at: &str,
    [min, max]: [&str; 2],
    read: fn(&Json) -> Option<T>,
    what: &str,
) -> Result<Bounds<T>, SchemaError> {
    let bound = |key: &str| match keys.get(key) {
        None => Ok(None),
        Some(json) => read(json)
            .map(Some)
            .ok_or_else(|| expected(&below(at, key), what, json)),
    };
    let bounds = Bounds {
        min: bound(min)?,
        max: bound(max)?,
    };
    if let (Some(low), Some(high)) = (bounds.min, bounds.max)
        && low > high
    {
        let message = format!("`{min}` {low} is above `{max}` {high}");
        return Err(error("PHI104", &below(at, min), message));
    }
    Ok(bounds)
}

fn with_shape(mut schema: Schema, shape: Shape) -> Schema {
    Arc::make_mut(&mut schema.0).shape = shape;
    schema
}

fn text<'a>(json: &'a Json, at: &str) -> Result<&'a str, SchemaError> {
    json.as_str().ok_or_else(|| expected(at, "a string", json))
}

fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn expected(at: &str, what: &str, found: &Json) -> SchemaError {
    let message = format!("expected {what}, found {}", super::validate::kind(found));
    error("PHI103", at, message)
}

pub(super) fn error(code: &'static str, at: &str, message: impl Into<String>) -> SchemaError {
    SchemaError {
        pointer: at.to_owned(),
        message: message.into(),
        code,
        nearest: None,
    }
}
