//! Text that looks like a secret.

use crate::diagnostic::Note;
use crate::lower::{Cx, Draft};
use crate::syntax::{Node, Shape};

/// How a known kind of secret starts, and how many characters of a token follow at least.
const KINDS: [(&str, &str, usize); 14] = [
    ("AKIA", "an AWS access key", 16),
    ("AIza", "a Google API key", 35),
    ("ghp_", "a GitHub token", 36),
    ("gho_", "a GitHub token", 36),
    ("ghs_", "a GitHub token", 36),
    ("github_pat_", "a GitHub token", 22),
    ("glpat-", "a GitLab token", 20),
    ("npm_", "an npm token", 36),
    ("sk-", "an API key", 32),
    ("sk_live_", "a Stripe key", 16),
    ("xoxb-", "a Slack token", 20),
    ("xoxp-", "a Slack token", 20),
    ("-----BEGIN PRIVATE KEY-----", "a private key", 0),
    ("-----BEGIN RSA PRIVATE KEY-----", "a private key", 0),
];

/// PHI801, for every text of the workflow.
pub(super) fn in_plain_text(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let mut open: Vec<&Node> = draft
        .root
        .entries
        .iter()
        .map(|entry| &entry.value)
        .collect();
    while let Some(node) = open.pop() {
        match &node.shape {
            Shape::Seq(items) => open.extend(items),
            Shape::Map(map) => open.extend(map.entries.iter().map(|entry| &entry.value)),
            Shape::Scalar(scalar) => {
                if let Some(kind) = kind_of(&scalar.text) {
                    cx.sink.push(
                        Note::error(
                            "PHI801",
                            node.span,
                            format!("secret in plain text: this looks like {kind}"),
                        )
                        .help("name it under `secrets` and hand it over with `task.secrets`; it was written down, so replace it"),
                    );
                }
            }
        }
    }
}

fn kind_of(text: &str) -> Option<&'static str> {
    let token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let known = KINDS.iter().find(|(prefix, _, least)| {
        text.match_indices(prefix).any(|(at, _)| {
            let starts = text[..at].chars().next_back().is_none_or(|c| !token(c));
            let rest = &text[at + prefix.len()..];
            starts && rest.chars().take_while(|c| token(*c)).count() >= *least
        })
    });
    if let Some((_, kind, _)) = known {
        return Some(kind);
    }
    text.match_indices("://")
        .any(|(at, sign)| has_password(&text[at + sign.len()..]))
        .then_some("an address with a password")
}

/// Whether an address goes on with `user:password@`. A password that is an expression is none.
fn has_password(rest: &str) -> bool {
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
        .unwrap_or(rest.len());
    let Some((login, _)) = rest[..end].rsplit_once('@') else {
        return false;
    };
    login
        .split_once(':')
        .is_some_and(|(_, password)| !password.is_empty() && !password.contains('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tokens_are_found_inside_text_and_words_that_resemble_them_are_not() {
        let github = format!("use ghp_{} here", "a".repeat(36));
        assert_eq!(kind_of(&github), Some("a GitHub token"));
        assert_eq!(
            kind_of("git clone https://me:hunter2@example.org/x"),
            Some("an address with a password")
        );
        for harmless in [
            "ghp_short",
            "a task-sk-abc",
            "https://example.org/a:b@c",
            "https://me@example.org",
            "https://me:${{ inputs.word }}@example.org",
            "brisk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(kind_of(harmless), None, "{harmless}");
        }
    }
}
