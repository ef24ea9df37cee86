//! Users' payloads: JSON text that nobody parses unless an expression asks for it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON text. Equality is equality of the bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Arc<RawValue>);

impl RawJson {
    /// From a parsed value.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        // A `Value` always prints; a printed value is always one raw value.
        let raw = serde_json::value::to_raw_value(value).expect("a JSON value prints");
        Self(Arc::from(raw))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The value, parsed now.
    #[must_use]
    pub fn parse(&self) -> serde_json::Value {
        serde_json::from_str(self.0.get()).unwrap_or(serde_json::Value::Null)
    }

    /// A copy that owns its text, for wire types.
    #[must_use]
    pub fn to_boxed(&self) -> Box<RawValue> {
        (*self.0).to_owned()
    }
}

impl From<Box<RawValue>> for RawJson {
    /// Takes the text as it came, unless it spans lines: a journal record is one line.
    fn from(raw: Box<RawValue>) -> Self {
        if raw.get().contains(['\n', '\r'])
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(raw.get())
        {
            return Self::from_value(&value);
        }
        Self(Arc::from(raw))
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for RawJson {}
