//! Functions at run time.

use std::fmt::Write as _;

use regex::Regex;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::eval::{Failure, Fuel, Outcome};
use super::function::Function;
use super::operators::{binary, to_double};
use super::{Value, ast::BinaryOp, format, pattern, time};

/// What compiling a pattern costs, in steps.
const PATTERN_FUEL: usize = 500;

/// Calls a function whose number of arguments was checked. `compiled` is the literal pattern of
/// `matches`.
pub(super) fn call(
    function: Function,
    args: &[Value],
    compiled: Option<&Regex>,
    fuel: &mut Fuel,
) -> Outcome {
    match function {
        Function::Size => size(&args[0], fuel),
        Function::Int => int(&args[0]),
        Function::Double => double(&args[0]),
        Function::Text => Ok(Value::string(format::to_text(&args[0])?)),
        Function::Bool => boolean(&args[0]),
        Function::Duration => match &args[0] {
            Value::Duration(_) => Ok(args[0].clone()),
            other => parsed(other, "duration", time::parse_duration, Value::Duration),
        },
        Function::Timestamp => match &args[0] {
            Value::Timestamp(_) => Ok(args[0].clone()),
            other => parsed(other, "timestamp", time::parse_timestamp, Value::Timestamp),
        },
        Function::Json => json(&args[0], fuel),
        Function::ParseJson => parse_json(text(&args[0])?, fuel),
        Function::Sha256 => {
            let input = text(&args[0])?;
            fuel.spend_bytes(input.len())?;
            let digest = Sha256::digest(input.as_bytes());
            let mut hex = String::with_capacity(64);
            for byte in digest {
                write!(hex, "{byte:02x}").expect("writing to a string succeeds");
            }
            Ok(Value::string(hex))
        }
        Function::Glob => {
            fuel.spend(PATTERN_FUEL)?;
            let regex = pattern::compile_glob(text(&args[1])?).map_err(Failure::new)?;
            Ok(Value::Bool(regex.is_match(text(&args[0])?)))
        }
        Function::Matches => matches(text(&args[0])?, &args[1], compiled, fuel),
        Function::Sum => {
            let mut total = Value::Int(0);
            for item in list(&args[0])? {
                fuel.spend(1)?;
                if !matches!(item, Value::Int(_) | Value::Double(_)) {
                    return Err(Failure::new(format!(
                        "`sum` adds numbers, not {}",
                        item.kind()
                    )));
                }
                total = binary(BinaryOp::Add, &total, item, fuel)?;
            }
            Ok(total)
        }
        Function::Contains => on_texts(args, fuel, |text, part| text.contains(part)),
        Function::StartsWith => on_texts(args, fuel, |text, part| text.starts_with(part)),
        Function::EndsWith => on_texts(args, fuel, |text, part| text.ends_with(part)),
        Function::Split => split(args, fuel),
        Function::Join => join(args, fuel),
        Function::Trim => mapped(&args[0], fuel, |text| text.trim().to_owned()),
        Function::LowerAscii => mapped(&args[0], fuel, str::to_ascii_lowercase),
        Function::UpperAscii => mapped(&args[0], fuel, str::to_ascii_uppercase),
        Function::Replace => replace(args, fuel),
        Function::Substring => substring(args, fuel),
        Function::Format => format_text(text(&args[0])?, list(&args[1])?, fuel),
        Function::OrValue => match &args[0] {
            Value::Optional(Some(value)) => Ok(value.as_ref().clone()),
            Value::Optional(None) => Ok(args[1].clone()),
            other => Err(not_optional(other)),
        },
        Function::HasValue => match &args[0] {
            Value::Optional(value) => Ok(Value::Bool(value.is_some())),
            other => Err(not_optional(other)),
        },
        Function::Value => match &args[0] {
            Value::Optional(Some(value)) => Ok(value.as_ref().clone()),
            Value::Optional(None) => Err(Failure::absent("the value is absent")),
            other => Err(not_optional(other)),
        },
        // The evaluator keeps it, as it decides which arguments to evaluate.
        Function::Coalesce => Ok(Value::Null),
    }
}

fn text(value: &Value) -> Result<&str, Failure> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Failure::new(format!(
            "expected string, found {}",
            other.kind()
        ))),
    }
}

fn list(value: &Value) -> Result<&[Value], Failure> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(Failure::new(format!(
            "expected list, found {}",
            other.kind()
        ))),
    }
}

fn count(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(count) => Ok(*count),
        other => Err(Failure::new(format!(
            "expected int, found {}",
            other.kind()
        ))),
    }
}

fn not_optional(value: &Value) -> Failure {
    Failure::new(format!("expected an optional, found {}", value.kind()))
}

fn int_of(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

fn size(value: &Value, fuel: &mut Fuel) -> Outcome {
    match value {
        Value::String(text) => {
            fuel.spend_bytes(text.len())?;
            Ok(int_of(text.chars().count()))
        }
        Value::List(items) => Ok(int_of(items.len())),
        Value::Map(map) => Ok(int_of(map.len())),
        other => Err(Failure::new(format!("{} has no size", other.kind()))),
    }
}

fn int(value: &Value) -> Outcome {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(_) => Ok(value.clone()),
        Value::Double(double) if (-TWO_TO_63..TWO_TO_63).contains(double) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the range was tested; CEL cuts off the fraction"
            )]
            let whole = *double as i64;
            Ok(Value::Int(whole))
        }
        Value::Double(double) => Err(Failure::new(format!("{double} is out of 64-bit range"))),
        Value::String(text) => text
            .parse()
            .map(Value::Int)
            .map_err(|_| Failure::new(format!("`{text}` is no integer"))),
        Value::Timestamp(micros) => Ok(Value::Int(micros.div_euclid(1_000_000))),
        other => Err(Failure::new(format!("{} is no integer", other.kind()))),
    }
}

fn double(value: &Value) -> Outcome {
    match value {
        Value::Double(_) => Ok(value.clone()),
        Value::Int(int) => Ok(Value::Double(to_double(*int))),
        Value::String(text) => text
            .parse()
            .map(Value::Double)
            .map_err(|_| Failure::new(format!("`{text}` is no number"))),
        other => Err(Failure::new(format!("{} is no number", other.kind()))),
    }
}

fn boolean(value: &Value) -> Outcome {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match &**text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            other => Err(Failure::new(format!(
                "`{other}` is neither `true` nor `false`"
            ))),
        },
        other => Err(Failure::new(format!("{} is no bool", other.kind()))),
    }
}

fn parsed(
    value: &Value,
    what: &str,
    parse: fn(&str) -> Option<i64>,
    wrap: fn(i64) -> Value,
) -> Outcome {
    let text = text(value)?;
    parse(text)
        .map(wrap)
        .ok_or_else(|| Failure::new(format!("`{text}` is no {what}")))
}

fn json(value: &Value, fuel: &mut Fuel) -> Outcome {
    let mut room = format::RESULT_BYTES_MAX;
    let text = format::to_json(value, &mut room, 0)?.to_string();
    fuel.spend((format::RESULT_BYTES_MAX - room) / 16)?;
    fuel.spend_bytes(text.len())?;
    Ok(Value::string(text))
}

fn parse_json(text: &str, fuel: &mut Fuel) -> Outcome {
    fuel.spend(text.len() / 8)?;
    serde_json::from_str::<Json>(text)
        .map(|json| Value::from_json(&json))
        .map_err(|error| Failure::new(format!("the text is no JSON: {error}")))
}

fn matches(text: &str, pattern: &Value, compiled: Option<&Regex>, fuel: &mut Fuel) -> Outcome {
    fuel.spend_bytes(text.len())?;
    let verdict = match compiled {
        Some(regex) => regex.is_match(text),
        None => {
            fuel.spend(PATTERN_FUEL)?;
            pattern::compile(self::text(pattern)?)
                .map_err(|reason| Failure::new(format!("bad regular expression: {reason}")))?
                .is_match(text)
        }
    };
    Ok(Value::Bool(verdict))
}

fn on_texts(args: &[Value], fuel: &mut Fuel, test: fn(&str, &str) -> bool) -> Outcome {
    let (text, part) = (text(&args[0])?, text(&args[1])?);
    fuel.spend_bytes(text.len())?;
    Ok(Value::Bool(test(text, part)))
}

fn mapped(value: &Value, fuel: &mut Fuel, change: fn(&str) -> String) -> Outcome {
    let text = text(value)?;
    fuel.spend_bytes(text.len())?;
    Ok(Value::string(change(text)))
}

/// A limit below zero means none, as in CEL.
fn split(args: &[Value], fuel: &mut Fuel) -> Outcome {
    let (text, separator) = (text(&args[0])?, text(&args[1])?);
    let limit = match args.get(2) {
        Some(limit) => usize::try_from(count(limit)?).ok(),
        None => None,
    };
    fuel.spend_bytes(text.len())?;
    let limit = limit.unwrap_or(usize::MAX);
    // An empty separator splits into characters; `str::split` would add an empty text at both ends.
    let pieces: Vec<&str> = if limit == 0 {
        Vec::new()
    } else if separator.is_empty() {
        characters(text, limit)
    } else {
        text.splitn(limit, separator).collect()
    };
    fuel.spend(pieces.len())?;
    Ok(Value::list(pieces.into_iter().map(Value::string)))
}

fn characters(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if pieces.len() + 1 == limit {
            rest.len()
        } else {
            first.len_utf8()
        };
        let (piece, tail) = rest.split_at(length);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

fn join(args: &[Value], fuel: &mut Fuel) -> Outcome {
    let separator = match args.get(1) {
        Some(separator) => text(separator)?,
        None => "",
    };
    let mut joined = String::new();
    for (index, item) in list(&args[0])?.iter().enumerate() {
        let item = text(item)?;
        fuel.spend(1)?;
        fuel.spend_bytes(separator.len() + item.len())?;
        if joined.len() + separator.len() + item.len() > format::RESULT_BYTES_MAX {
            fuel.spend_bytes(format::RESULT_BYTES_MAX + 1)?;
        }
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item);
    }
    Ok(Value::string(joined))
}

/// At most `n` times if a fourth argument says so; below zero means all.
fn replace(args: &[Value], fuel: &mut Fuel) -> Outcome {
    let (text, from, to) = (text(&args[0])?, text(&args[1])?, text(&args[2])?);
    let limit = match args.get(3) {
        Some(limit) => usize::try_from(count(limit)?).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    fuel.spend_bytes(text.len())?;
    // Counted first: an empty pattern and a long replacement would outgrow memory.
    let places = text.matches(from).take(limit).count();
    fuel.spend_bytes(text.len().saturating_add(places.saturating_mul(to.len())))?;
    Ok(Value::string(text.replacen(from, to, limit)))
}

/// From and to count characters.
fn substring(args: &[Value], fuel: &mut Fuel) -> Outcome {
    let text = text(&args[0])?;
    fuel.spend_bytes(text.len())?;
    let length = text.chars().count();
    let start = count(&args[1])?;
    let end = match args.get(2) {
        Some(end) => count(end)?,
        None => i64::try_from(length).unwrap_or(i64::MAX),
    };
    let range = (usize::try_from(start), usize::try_from(end));
    let (Ok(from), Ok(to)) = range else {
        return Err(outside(start, end, length));
    };
    if from > to || to > length {
        return Err(outside(start, end, length));
    }
    Ok(Value::string(
        text.chars().skip(from).take(to - from).collect::<String>(),
    ))
}

fn outside(start: i64, end: i64, length: usize) -> Failure {
    Failure::new(format!(
        "{start} to {end} is out of range of {length} characters"
    ))
}

/// `%s %d %f %.2f %x %X %o %b %%`.
fn format_text(template: &str, args: &[Value], fuel: &mut Fuel) -> Outcome {
    let mut args = args.iter();
    let mut result = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        result.push_str(before);
        let (precision, after) = precision(after)?;
        let mut letters = after.chars();
        let verb = letters
            .next()
            .ok_or_else(|| Failure::new("the format ends after `%`"))?;
        rest = letters.as_str();
        if verb == '%' {
            result.push('%');
        } else {
            let value = args
                .next()
                .ok_or_else(|| Failure::new("the format has more places than there are values"))?;
            result.push_str(&formatted(verb, precision, value)?);
        }
        fuel.spend(1)?;
        fuel.spend_bytes(result.len())?;
    }
    result.push_str(rest);
    fuel.spend_bytes(result.len())?;
    Ok(Value::string(result))
}

fn precision(text: &str) -> Result<(Option<usize>, &str), Failure> {
    let Some(digits) = text.strip_prefix('.') else {
        return Ok((None, text));
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    match digits[..end].parse::<usize>() {
        Ok(precision) if precision <= 50 => Ok((Some(precision), &digits[end..])),
        _ => Err(Failure::new("the format's precision is a number up to 50")),
    }
}

fn formatted(verb: char, precision: Option<usize>, value: &Value) -> Result<String, Failure> {
    Ok(match (verb, value) {
        ('s', Value::List(_) | Value::Map(_)) => {
            let mut room = format::RESULT_BYTES_MAX;
            format::to_json(value, &mut room, 0)?.to_string()
        }
        ('s', value) => format::to_text(value)?,
        ('d', Value::Int(int)) => int.to_string(),
        ('f', Value::Double(double)) => format!("{double:.*}", precision.unwrap_or(6)),
        ('f', Value::Int(int)) => format!("{:.*}", precision.unwrap_or(6), to_double(*int)),
        ('x' | 'X' | 'o' | 'b', Value::Int(int)) => {
            let sign = if *int < 0 { "-" } else { "" };
            let magnitude = int.unsigned_abs();
            match verb {
                'x' => format!("{sign}{magnitude:x}"),
                'X' => format!("{sign}{magnitude:X}"),
                'o' => format!("{sign}{magnitude:o}"),
                _ => format!("{sign}{magnitude:b}"),
            }
        }
        ('d' | 'f' | 'x' | 'X' | 'o' | 'b', other) => {
            return Err(Failure::new(format!(
                "`%{verb}` does not take {}",
                other.kind()
            )));
        }
        (other, _) => {
            return Err(Failure::new(format!(
                "unknown place `%{other}` in the format"
            )));
        }
    })
}
