//! JSON and text forms of values, with their limits.

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::Value;
use super::eval::Failure;
use super::time;

/// Largest result of an expression, in bytes of JSON.
pub(super) const RESULT_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of a value: what JSON from outside may have (64), and a little around it.
pub(super) const VALUE_DEPTH_MAX: usize = 80;

/// The value as JSON, as long as `room` (in bytes of JSON) lasts. Values share their parts, so
/// that a small one in memory can be a huge one in text: the room is what ends that.
pub(super) fn to_json(value: &Value, room: &mut usize, depth: usize) -> Result<Json, Failure> {
    if depth > VALUE_DEPTH_MAX {
        return Err(Failure::new("the value is nested too deep"));
    }
    take(room, own_size(value))?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Double(value) => Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| Failure::new(format!("JSON has no number `{value}`")))?,
        Value::String(text) => Json::String(text.to_string()),
        Value::Timestamp(micros) => Json::String(time::format_timestamp(*micros)),
        Value::Duration(micros) => Json::String(time::format_duration(*micros)),
        Value::List(items) => Json::Array(
            items
                .iter()
                .map(|item| to_json(item, room, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(map) => {
            let mut entries = JsonMap::new();
            for (key, value) in map.iter() {
                take(room, key.len() + 4)?;
                entries.insert(key.to_string(), to_json(value, room, depth + 1)?);
            }
            Json::Object(entries)
        }
        Value::Optional(Some(inner)) => to_json(inner, room, depth + 1)?,
        Value::Optional(None) => return Err(Failure::absent("the value is absent")),
    })
}

/// Fails if the value is larger than a result may be.
pub(super) fn measure(value: &Value, room: &mut usize, depth: usize) -> Result<(), Failure> {
    if depth > VALUE_DEPTH_MAX {
        return Err(Failure::new("the value is nested too deep"));
    }
    take(room, own_size(value))?;
    match value {
        Value::List(items) => items
            .iter()
            .try_for_each(|item| measure(item, room, depth + 1)),
        Value::Map(map) => map.iter().try_for_each(|(key, value)| {
            take(room, key.len() + 4)?;
            measure(value, room, depth + 1)
        }),
        Value::Optional(Some(inner)) => measure(inner, room, depth + 1),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Double(_)
        | Value::String(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Optional(None) => Ok(()),
    }
}

/// Bytes of JSON without the parts.
fn own_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Timestamp(_) | Value::Duration(_) => 24,
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Double(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Optional(_) => 4,
    }
}

fn take(room: &mut usize, bytes: usize) -> Result<(), Failure> {
    *room = room.checked_sub(bytes).ok_or_else(|| {
        Failure::exhausted(format!(
            "the result is larger than {} KiB",
            RESULT_BYTES_MAX / 1024
        ))
    })?;
    Ok(())
}

/// A scalar as text: what `string()` and interpolation give.
pub(super) fn to_text(value: &Value) -> Result<String, Failure> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => double(*value),
        Value::String(text) => text.to_string(),
        Value::Timestamp(micros) => time::format_timestamp(*micros),
        Value::Duration(micros) => time::format_duration(*micros),
        Value::Optional(Some(inner)) => return to_text(inner),
        Value::Optional(None) => return Err(Failure::absent("the value is absent")),
        Value::List(_) | Value::Map(_) => {
            return Err(Failure::new(format!(
                "a {} is no text; `json(...)` writes it as text",
                value.kind()
            )));
        }
    })
}

/// The shortest digits that read back as the same double; an exponent where zeros would pile up.
fn double(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude.is_finite() && !(1e-6..1e21).contains(&magnitude) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}
