//! What a scalar means by the YAML 1.2 core schema, and which byte of the text each byte of it
//! came from.

use std::ops::Range;

use super::tree::{Kind, Node, Scalar, Style};
use crate::source::Span;

/// A plain scalar's kind; `Err` says why JSON cannot hold it.
pub(super) fn resolve(text: &str) -> Result<Kind, &'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" | "True" | "TRUE" => return Ok(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Kind::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err("it is not a number that JSON can hold");
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Kind::Str);
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return i64::from_str_radix(digits, radix)
                .map(Kind::Int)
                .map_err(|_| "it is beyond 64 bits");
        }
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text
            .strip_prefix('+')
            .unwrap_or(text)
            .parse()
            .map(Kind::Int)
            .map_err(|_| "it is beyond 64 bits");
    }
    if !is_float(unsigned) {
        return Ok(Kind::Str);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Kind::Float(value)),
        _ => Err("it is not a number that JSON can hold"),
    }
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_fits
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

/// Whether `text` without quotation marks is this very text for every YAML tool, inside `[...]` and
/// `{...}` too if `flow` says so.
pub(crate) fn is_plain_text(text: &str, flow: bool) -> bool {
    const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`";
    let Some(first) = text.chars().next() else {
        return false;
    };
    let opens = text.get(1..2).is_none_or(|next| next == " ");
    let first_fits = match first {
        '-' | '?' | ':' => !opens,
        _ => !INDICATORS.contains(first),
    };
    first_fits
        && resolve(text) == Ok(Kind::Str)
        && yaml11(text).is_none()
        && text == text.trim()
        && text != "<<"
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.chars().any(|c| c.is_control() || c == '\u{feff}')
        && !(flow && text.contains([',', '[', ']', '{', '}', ':']))
}

/// What YAML 1.1 tools take a plain scalar for, where the core schema says otherwise.
pub(super) fn yaml11(text: &str) -> Option<&'static str> {
    const BOOLS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "Y", "N"];
    if text.len() > 40 {
        return None;
    }
    let capitals = text.chars().all(|c| c.is_ascii_uppercase());
    let title = text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    if (capitals || title) && BOOLS.contains(&text.to_ascii_lowercase().as_str()) {
        return Some("bool");
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned.bytes().all(|b| b.is_ascii_digit())
    {
        return Some("number");
    }
    if unsigned.contains('_')
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
    {
        return Some("number");
    }
    if unsigned.contains(':')
        && unsigned
            .split(':')
            .all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
    {
        return Some("number");
    }
    let date: Vec<&str> = text.splitn(3, '-').collect();
    if let [year, month, rest] = date[..]
        && year.len() == 4
        && (1..=2).contains(&month.len())
        && [year, month]
            .iter()
            .all(|p| p.bytes().all(|b| b.is_ascii_digit()))
        && rest.starts_with(|c: char| c.is_ascii_digit())
        && rest
            .chars()
            .all(|c| c.is_ascii_digit() || "TtZz:.+- ".contains(c))
    {
        return Some("time");
    }
    None
}

/// Maps byte offsets of a decoded scalar to the text it was written as.
#[derive(Debug)]
pub(crate) struct ScalarPlaces {
    whole: Span,
    /// The text offset of each decoded byte, and of the end. `None`: escapes make it impossible.
    offsets: Option<Vec<u32>>,
}

impl ScalarPlaces {
    /// `text` is the whole source text that `node` came from.
    pub(crate) fn new(text: &str, node: &Node, scalar: &Scalar) -> Self {
        Self {
            whole: node.span,
            offsets: align(text, node.span, scalar),
        }
    }

    /// Where a range of the decoded text stands; the whole scalar if that cannot be told.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let Some(offsets) = &self.offsets else {
            return self.whole;
        };
        let last = offsets.len() - 1;
        let start = offsets[range.start.min(last)];
        // The byte after the last one of the range, not the place where the next one starts:
        // between them there may be an indentation.
        let end = match range.end {
            0 => start,
            end if range.is_empty() => offsets[end.min(last)],
            end => offsets[(end - 1).min(last)] + 1,
        };
        Span {
            start,
            end: end.max(start),
        }
    }
}

/// Walks the written and the decoded text side by side. White space of the written text that was
/// folded away is skipped; an escape that is more than a backslash before the character gives up.
fn align(text: &str, span: Span, scalar: &Scalar) -> Option<Vec<u32>> {
    let raw = text.get(span.range())?.as_bytes();
    let mut at = match scalar.style {
        // The parser's place of a block scalar is its content, without the header.
        Style::Plain | Style::Block => 0,
        Style::SingleQuoted | Style::DoubleQuoted => 1,
    };
    let place = |at: usize| u32::try_from(at).ok().map(|at| at + span.start);
    let mut offsets = Vec::with_capacity(scalar.text.len() + 1);
    for byte in scalar.text.bytes() {
        if is_space(byte) {
            offsets.push(place(at)?);
            if raw.get(at).copied().is_some_and(is_space) {
                at += 1;
            } else if raw.get(at) == Some(&b'\\') {
                return None;
            }
            continue;
        }
        while raw.get(at).copied().is_some_and(is_space) {
            at += 1;
        }
        if scalar.style == Style::DoubleQuoted && raw.get(at) == Some(&b'\\') {
            at += 1;
            if !matches!(byte, b'"' | b'\\' | b'/') {
                return None;
            }
        }
        if raw.get(at) != Some(&byte) {
            return None;
        }
        offsets.push(place(at)?);
        at += 1;
        if scalar.style == Style::SingleQuoted && byte == b'\'' {
            at += 1;
        }
    }
    offsets.push(place(at.min(raw.len()))?);
    Some(offsets)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_resolve_by_the_core_schema() {
        for (text, kind) in [
            ("~", Kind::Null),
            ("True", Kind::Bool(true)),
            ("-12", Kind::Int(-12)),
            ("0x1F", Kind::Int(31)),
            ("017", Kind::Int(17)),
            ("1e3", Kind::Float(1000.0)),
            (".5", Kind::Float(0.5)),
            ("1_000", Kind::Str),
            ("yes", Kind::Str),
            ("1.2.3", Kind::Str),
            (".", Kind::Str),
            ("-", Kind::Str),
            ("30s", Kind::Str),
        ] {
            assert_eq!(resolve(text), Ok(kind), "{text}");
        }
        assert!(resolve("9223372036854775808").is_err());
        assert!(resolve("-.inf").is_err());
    }

    #[test]
    fn what_yaml_1_1_reads_otherwise_is_known() {
        for (text, kind) in [
            ("on", Some("bool")),
            ("NO", Some("bool")),
            ("017", Some("number")),
            ("1_000", Some("number")),
            ("12:30:45", Some("number")),
            ("2024-01-31", Some("time")),
            ("oN", None),
            ("once", None),
            ("30s", None),
            ("0", None),
            ("2024-report", None),
        ] {
            assert_eq!(yaml11(text), kind, "{text}");
        }
    }
}
