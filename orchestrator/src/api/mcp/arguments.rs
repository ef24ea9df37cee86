//! The arguments of a tool call: read strictly, refused in words that a model can act on.

use std::time::Duration;

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// No call waits longer: clients give up on a tool after a minute.
const WAIT_MAX: Duration = Duration::from_secs(50);

/// Reads `arguments` as `T`, whose unknown fields are refused.
///
/// # Errors
/// What is wrong, naming the field.
pub(super) fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| error.to_string())
}

/// A wait in seconds, bounded by what clients stand; nonsense is no wait.
pub(super) fn wait(seconds: Option<f64>, usual: Duration) -> Duration {
    match seconds {
        None => usual,
        Some(s) if s.is_finite() && s > 0.0 => {
            Duration::from_secs_f64(s.min(WAIT_MAX.as_secs_f64()))
        }
        Some(_) => Duration::ZERO,
    }
}
