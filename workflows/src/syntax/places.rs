//! Byte offsets of the parser's places, which count characters.

use saphyr_parser::Span as RawSpan;

use crate::source::Span;

/// Turns the parser's places in one text into bytes.
pub(crate) struct Places {
    base: usize,
    /// Byte offset of each character; `None` when all are one byte long.
    offsets: Option<Vec<u32>>,
    len: usize,
}

impl Places {
    pub(crate) fn new(text: &str, base: usize) -> Self {
        let offsets = (!text.is_ascii()).then(|| {
            text.char_indices()
                .map(|(at, _)| Span::new(at, at).start)
                .collect()
        });
        Self {
            base,
            offsets,
            len: text.len(),
        }
    }

    pub(crate) fn byte(&self, index: usize) -> usize {
        let at = match &self.offsets {
            None => index.min(self.len),
            Some(offsets) => offsets.get(index).map_or(self.len, |at| *at as usize),
        };
        self.base + at
    }

    pub(crate) fn span(&self, raw: RawSpan) -> Span {
        Span::new(self.byte(raw.start.index()), self.byte(raw.end.index()))
    }
}
