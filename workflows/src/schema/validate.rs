//! Holds values against schemas, and the inputs of a run against its declarations.

use serde_json::{Map, Value as Json};

use super::{Additional, Bounds, ObjectShape, OneOfShape, Schema, Shape, Violation};
use crate::expr::nearest::nearest;
use crate::expr::time;
use crate::machine::InputSpec;

/// Longer lists help nobody.
const VIOLATIONS_MAX: usize = 20;

/// Checks the inputs of a run and fills in defaults; paths start with `inputs`.
pub(crate) fn bind(
    (key, word): (&str, &str),
    inputs: &[InputSpec],
    given: &Map<String, Json>,
) -> Result<Map<String, Json>, Vec<Violation>> {
    let mut found = Found::default();
    for name in given.keys() {
        if !inputs.iter().any(|input| input.name == *name) {
            let near = nearest(name, inputs.iter().map(|input| input.name.as_str()));
            let hint = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
            found.add(
                &format!("{key}.{name}"),
                format!("unknown {word} `{name}`{hint}"),
            );
        }
    }
    let mut bound = Map::new();
    for input in inputs {
        let path = format!("{key}.{}", input.name);
        match (given.get(&input.name), &input.default) {
            (Some(value), _) => {
                found.check(&input.schema, &path, value);
                bound.insert(input.name.clone(), value.clone());
            }
            (None, Some(default)) => {
                bound.insert(input.name.clone(), default.clone());
            }
            (None, None) if input.schema.is_optional() => {}
            (None, None) => found.add(&path, format!("{word} `{}` is missing", input.name)),
        }
    }
    if found.violations.is_empty() {
        Ok(bound)
    } else {
        Err(found.violations)
    }
}

pub(super) fn violations(schema: &Schema, root: &str, value: &Json) -> Vec<Violation> {
    let mut found = Found::default();
    found.check(schema, root, value);
    found.violations
}

/// The word for a value's type in messages.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

impl Shape {
    /// The word for the shape in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Int(_) => "integer",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Enum(_) => "one of a list of values",
            Self::List(_) => "array",
            Self::Object(_) | Self::OneOf(_) => "object",
        }
    }
}

#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
}

impl Found {
    fn add(&mut self, path: &str, message: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation {
                path: path.to_owned(),
                message,
            });
        }
    }

    /// Recursion follows the schema, whose depth is bounded where it is read.
    fn check(&mut self, schema: &Schema, path: &str, value: &Json) {
        let node = &*schema.0;
        if self.violations.len() >= VIOLATIONS_MAX || (node.optional && value.is_null()) {
            return;
        }
        match (&node.shape, value) {
            (Shape::Any, _) | (Shape::Null, Json::Null) | (Shape::Bool, Json::Bool(_)) => {}
            (Shape::Int(bounds), Json::Number(number)) if !number.is_f64() => {
                match number.as_i64() {
                    Some(number) => self.range(bounds, path, number, ""),
                    None => self.add(path, "integer out of 64-bit range".to_owned()),
                }
            }
            (Shape::Number(bounds), Json::Number(number)) => {
                if let Some(number) = number.as_f64() {
                    self.range(bounds, path, number, "");
                }
            }
            (Shape::Text(shape), Json::String(text)) => {
                let length = text.chars().count() as u64;
                self.range(&shape.length, path, length, " characters");
                if let Some(pattern) = &shape.pattern
                    && !pattern.is_match(text)
                {
                    self.add(path, format!("does not match the pattern `{pattern}`"));
                }
            }
            (Shape::Timestamp, Json::String(text)) => {
                if time::parse_timestamp(text).is_none() {
                    self.add(
                        path,
                        "expected timestamp as `2026-01-31T12:00:00Z`".to_owned(),
                    );
                }
            }
            (Shape::Duration, Json::String(text)) => {
                if time::parse_duration(text).is_none() {
                    self.add(path, "expected duration as `90s` or `2h30m`".to_owned());
                }
            }
            (Shape::Enum(allowed), value) => self.enumerated(allowed, path, value),
            (Shape::List(list), Json::Array(items)) => {
                self.range(&list.length, path, items.len() as u64, " items");
                for (index, item) in items.iter().enumerate() {
                    if self.violations.len() >= VIOLATIONS_MAX || list.items.is_any() {
                        break;
                    }
                    self.check(&list.items, &format!("{path}[{index}]"), item);
                }
            }
            (Shape::Object(object), Json::Object(fields)) => self.object(object, path, fields),
            (Shape::OneOf(one_of), Json::Object(fields)) => {
                self.one_of(one_of, path, fields, value);
            }
            (shape, value) => {
                self.add(
                    path,
                    format!("expected {}, found {}", shape.name(), kind(value)),
                );
            }
        }
    }

    fn range<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        bounds: &Bounds<T>,
        path: &str,
        value: T,
        unit: &str,
    ) {
        if let Some(min) = bounds.min.filter(|min| value < *min) {
            self.add(path, format!("{value}{unit} is below the minimum of {min}"));
        }
        if let Some(max) = bounds.max.filter(|max| value > *max) {
            self.add(path, format!("{value}{unit} is above the maximum of {max}"));
        }
    }

    fn enumerated(&mut self, allowed: &[Json], path: &str, value: &Json) {
        if allowed.iter().any(|one| same(one, value)) {
            return;
        }
        let list: Vec<String> = allowed
            .iter()
            .map(|one| format!("`{}`", shown(one)))
            .collect();
        let wanted = match list.as_slice() {
            [one] => one.clone(),
            _ => format!("one of {}", list.join(", ")),
        };
        let found = match value {
            Json::Array(_) | Json::Object(_) => kind(value).to_owned(),
            scalar => format!("`{}`", shown(scalar)),
        };
        self.add(path, format!("expected {wanted}, found {found}"));
    }

    fn object(&mut self, object: &ObjectShape, path: &str, fields: &Map<String, Json>) {
        for property in &object.properties {
            match fields.get(&property.name) {
                Some(value) if value.is_null() && !property.required => {}
                Some(value) => {
                    self.check(&property.schema, &member(path, &property.name), value);
                }
                None if property.required && !property.schema.is_optional() => {
                    self.add(&member(path, &property.name), "is required".to_owned());
                }
                None => {}
            }
        }
        let named = |name: &str| object.properties.iter().any(|p| p.name == name);
        match &object.additional {
            Additional::Kept | Additional::Allowed => {}
            Additional::Refused => {
                for name in fields.keys().filter(|name| !named(name)) {
                    self.add(&member(path, name), "is not allowed".to_owned());
                }
            }
            Additional::Matching(schema) => {
                for (name, value) in fields.iter().filter(|(name, _)| !named(name)) {
                    self.check(schema, &member(path, name), value);
                }
            }
        }
    }

    fn one_of(
        &mut self,
        one_of: &OneOfShape,
        path: &str,
        fields: &Map<String, Json>,
        value: &Json,
    ) {
        let place = member(path, &one_of.tag);
        let Some(tag) = fields.get(&one_of.tag) else {
            self.add(&place, "is required".to_owned());
            return;
        };
        match one_of
            .variants
            .iter()
            .find(|variant| same(&variant.tag, tag))
        {
            Some(variant) => self.check(&variant.schema, path, value),
            None => {
                let tags: Vec<Json> = one_of.variants.iter().map(|v| v.tag.clone()).collect();
                self.enumerated(&tags, &place, tag);
            }
        }
    }
}

/// Equality with numbers by value.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        _ => a == b,
    }
}

fn shown(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// `output.files`, or `output["a b"]` where the name is no identifier.
fn member(path: &str, name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if plain && !name.is_empty() {
        format!("{path}.{name}")
    } else {
        format!("{path}[{}]", Json::from(name))
    }
}
