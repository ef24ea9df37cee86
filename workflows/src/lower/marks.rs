//! The marks of expressions within text: `${{ }}`, and `$${{` for the mark itself.

use std::ops::Range;

/// A piece of a scalar.
pub(super) enum Piece {
    Text(String),
    /// The trimmed text of an expression, in bytes of the decoded scalar.
    Expr(Range<usize>),
}

/// Marks that do not pair.
pub(super) struct BadMarks {
    pub(super) at: usize,
    pub(super) width: usize,
    pub(super) message: &'static str,
    pub(super) help: &'static str,
}

/// Cuts a text at its expressions.
pub(super) fn cut(text: &str) -> Result<Vec<Piece>, BadMarks> {
    // A block scalar ends with a newline that nobody wrote on purpose.
    let whole = text.strip_suffix('\n').unwrap_or(text);
    if whole.starts_with("${{")
        && let Some(end) = expression_end(whole, 3)
        && end + 2 == whole.len()
    {
        return Ok(vec![Piece::Expr(inside(text, 3..end)?)]);
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut open = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find("${{") {
        let mark = at + found;
        if text[at..mark].ends_with('$') {
            literal.push_str(&text[at..mark - 1]);
            literal.push_str("${{");
            // The end mark that goes with it is text, too.
            open += 2;
            at = mark + 3;
            continue;
        }
        no_stray_end(text, at..mark, &mut open)?;
        literal.push_str(&text[at..mark]);
        let start = mark + 3;
        let Some(end) = expression_end(text, start) else {
            return Err(BadMarks {
                at: mark,
                width: 3,
                message: "`${{` without `}}`",
                help: "close the expression, or write `$${{` for the text `${{`",
            });
        };
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Expr(inside(text, start..end)?));
        at = end + 2;
    }
    if !pieces.is_empty() {
        no_stray_end(text, at..text.len(), &mut open)?;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

fn inside(text: &str, range: Range<usize>) -> Result<Range<usize>, BadMarks> {
    if let Some(nested) = text[range.clone()].find("${{") {
        return Err(BadMarks {
            at: range.start + nested,
            width: 3,
            message: "`${{` inside an expression",
            help: "inside `${{ }}` names are written bare",
        });
    }
    Ok(trimmed(text, range))
}

/// The range without the white space at its ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    start..(start + inner.trim().len())
}

/// An end mark among text. Braces that the text itself opens (JSON in a prompt) are no marks:
/// `open` counts them through the whole scalar.
fn no_stray_end(text: &str, range: Range<usize>, open: &mut usize) -> Result<(), BadMarks> {
    let bytes = &text.as_bytes()[range.clone()];
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => *open += 1,
            b'}' if *open > 0 => *open -= 1,
            b'}' if bytes.get(offset + 1) == Some(&b'}') => {
                return Err(BadMarks {
                    at: range.start + offset,
                    width: 2,
                    message: "`}}` without `${{`",
                    help: "an expression starts with `${{`",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the `}}` of an expression stands that starts at `start`: braces and texts inside the
/// expression are passed over. A text that never ends hides everything, so then the first `}}`
/// counts, and the expression's own error is the better message.
fn expression_end(text: &str, start: usize) -> Option<usize> {
    // Longer expressions are refused anyway; the bound keeps a text full of open marks linear.
    const LENGTH_MAX: usize = 4 * 1024 + 64;
    let bytes = &text.as_bytes()[..text.len().min(start + LENGTH_MAX)];
    let mut open = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => open += 1,
            b'}' if open > 0 => open -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'\'' | b'"' => {
                let raw = at > start && matches!(bytes[at - 1], b'r' | b'R');
                match text_end(bytes, at, raw) {
                    Some(end) => at = end,
                    None => break,
                }
            }
            _ => {}
        }
        at += 1;
    }
    text[start..].find("}}").map(|end| start + end)
}

/// The closing quotation mark of the text that opens at `at`.
fn text_end(bytes: &[u8], at: usize, raw: bool) -> Option<usize> {
    let quote = bytes[at];
    let triple = bytes[at..].starts_with(&[quote; 3]);
    let mut at = if triple { at + 3 } else { at + 1 };
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && !raw {
            at += 2;
            continue;
        }
        if !triple && *byte == quote {
            return Some(at);
        }
        if triple && bytes[at..].starts_with(&[quote; 3]) {
            return Some(at + 2);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match cut(text) {
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("[{text}]"),
                    Piece::Expr(range) => format!("<{}>", &text[range.clone()]),
                })
                .collect(),
            Err(problem) => format!("{} at {}", problem.message, problem.at),
        }
    }

    #[test]
    fn expressions_are_cut_out_of_text() {
        for (text, pieces) in [
            ("plain", "[plain]"),
            ("", "[]"),
            ("${{ a }}", "<a>"),
            ("${{a}}\n", "<a>"),
            (" ${{ a }} ", "[ ]<a>[ ]"),
            ("${{ a }}${{ b }}", "<a><b>"),
            ("a $${{ b }} c", "[a ${{ b }} c]"),
            ("${{ {'a': {'b': 1}} }}", "<{'a': {'b': 1}}>"),
            ("${{ '}}' + \"}}\" }}", "<'}}' + \"}}\">"),
            ("${{ r'\\' }} x", "<r'\\'>[ x]"),
            ("{\"a\": {\"b\": ${{ c }}}}", "[{\"a\": {\"b\": ]<c>[}}]"),
            ("${{ 'open }}", "<'open>"),
        ] {
            assert_eq!(shown(text), pieces, "{text}");
        }
    }

    #[test]
    fn marks_that_do_not_pair_are_named() {
        assert_eq!(shown("a ${{ b"), "`${{` without `}}` at 2");
        assert_eq!(shown("${{ a }} b }}"), "`}}` without `${{` at 11");
        assert_eq!(
            shown("x ${{ a ${{ b }} }}"),
            "`${{` inside an expression at 8"
        );
    }
}
