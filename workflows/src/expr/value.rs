//! Values of the language, their equality and order, and their JSON form.
//!
//! Cloning is cheap: everything that can be large is shared.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{EvalError, format, time};

/// A value of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A map with text keys.
    Map(Arc<Map>),
    /// A point in time, in microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A length of time in microseconds.
    Duration(i64),
    /// What `.?` gives: a value or none.
    Optional(Option<Arc<Value>>),
}

/// A map that keeps the order in which it was written and finds a key in logarithmic time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Vec<(Arc<str>, Value)>,
    /// Positions in `entries`, sorted by key.
    by_key: Vec<u32>,
}

impl Map {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.by_key
            .binary_search_by(|at| self.entries[*at as usize].0.as_ref().cmp(key))
            .ok()
            .map(|found| &self.entries[self.by_key[found] as usize].1)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Value)> for Map {
    /// Of two entries with one key the later value stays, at the place of the earlier.
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(iter: I) -> Self {
        let mut entries: Vec<(Arc<str>, Value)> = iter
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect();
        let mut by_key: Vec<u32> = (0..).take(entries.len()).collect();
        let sort = |by_key: &mut Vec<u32>, entries: &[(Arc<str>, Value)]| {
            by_key.sort_by(|a, b| entries[*a as usize].0.cmp(&entries[*b as usize].0));
        };
        sort(&mut by_key, &entries);
        let repeated = by_key
            .windows(2)
            .any(|pair| entries[pair[0] as usize].0 == entries[pair[1] as usize].0);
        if repeated {
            entries = without_repetition(entries, &by_key);
            by_key = (0..).take(entries.len()).collect();
            sort(&mut by_key, &entries);
        }
        Self { entries, by_key }
    }
}

fn without_repetition(
    mut entries: Vec<(Arc<str>, Value)>,
    by_key: &[u32],
) -> Vec<(Arc<str>, Value)> {
    let mut keep = vec![true; entries.len()];
    let mut first = 0;
    for i in 1..by_key.len() {
        let (earlier, later) = (by_key[first] as usize, by_key[i] as usize);
        if entries[earlier].0 == entries[later].0 {
            keep[later] = false;
            entries[earlier].1 = entries[later].1.clone();
        } else {
            first = i;
        }
    }
    let mut keep = keep.into_iter();
    entries.retain(|_| keep.next().unwrap_or(true));
    entries
}

impl Value {
    /// Text.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(Arc::new(items.into_iter().collect()))
    }

    /// A map; of two entries with one name the later value stays.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Arc::new(entries.into_iter().collect()))
    }

    /// A point in time, in microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn timestamp_micros(micros: i64) -> Self {
        Self::Timestamp(micros)
    }

    /// A length of time in microseconds.
    #[must_use]
    pub fn duration_micros(micros: i64) -> Self {
        Self::Duration(micros)
    }

    /// From JSON: integers stay integers, other numbers are doubles.
    #[must_use]
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_i64().map_or_else(
                || Self::Double(number.as_f64().unwrap_or(f64::NAN)),
                Self::Int,
            ),
            Json::String(text) => Self::string(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json)),
            Json::Object(entries) => Self::map(
                entries
                    .iter()
                    .map(|(key, value)| (key.as_str(), Self::from_json(value))),
            ),
        }
    }

    /// As JSON; timestamps as RFC 3339 text, durations as text (`90s`).
    ///
    /// # Errors
    /// An absent optional, a number that JSON cannot hold, a result over the size limit.
    pub fn into_json(self) -> Result<Json, EvalError> {
        let mut room = format::RESULT_BYTES_MAX;
        format::to_json(&self, &mut room, 0).map_err(|failure| EvalError {
            source_text: self.kind().to_owned(),
            message: failure.message,
        })
    }

    /// A scalar as text for interpolation.
    ///
    /// # Errors
    /// A list, a map, or an absent optional.
    pub fn to_text(&self) -> Result<String, EvalError> {
        format::to_text(self).map_err(|failure| EvalError {
            source_text: self.kind().to_owned(),
            message: failure.message,
        })
    }

    /// What sort of value it is, as users write types.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "number",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Optional(_) => "optional",
        }
    }

    /// CEL's order: numbers by value, and any other ordered type among its own. `None` if the
    /// two have no order; `Some(None)` if one is not a number (NaN).
    pub(crate) fn order(&self, other: &Self) -> Option<Option<Ordering>> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Double(b)) => order_int_double(*a, *b),
            (Self::Double(a), Self::Int(b)) => order_int_double(*b, *a).map(Ordering::reverse),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            _ => return None,
        })
    }
}

/// Exact, where a conversion to double would round integers above 2^53.
fn order_int_double(int: i64, double: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if double < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the bounds were compared above"
        )]
        let whole = double.trunc() as i64;
        let fraction = double.fract();
        Some(
            int.cmp(&whole)
                .then_with(|| 0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal)),
        )
    }
}

/// What a timestamp or duration in JSON stands for, when a schema says that it is one.
pub(super) fn timestamp_from(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => time::parse_timestamp(text).map(Value::Timestamp),
        _ => None,
    }
}

/// See [`timestamp_from`].
pub(super) fn duration_from(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => time::parse_duration(text).map(Value::Duration),
        _ => None,
    }
}
