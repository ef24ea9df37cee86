//! The text that diagnostics point into, and the arithmetic of places in it.
//!
//! Spans are bytes; lines and columns are for people, from 1, columns in characters. A text that
//! was not UTF-8 keeps the place of its first bad byte, so that the compiler can point there.

use std::ops::Range;

/// A named text.
#[derive(Clone, Debug)]
pub struct SourceText {
    name: String,
    text: String,
    line_starts: Vec<u32>,
    bad_byte: Option<u32>,
}

impl SourceText {
    /// `name` is what a person sees: a path, or `<stdin>`.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| offset(at + 1)))
            .collect();
        Self {
            name: name.into(),
            text,
            line_starts,
            bad_byte: None,
        }
    }

    /// Takes bytes as they were read. What is not UTF-8 is shown as U+FFFD, and compiling the text
    /// ends in PHI009 at the first such place.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::new(name, text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Self {
                    bad_byte: Some(offset(valid)),
                    ..Self::new(name, text)
                }
            }
        }
    }

    /// What a person sees.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte offset, from 1. Offsets past the end belong to the last line.
    #[must_use]
    pub fn line(&self, at: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self, at: u32) -> (usize, usize) {
        let line = self.line(at);
        let start = self.line_start(line);
        let mut end = (at as usize).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        (line, self.text[start..end].chars().count() + 1)
    }

    /// The bytes of a line, counted from 1, without its end of line.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_start(line);
        let end = match self.line_starts.get(line) {
            Some(next) => *next as usize - 1,
            None => self.text.len(),
        };
        let end = if end > start && self.text.as_bytes()[end - 1] == b'\r' {
            end - 1
        } else {
            end
        };
        start..end
    }

    /// How many lines there are, at least 1.
    pub(crate) fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// The text of a span; the empty text if the span does not fit.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Where the text stopped to be UTF-8, if it did.
    pub(crate) fn bad_byte(&self) -> Option<u32> {
        self.bad_byte
    }

    fn line_start(&self, line: usize) -> usize {
        self.line_starts[line - 1] as usize
    }
}

/// A range of bytes, the end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: offset(start),
            end: offset(end.max(start)),
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A place in a text. Texts past 4 GiB are refused long before anybody looks at a place in them,
/// so saturating loses nothing.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let source = SourceText::new("x", "a\u{e9}b\r\nc");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(3), (1, 3));
        assert_eq!(source.line_column(6), (2, 1));
        assert_eq!(source.line_column(99), (2, 2));
        assert_eq!(source.line_range(1), 0..4);
    }

    #[test]
    fn bytes_that_are_not_utf8_keep_their_place() {
        let source = SourceText::from_bytes("x", b"ab\xffcd".to_vec());
        assert_eq!(source.bad_byte(), Some(2));
        assert_eq!(source.text(), "ab\u{fffd}cd");
    }
}
