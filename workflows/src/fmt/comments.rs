//! Finds comments: what starts with `#` outside of scalars.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::syntax::Places;

/// A comment of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) start: usize,
    /// With its `#`, without the end of the line.
    pub(super) text: String,
    /// Whether nothing stands before it on its line.
    pub(super) own_line: bool,
    /// How far right it starts, in characters.
    pub(super) column: usize,
    /// White space before it, for comments behind something.
    pub(super) gap: usize,
    /// Whether the line before it is empty.
    pub(super) blank_before: bool,
}

/// The texts of all comments, in order.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut scalars = Vec::new();
    let body = without_mark(text);
    let places = Places::new(body, text.len() - body.len());
    for event in Parser::new_from_str(body) {
        let Ok((event, raw)) = event else { break };
        if let Event::Scalar(said, style, ..) = event {
            scalars.push(extent(text, places.span(raw).range(), style, &said));
        }
    }
    find(text, &scalars)
        .into_iter()
        .map(|comment| comment.text)
        .collect()
}

/// A text without its byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// All comments between scalars, whose extents are in order.
pub(super) fn find(text: &str, scalars: &[Range<usize>]) -> Vec<Comment> {
    let mut comments = Vec::new();
    let mut at = text.len() - without_mark(text).len();
    for scalar in scalars
        .iter()
        .cloned()
        .chain(std::iter::once(text.len()..text.len()))
    {
        if scalar.start > at {
            in_gap(text, at..scalar.start, &mut comments);
        }
        at = at.max(scalar.end);
    }
    comments
}

fn in_gap(text: &str, gap: Range<usize>, comments: &mut Vec<Comment>) {
    let mut at = gap.start;
    while let Some(found) = text[at..gap.end].find('#') {
        let start = at + found;
        let before = text[..start].chars().next_back();
        if before.is_some_and(|c| !c.is_whitespace() && c != '\u{feff}') {
            at = start + 1;
            continue;
        }
        let end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let prefix = text[line_start..start].trim_start_matches('\u{feff}');
        let lead = prefix.trim_end();
        let earlier = text[..line_start].trim_end_matches(['\n', '\r']);
        let newlines = text[earlier.len()..line_start].matches('\n').count();
        comments.push(Comment {
            start,
            text: text[start..end].trim_end().to_owned(),
            own_line: lead.is_empty(),
            column: prefix.chars().count(),
            gap: prefix.chars().count() - lead.chars().count(),
            blank_before: newlines > 1 && lead.is_empty(),
        });
        at = end;
        if at >= gap.end {
            break;
        }
    }
}

/// The bytes of a scalar without anchor and tag, and without what the parser counts too much; of a
/// block scalar from its header to its last line.
pub(super) fn extent(
    text: &str,
    span: Range<usize>,
    style: ScalarStyle,
    said: &str,
) -> Range<usize> {
    let start = after_properties(text, span.start);
    match style {
        // What is not there has the place of what follows.
        ScalarStyle::Plain if said.is_empty() => start..start,
        ScalarStyle::SingleQuoted => start..single_quoted_end(text, start),
        ScalarStyle::DoubleQuoted => start..double_quoted_end(text, start),
        ScalarStyle::Literal | ScalarStyle::Folded => block(text, start),
        ScalarStyle::Plain => start..span.end.max(start),
    }
}

/// Where the value starts, behind `&anchor`.
pub(super) fn after_properties(text: &str, start: usize) -> usize {
    let mut at = start;
    while text[at..].starts_with('&') {
        let width = text[at..]
            .find(char::is_whitespace)
            .unwrap_or(text.len() - at);
        at += width;
        at += text[at..].len() - text[at..].trim_start().len();
    }
    at
}

fn single_quoted_end(text: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\'')) {
        at += found + 1;
        if !text[at..].starts_with('\'') {
            return at;
        }
        at += 1;
    }
    text.len()
}

fn double_quoted_end(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text[start..].char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return start + at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The header and the lines of a block scalar. `start` is at the header or in the first line.
fn block(text: &str, start: usize) -> Range<usize> {
    let at_header = text[start..].starts_with(['|', '>']);
    let header = if at_header {
        start
    } else {
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let above = text[..line_start].trim_end();
        let line = above.rfind('\n').map_or(0, |n| n + 1);
        // The header ends its line, but for a comment.
        let code = above[line..]
            .find(" #")
            .map_or(above, |n| &above[..line + n]);
        let width = code.trim_end().len();
        code[line..]
            .trim_end()
            .rfind(['|', '>'])
            .map_or(width, |n| line + n)
    };
    let header_end = text[header..]
        .find('\n')
        .map_or(text.len(), |n| header + n + 1);
    let mut end = header_end;
    let mut indent = None;
    let mut at = header_end;
    for line in text[header_end..].split_inclusive('\n') {
        at += line.len();
        let blank = line.trim().is_empty();
        let depth = line.len() - line.trim_start_matches(' ').len();
        if blank {
            continue;
        }
        let least = *indent.get_or_insert(depth);
        if depth < least || least == 0 {
            break;
        }
        end = at;
    }
    header..end
}
