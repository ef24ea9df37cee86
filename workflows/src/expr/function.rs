//! The functions of the profile: their names, and how many arguments they take.

use std::ops::Range;

use super::ExprError;
use super::nearest::nearest;

/// A function or method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Int,
    Double,
    Text,
    Bool,
    Duration,
    Timestamp,
    Json,
    ParseJson,
    Coalesce,
    Sha256,
    Glob,
    Sum,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Split,
    Join,
    Trim,
    LowerAscii,
    UpperAscii,
    Replace,
    Substring,
    Format,
    OrValue,
    HasValue,
    Value,
}

/// Whether it is written `f(x)` or `x.f()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Global,
    Method,
}

/// One way to call a function. `min` and `max` count what stands in the parentheses.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) style: Style,
    pub(super) function: Function,
    pub(super) min: usize,
    pub(super) max: usize,
}

const fn global(name: &'static str, function: Function, min: usize, max: usize) -> Signature {
    Signature {
        name,
        style: Style::Global,
        function,
        min,
        max,
    }
}

const fn method(name: &'static str, function: Function, min: usize, max: usize) -> Signature {
    Signature {
        name,
        style: Style::Method,
        function,
        min,
        max,
    }
}

const SIGNATURES: &[Signature] = &[
    global("size", Function::Size, 1, 1),
    global("int", Function::Int, 1, 1),
    global("double", Function::Double, 1, 1),
    global("string", Function::Text, 1, 1),
    global("bool", Function::Bool, 1, 1),
    global("duration", Function::Duration, 1, 1),
    global("timestamp", Function::Timestamp, 1, 1),
    global("json", Function::Json, 1, 1),
    global("parseJson", Function::ParseJson, 1, 1),
    global("coalesce", Function::Coalesce, 1, 16),
    global("sha256", Function::Sha256, 1, 1),
    global("glob", Function::Glob, 2, 2),
    global("sum", Function::Sum, 1, 1),
    global("matches", Function::Matches, 2, 2),
    method("size", Function::Size, 0, 0),
    method("contains", Function::Contains, 1, 1),
    method("startsWith", Function::StartsWith, 1, 1),
    method("endsWith", Function::EndsWith, 1, 1),
    method("matches", Function::Matches, 1, 1),
    method("split", Function::Split, 1, 2),
    method("join", Function::Join, 0, 1),
    method("trim", Function::Trim, 0, 0),
    method("lowerAscii", Function::LowerAscii, 0, 0),
    method("upperAscii", Function::UpperAscii, 0, 0),
    method("replace", Function::Replace, 2, 3),
    method("substring", Function::Substring, 1, 2),
    method("format", Function::Format, 1, 1),
    method("orValue", Function::OrValue, 1, 1),
    method("hasValue", Function::HasValue, 0, 0),
    method("value", Function::Value, 0, 0),
];

/// Macros are called like functions but bind a name; the parser knows them.
const MACROS: [(&str, Style); 7] = [
    ("has", Style::Global),
    ("sortBy", Style::Global),
    ("all", Style::Method),
    ("exists", Style::Method),
    ("exists_one", Style::Method),
    ("map", Style::Method),
    ("filter", Style::Method),
];

/// Names that other languages have and that would make a run differ from its replay.
const NOT_DETERMINISTIC: [&str; 8] = [
    "now", "today", "random", "rand", "uuid", "getenv", "env", "hostname",
];

pub(super) fn find(name: &str, style: Style) -> Option<&'static Signature> {
    SIGNATURES
        .iter()
        .find(|known| known.name == name && known.style == style)
}

/// All names that can be called in this style.
fn names(style: Style) -> impl Iterator<Item = &'static str> {
    let functions = SIGNATURES.iter().map(|known| (known.name, known.style));
    functions
        .chain(MACROS)
        .filter(move |(_, known)| *known == style)
        .map(|(name, _)| name)
}

fn is_not_deterministic(name: &str) -> bool {
    NOT_DETERMINISTIC.contains(&name)
}

/// The error for a name that cannot be called in this style.
pub(super) fn unknown(style: Style, name: &str, range: Range<usize>) -> ExprError {
    if is_not_deterministic(name) {
        return ExprError::new("PHI314", range, format!("`{name}` is not deterministic"))
            .help("`run.now` is the time, recorded so that a replay sees the same");
    }
    let (what, other) = match style {
        Style::Global => ("function", Style::Method),
        Style::Method => ("method", Style::Global),
    };
    let error = ExprError::new("PHI303", range, format!("unknown {what} `{name}`"));
    if names(other).any(|known| known == name) {
        return error.help(match style {
            Style::Global => format!("it is a method: `x.{name}(...)`"),
            Style::Method => format!("it is a function: `{name}(x, ...)`"),
        });
    }
    error.suggest(nearest(name, names(style)), None)
}
