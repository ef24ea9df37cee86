//! Values for a run's inputs, as typed on the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use phisync_workflows::Machine;
use phisync_workflows::machine::InputSpec;
use serde_json::{Map, Value};

use super::exit_code::ExitCode;
use super::report::{Report, plain};

/// The flags that carry inputs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Inputs {
    /// Value of an input: NAME=VALUE, or NAME=@FILE to read it from a file. Text where the input is
    /// a string, else JSON; for a workflow known only to the server, JSON if it reads as such
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    input: Vec<String>,

    /// File with a JSON or YAML object of inputs; -i wins over it
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
}

/// What is wrong with the inputs given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputsError {
    /// No `=`, or nothing before it.
    #[error("`{0}` is no input: NAME=VALUE is needed")]
    Shape(String),
    /// The same name twice.
    #[error("the input `{0}` is given twice")]
    Twice(String),
    /// A file that cannot be read.
    #[error("cannot read `{}`: {}", path.display(), plain(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A file that holds no object.
    #[error("`{}` holds no object of inputs: {cause}", path.display())]
    NoObject {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: String,
    },
}

impl Inputs {
    /// The values, by name. `machine` tells which are text, where it is known.
    ///
    /// # Errors
    /// When a flag has the wrong shape or a file cannot be read. Whether the values fit the workflow is
    /// checked by [`bind`] or by the server.
    pub(crate) fn read(
        &self,
        machine: Option<&Machine>,
    ) -> Result<Map<String, Value>, InputsError> {
        let mut values = match &self.input_file {
            Some(path) => object(path)?,
            None => Map::new(),
        };
        let mut given = std::collections::BTreeSet::new();
        for flag in &self.input {
            let (name, text) = split(flag)?;
            if !given.insert(name) {
                return Err(InputsError::Twice(name.to_owned()));
            }
            let text = match text.strip_prefix('@') {
                Some(path) => text_of(Path::new(path))?,
                None => text.to_owned(),
            };
            let spec = machine
                .into_iter()
                .flat_map(Machine::inputs)
                .find(|spec| spec.name == name);
            values.insert(name.to_owned(), value(spec, text));
        }
        Ok(values)
    }
}

/// Holds `given` against the workflow's inputs, so that a slip is told before anything starts.
///
/// # Errors
/// Everything that does not fit.
pub(crate) fn bind(machine: &Machine, given: &Map<String, Value>) -> Result<(), Report> {
    let Err(violations) = machine.bind_inputs(given) else {
        return Ok(());
    };
    let mut message = format!("the inputs do not fit the workflow `{}`", machine.name());
    for violation in violations {
        message.push_str(&format!("\n  {}: {}", violation.path, violation.message));
    }
    Err(Report::new(ExitCode::Invalid, message).maybe_hint(expected(machine)))
}

/// The inputs that a workflow takes, in words.
fn expected(machine: &Machine) -> Option<String> {
    let word = |spec: &InputSpec| {
        let optional = spec.default.is_some() || spec.schema.is_optional();
        let name = &spec.name;
        if optional {
            format!("`{name}` (optional)")
        } else {
            format!("`{name}`")
        }
    };
    let words: Vec<String> = machine.inputs().iter().map(word).collect();
    match words.as_slice() {
        [] => Some("it takes no inputs".to_owned()),
        words => Some(format!("its inputs are {}", words.join(", "))),
    }
}

fn split(flag: &str) -> Result<(&str, &str), InputsError> {
    match flag.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name, text)),
        _ => Err(InputsError::Shape(flag.escape_debug().to_string())),
    }
}

/// Text where a text is what the input takes; else JSON, if it is.
fn value(spec: Option<&InputSpec>, text: String) -> Value {
    let text_is_meant = spec.is_some_and(|spec| {
        let kind = spec.schema.to_json().get("type").cloned();
        let names_string = |kind: &Value| match kind {
            Value::String(kind) => kind == "string",
            Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
            _ => false,
        };
        let accepted = || {
            spec.schema
                .violations("", &Value::String(text.clone()))
                .is_empty()
        };
        kind.as_ref().is_some_and(names_string) || (!spec.schema.is_any() && accepted())
    });
    if text_is_meant {
        return Value::String(text);
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// JSON is YAML, so one reader does for both; it refuses a name that stands twice.
fn object(path: &Path) -> Result<Map<String, Value>, InputsError> {
    let wrong = |cause: &dyn std::fmt::Display| InputsError::NoObject {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let text = text_of(path)?;
    let tree: serde_yaml::Value = serde_yaml::from_str(&text).map_err(|cause| wrong(&cause))?;
    match serde_json::to_value(tree).map_err(|cause| wrong(&cause))? {
        Value::Object(object) => Ok(object),
        _ => Err(wrong(&"the file is something else")),
    }
}

fn text_of(path: &Path) -> Result<String, InputsError> {
    std::fs::read_to_string(path).map_err(|cause| InputsError::Unreadable {
        path: path.to_owned(),
        cause,
    })
}

impl From<InputsError> for Report {
    fn from(error: InputsError) -> Self {
        let exit = match &error {
            InputsError::Shape(_) | InputsError::Twice(_) => ExitCode::Usage,
            InputsError::Unreadable { .. } => ExitCode::NotFound,
            InputsError::NoObject { .. } => ExitCode::Invalid,
        };
        Self::new(exit, error)
    }
}
