//! Finds credentials in text: tokens of well-known shape, private keys, and values that look random
//! and are assigned to a telling name.
//!
//! What is found leaves this module masked or as a byte range; it promises few false positives
//! rather than completeness, and sends nothing anywhere.

use std::ops::Range;

use super::Severity;

/// A token issued by a known service: a fixed prefix and then characters of one alphabet.
struct Shape {
    rule: &'static str,
    prefixes: &'static [&'static str],
    alphabet: fn(char) -> bool,
    /// Characters after the prefix, both ends included.
    length: (usize, usize),
}

fn upper_or_digit(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

fn letter_or_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn url_safe(c: char) -> bool {
    word(c) || c == '-'
}

const SHAPES: &[Shape] = &[
    Shape {
        rule: "secret.aws_access_key",
        prefixes: &["AKIA", "ASIA"],
        alphabet: upper_or_digit,
        length: (16, 16),
    },
    Shape {
        rule: "secret.github_token",
        prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        alphabet: letter_or_digit,
        length: (36, 255),
    },
    Shape {
        rule: "secret.github_token",
        prefixes: &["github_pat_"],
        alphabet: word,
        length: (60, 255),
    },
    Shape {
        rule: "secret.gitlab_token",
        prefixes: &["glpat-"],
        alphabet: url_safe,
        length: (20, 64),
    },
    Shape {
        rule: "secret.google_api_key",
        prefixes: &["AIza"],
        alphabet: url_safe,
        length: (35, 35),
    },
    Shape {
        rule: "secret.npm_token",
        prefixes: &["npm_"],
        alphabet: letter_or_digit,
        length: (36, 36),
    },
    Shape {
        rule: "secret.slack_token",
        prefixes: &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"],
        alphabet: url_safe,
        length: (20, 255),
    },
    Shape {
        rule: "secret.stripe_key",
        prefixes: &["sk_live_", "rk_live_"],
        alphabet: letter_or_digit,
        length: (16, 128),
    },
    Shape {
        rule: "secret.model_api_key",
        prefixes: &["sk-ant-", "sk-proj-"],
        alphabet: url_safe,
        length: (32, 255),
    },
];

/// Parts of names whose values should not stand in a file.
const TELLING_NAMES: [&str; 8] = [
    "secret",
    "token",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
];

/// Parts of values that say themselves that they are not real.
const PLACEHOLDERS: [&str; 8] = [
    "example",
    "changeme",
    "placeholder",
    "dummy",
    "your",
    "xxxx",
    "1234567",
    "abcdef",
];

/// Length of a value from which its randomness can be judged, in characters.
const RANDOM_LENGTH_MIN: usize = 16;
/// Digits that a random value has at least; a name with a number in it has fewer.
const RANDOM_DIGITS_MIN: usize = 3;
/// Bits per character above which a value counts as random. Words of a language stay near 3.
const RANDOM_BITS_MIN: f64 = 3.5;
/// Characters of key material that must follow a private key's header.
const KEY_MATERIAL_MIN: usize = 32;

/// A credential at a byte range of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    /// From 1.
    pub(super) line: usize,
    pub(super) range: Range<usize>,
}

/// Every credential of `text`, by line and column. `bare_values`: whether `name=value` counts
/// without quotes, as in `.env` files.
pub(super) fn find(text: &str, bare_values: bool) -> Vec<Secret> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let before = found.len();
        let mut add = |rule, severity, range| {
            found.push(Secret {
                rule,
                severity,
                line: index + 1,
                range,
            });
        };
        for shape in SHAPES {
            for range in shape.find(line) {
                add(shape.rule, Severity::Critical, range);
            }
        }
        if let Some(range) = private_key(line, lines.get(index + 1).copied()) {
            add("secret.private_key", Severity::Critical, range);
        }
        // A token of known shape is not reported again as a random value.
        if found.len() == before
            && let Some(range) = random_assignment(line, bare_values)
        {
            found.push(Secret {
                rule: "secret.assignment",
                severity: Severity::High,
                line: index + 1,
                range,
            });
        }
        found[before..].sort_by_key(|secret| secret.range.start);
    }
    found
}

/// A secret as it may be shown: its first four characters (its kind, for known tokens) and length.
pub(super) fn masked(secret: &str) -> String {
    let head: String = secret.chars().take(4).collect();
    format!("{head}... ({} characters)", secret.chars().count())
}

impl Shape {
    fn find<'a>(&'a self, line: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        self.prefixes.iter().flat_map(move |prefix| {
            line.match_indices(prefix).filter_map(move |(start, _)| {
                if line[..start].chars().next_back().is_some_and(word) {
                    return None;
                }
                let tail = &line[start + prefix.len()..];
                let length = tail
                    .chars()
                    .take(self.length.1 + 1)
                    .take_while(|c| (self.alphabet)(*c))
                    .count();
                let ends = !tail[length..].chars().next().is_some_and(word);
                let fits = (self.length.0..=self.length.1).contains(&length);
                let real = !is_placeholder(&tail[..length]);
                (fits && ends && real).then(|| start..start + prefix.len() + length)
            })
        })
    }
}

/// The header of a private key that is followed by key material, on the same line (a string with
/// `\n` in it) or on the next one. Prose that mentions the header is none.
fn private_key(line: &str, next: Option<&str>) -> Option<Range<usize>> {
    let start = line.find("-----BEGIN ")?;
    let (label, rest) = line[start + "-----BEGIN ".len()..].split_once("-----")?;
    if !label.ends_with("PRIVATE KEY") {
        return None;
    }
    let end = line.len() - rest.len();
    let is_material = |text: &str| {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
            .count()
            >= KEY_MATERIAL_MIN
    };
    let inline = rest.strip_prefix("\\n").unwrap_or(rest);
    (is_material(inline) || next.is_some_and(|next| is_material(next.trim()))).then_some(start..end)
}

/// `name = "value"` or `name: "value"` where the name tells and the value looks random.
fn random_assignment(line: &str, bare_values: bool) -> Option<Range<usize>> {
    let at = line.find(['=', ':'])?;
    let name: String = line[..at].to_ascii_lowercase().replace('-', "_");
    if !TELLING_NAMES.iter().any(|telling| name.contains(telling)) {
        return None;
    }
    let rest = &line[at + 1..];
    let value = match rest.find(['"', '\'']) {
        Some(open) => {
            let mark = if rest[open..].starts_with('"') {
                '"'
            } else {
                '\''
            };
            let inside = &rest[open + 1..];
            &inside[..inside.find(mark)?]
        }
        None if bare_values => rest.trim(),
        None => return None,
    };
    let start = value.as_ptr().addr() - line.as_ptr().addr();
    looks_random(value).then_some(start..start + value.len())
}

fn looks_random(value: &str) -> bool {
    value.len() >= RANDOM_LENGTH_MIN
        && value
            .chars()
            .all(|c| url_safe(c) || matches!(c, '+' | '/' | '=' | '.'))
        && value.chars().filter(char::is_ascii_digit).count() >= RANDOM_DIGITS_MIN
        && value.chars().any(|c| c.is_ascii_alphabetic())
        && !is_placeholder(value)
        && bits_per_character(value) >= RANDOM_BITS_MIN
}

fn is_placeholder(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    PLACEHOLDERS
        .iter()
        .any(|placeholder| value.contains(placeholder))
}

/// Shannon's entropy of the bytes of `value`.
fn bits_per_character(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random characters, never written as one literal: this repository is audited by itself.
    pub(crate) fn random(length: usize) -> String {
        "q7Rk2ZpX9vTn4LwB8mYc3HsJ6dFg5QaE1uKi0"
            .chars()
            .cycle()
            .take(length)
            .collect()
    }

    fn rules(text: &str) -> Vec<&'static str> {
        find(text, false)
            .into_iter()
            .map(|secret| secret.rule)
            .collect()
    }

    #[test]
    fn tokens_of_known_shape_are_found() {
        let upper = random(16).to_ascii_uppercase();
        let cases = [
            (format!("AKIA{upper}"), "secret.aws_access_key"),
            (format!("ghp_{}", random(36)), "secret.github_token"),
            (format!("github_pat_{}", random(82)), "secret.github_token"),
            (format!("glpat-{}", random(20)), "secret.gitlab_token"),
            (format!("AIza{}", random(35)), "secret.google_api_key"),
            (format!("npm_{}", random(36)), "secret.npm_token"),
            (format!("xoxb-{}", random(24)), "secret.slack_token"),
            (format!("sk_live_{}", random(24)), "secret.stripe_key"),
            (format!("sk-ant-{}", random(40)), "secret.model_api_key"),
        ];
        for (token, rule) in cases {
            let line = format!("let key = f(\"{token}\");");
            let found = find(&line, false);
            assert_eq!(found.len(), 1, "{rule}");
            assert_eq!(found[0].rule, rule);
            assert_eq!(found[0].severity, Severity::Critical);
            assert_eq!(line[found[0].range.clone()], token);
        }
    }

    #[test]
    fn a_token_is_a_whole_word_of_the_right_length() {
        let upper = random(16).to_ascii_uppercase();
        assert!(rules(&format!("XAKIA{upper}")).is_empty());
        assert!(rules(&format!("AKIA{upper}X")).is_empty());
        assert!(rules(&format!("AKIA{upper}x")).is_empty());
        assert!(rules(&format!("AKIA{}", &upper[..15])).is_empty());
        assert!(rules(&format!("ghp_{}", random(35))).is_empty());
    }

    #[test]
    fn what_calls_itself_an_example_is_none() {
        assert!(rules("AKIAIOSFODNN7EXAMPLE").is_empty());
        assert!(rules("password = \"changeme-0123456789\"").is_empty());
    }

    #[test]
    fn a_private_key_is_a_header_with_material_after_it() {
        let header = format!("-----BEGIN {} KEY-----", "RSA PRIVATE");
        let material = random(64);
        assert_eq!(
            rules(&format!("{header}\n{material}\n")),
            ["secret.private_key"]
        );
        assert_eq!(
            rules(&format!("k = \"{header}\\n{material}\"")),
            ["secret.private_key"]
        );
        assert!(rules(&format!("A file that starts with {header}\nis a key.")).is_empty());
        assert!(rules(&format!("-----BEGIN {} KEY-----\n{material}", "PUBLIC")).is_empty());
    }

    #[test]
    fn a_random_value_counts_only_under_a_telling_name() {
        let value = random(24);
        assert_eq!(
            rules(&format!("db-password: '{value}'")),
            ["secret.assignment"]
        );
        assert!(rules(&format!("checksum: '{value}'")).is_empty());
        assert!(rules("token = \"the_token_of_this_page_2\"").is_empty());
        assert!(rules("token = \"${{ inputs.token }}\"").is_empty());
    }

    #[test]
    fn values_without_quotes_count_only_where_they_are_usual() {
        let line = format!("API_TOKEN={}", random(24));
        assert!(find(&line, false).is_empty());
        assert_eq!(find(&line, true)[0].range, 10..34);
    }

    #[test]
    fn a_masked_secret_shows_four_characters_and_the_length() {
        assert_eq!(masked(&random(20)), "q7Rk... (20 characters)");
    }
}
