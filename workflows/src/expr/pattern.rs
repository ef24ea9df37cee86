//! Regular expressions and globs: linear time, bounded size.

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;

/// Largest compiled form, in bytes: what `\w{1,100}` needs and `(\w{100}){100}` does not get.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern; the error is the reason, in one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("longer than {PATTERN_BYTES_MAX} bytes"));
    }
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(32)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
            other => last_line(&other.to_string()),
        })
}

/// Compiles a glob: `*` and `?` stay within a path's part, `**` crosses parts, everything else
/// stands for itself.
pub(super) fn compile_glob(pattern: &str) -> Result<Regex, String> {
    let mut translated = String::from("^");
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = if rest.starts_with("**/") {
            ("(?:.*/)?", 3)
        } else if rest.starts_with("**") {
            (".*", 2)
        } else if first == '*' {
            ("[^/]*", 1)
        } else if first == '?' {
            ("[^/]", 1)
        } else {
            ("", first.len_utf8())
        };
        if piece.is_empty() {
            translated.push_str(&regex::escape(&rest[..length]));
        } else {
            translated.push_str(piece);
        }
        rest = &rest[length..];
    }
    translated.push('$');
    compile(&translated)
}

/// Whether `path` is one that the glob names, as `glob(path, pattern)` says it; a glob that cannot be
/// compiled names none.
#[must_use]
pub fn is_in_glob(path: &str, glob: &str) -> bool {
    compile_glob(glob).is_ok_and(|regex| regex.is_match(path))
}

/// The parser of `regex` draws the pattern over several lines; the last one names the trouble.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
