//! How a text is written: quotation marks, and where they are not needed.

use crate::grammar::Form;
use crate::syntax::is_plain_text;

/// `text` in quotation marks, on one line: double ones, unless only single ones need no escape.
pub(super) fn quoted(text: &str) -> String {
    let plain_inside = !text.chars().any(char::is_control);
    if plain_inside && text.contains(['"', '\\']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            c if c.is_control() || c == '\u{feff}' => {
                written.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// A text as it is written if it needs no quotation marks, else in them.
pub(super) fn plain_or_quoted(text: &str, flow: bool) -> String {
    if is_plain_text(text, flow) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// The bare expression of a condition that was written as `${{ ... }}`.
pub(super) fn unwrapped<'t>(text: &'t str, form: Option<&Form>) -> Option<&'t str> {
    form.filter(|form| form.is_expression())?;
    bare_condition(text)
}

/// The inside of a text that is one `${{ ... }}` as a whole. A text with further marks inside, which
/// may belong to a literal of the expression, is not taken apart.
pub(crate) fn bare_condition(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim();
    let marks = inside.contains("${{") || inside.contains("}}");
    (!marks && !inside.is_empty() && !inside.contains('\n')).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_quotation_marks_are_for_texts_that_double_ones_would_escape() {
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("say \"a\""), "'say \"a\"'");
        assert_eq!(quoted("it's \"a\""), "\"it's \\\"a\\\"\"");
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }

    #[test]
    fn only_a_whole_wrapper_is_one() {
        assert_eq!(bare_condition("${{ a.b }}"), Some("a.b"));
        assert_eq!(bare_condition(" ${{a}} "), Some("a"));
        assert_eq!(bare_condition("${{ a }} && ${{ b }}"), None);
        assert_eq!(bare_condition("a"), None);
        assert_eq!(bare_condition("${{ }}"), None);
    }

    #[test]
    fn what_yaml_reads_otherwise_keeps_its_quotation_marks() {
        for text in [
            "",
            "true",
            "12",
            "- a",
            "a: b",
            "a #b",
            "!x",
            "[a]",
            "on",
            " a",
            "a:",
            "2024-01-31",
        ] {
            assert!(plain_or_quoted(text, false) != text, "{text:?}");
        }
        assert_eq!(plain_or_quoted("a == 'b'", false), "a == 'b'");
        assert_eq!(plain_or_quoted("-1 < a", false), "-1 < a");
        assert_eq!(plain_or_quoted("a, b", true), "\"a, b\"");
    }
}
