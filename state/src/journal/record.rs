//! One record as one line of JSON, in exactly one spelling.
//!
//! ```text
//! {"seq":12,"stream":"run/r-7f3","version":3,"at":1795340000000000,"event":{...}}
//! ```
//!
//! The line is always written in this spelling, so decoding is strict: whatever decodes encodes
//! to the same bytes. Control characters occur nowhere in it; that is what lets [`super::frame`]
//! mark its own lines with a tab. Whether the event is well-formed JSON is its author's promise.

use crate::{Record, Seq, StreamName, Timestamp, Version};

/// The longest stream name, in bytes.
pub(crate) const STREAM_NAME_MAX: usize = 200;

/// A decoded line, borrowing from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) seq: Seq,
    pub(crate) stream: &'a str,
    pub(crate) version: Version,
    pub(crate) at: Timestamp,
    pub(crate) event: &'a str,
}

impl Line<'_> {
    /// The record with its own copies.
    pub(crate) fn to_record(self) -> Record {
        Record {
            seq: self.seq,
            stream: StreamName::new(self.stream),
            version: self.version,
            at: self.at,
            event: self.event.to_owned(),
        }
    }
}

/// Why a line is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Whether `name` may name a stream.
pub(crate) fn check_stream(name: &str) -> Result<(), Malformed> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'_' | b'/' | b'-')
    };
    if name.is_empty() || name.len() > STREAM_NAME_MAX {
        return Err(Malformed("a stream name has 1 to 200 bytes"));
    }
    if !name.bytes().all(allowed) {
        return Err(Malformed("a stream name is made of [a-z0-9._/-]"));
    }
    Ok(())
}

/// Whether `event` may stand in a line.
pub(crate) fn check_event(event: &str) -> Result<(), Malformed> {
    if event.is_empty() {
        return Err(Malformed("an event is not empty"));
    }
    // Folded without leaving early: the compiler turns this into vector code.
    let control = event
        .bytes()
        .fold(false, |found, byte| found | (byte < b' '));
    if control {
        return Err(Malformed("an event holds no control characters"));
    }
    Ok(())
}

/// Appends the line and its newline to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, line: Line<'_>) {
    out.reserve(line.event.len() + line.stream.len() + 120);
    out.extend_from_slice(b"{\"seq\":");
    push_u64(out, line.seq.0);
    out.extend_from_slice(b",\"stream\":\"");
    out.extend_from_slice(line.stream.as_bytes());
    out.extend_from_slice(b"\",\"version\":");
    push_u64(out, line.version);
    out.extend_from_slice(b",\"at\":");
    let micros = line.at.as_micros();
    if micros < 0 {
        out.push(b'-');
    }
    push_u64(out, micros.unsigned_abs());
    out.extend_from_slice(b",\"event\":");
    out.extend_from_slice(line.event.as_bytes());
    out.extend_from_slice(b"}\n");
}

/// Reads a line, given without its newline.
pub(crate) fn decode(line: &[u8]) -> Result<Line<'_>, Malformed> {
    let text = std::str::from_utf8(line).map_err(|_| Malformed("it is not UTF-8"))?;
    let mut cursor = Cursor(text);
    cursor.expect("{\"seq\":")?;
    let seq = Seq(cursor.number()?);
    cursor.expect(",\"stream\":\"")?;
    let stream = cursor.until('"')?;
    check_stream(stream)?;
    cursor.expect("\",\"version\":")?;
    let version = cursor.number()?;
    cursor.expect(",\"at\":")?;
    let at = cursor.signed()?;
    cursor.expect(",\"event\":")?;
    let event = cursor.0.strip_suffix('}').ok_or(NOT_A_RECORD)?;
    check_event(event)?;
    Ok(Line {
        seq,
        stream,
        version,
        at: Timestamp::from_micros(at),
        event,
    })
}

const NOT_A_RECORD: Malformed = Malformed("it is not a record line");

/// What is left of a line that is read from the front.
pub(crate) struct Cursor<'a>(pub(crate) &'a str);

impl<'a> Cursor<'a> {
    pub(crate) fn expect(&mut self, literal: &str) -> Result<(), Malformed> {
        self.0 = self.0.strip_prefix(literal).ok_or(NOT_A_RECORD)?;
        Ok(())
    }

    /// Everything before `end`, which stays.
    pub(crate) fn until(&mut self, end: char) -> Result<&'a str, Malformed> {
        let at = self.0.find(end).ok_or(NOT_A_RECORD)?;
        let (before, rest) = self.0.split_at(at);
        self.0 = rest;
        Ok(before)
    }

    /// A number without a sign or a leading zero.
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(end);
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(NOT_A_RECORD);
        }
        self.0 = rest;
        digits.parse().map_err(|_| NOT_A_RECORD)
    }

    fn signed(&mut self) -> Result<i64, Malformed> {
        let end = self.0.find(',').ok_or(NOT_A_RECORD)?;
        let (text, rest) = self.0.split_at(end);
        let value: i64 = text.parse().map_err(|_| NOT_A_RECORD)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let canonical =
            !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0')) && text != "-0";
        if !canonical {
            return Err(NOT_A_RECORD);
        }
        self.0 = rest;
        Ok(value)
    }
}

/// Appends `number` in decimal.
pub(crate) fn push_u64(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("a digit is below 10");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Line, Malformed, check_event, decode, encode};
    use crate::{Seq, Timestamp};

    fn line() -> impl Strategy<Value = (u64, String, u64, i64, String)> {
        (
            any::<u64>(),
            "[a-z0-9._/-]{1,200}",
            any::<u64>(),
            any::<i64>(),
            "[^\\x00-\\x1f]{1,80}",
        )
    }

    proptest! {
        #[test]
        fn a_line_decodes_to_what_was_encoded((seq, stream, version, at, event) in line()) {
            let line = Line {
                seq: Seq(seq), stream: &stream, version,
                at: Timestamp::from_micros(at), event: &event,
            };
            let mut bytes = Vec::new();
            encode(&mut bytes, line);
            let (newline, text) = bytes.split_last().expect("a line is not empty");
            prop_assert_eq!(*newline, b'\n');
            prop_assert_eq!(decode(text), Ok(line));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            (seq, stream, version, at, event) in line(), at_byte in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = Vec::new();
            let at = Timestamp::from_micros(at);
            encode(&mut bytes, Line { seq: Seq(seq), stream: &stream, version, at, event: &event });
            bytes.pop();
            let index = at_byte.index(bytes.len());
            bytes[index] = byte;
            if let Ok(line) = decode(&bytes) {
                let mut again = Vec::new();
                encode(&mut again, line);
                again.pop();
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_are_no_record(bytes in any::<Vec<u8>>()) {
            let begins_like_one = bytes.starts_with(b"{\"seq\":");
            prop_assert!(begins_like_one || decode(&bytes).is_err());
        }
    }

    #[test]
    fn an_event_with_a_control_character_is_refused() {
        for event in ["", "{\n}", "{\t}", "\"\0\""] {
            assert!(matches!(check_event(event), Err(Malformed(_))), "{event:?}");
        }
        assert_eq!(check_event(r#"{"text":"a\nb"}"#), Ok(()));
    }
}
