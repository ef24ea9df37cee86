//! KALIC, who guards: looks for credentials, `unsafe` Rust and careless permissions.
//!
//! Secrets leave here masked, also on their way to the report and into the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::language::Family;
use super::tree::{Content, Entry, Tree};
use super::{Failure, Finding, Look, Severity, list, secrets, source};

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_OR_OTHERS_READ: u32 = 0o044;
const ANYBODY_EXECUTES: u32 = 0o111;

/// What was found, worst first, and how much of each severity.
#[derive(Debug, Serialize)]
pub(super) struct Security {
    critical: usize,
    high: usize,
    medium: usize,
    low: usize,
    findings: Vec<Finding>,
    /// Findings beyond those listed; the totals have them.
    omitted: usize,
    /// Files too large or not readable.
    unread: usize,
}

/// Looks through every file below the root.
pub(super) fn security(look: Look) -> Result<Security, Failure> {
    let tree = Tree::walk(&look.root)?;
    let mut findings = Vec::new();
    for directory in &tree.directories {
        if let Some(mode) = directory.mode
            && mode & OTHERS_WRITE != 0
            && mode & STICKY == 0
        {
            findings.push(Finding::new(
                Severity::High,
                "permissions.world_writable",
                &directory.path,
                0,
                format!("anybody may write into this directory (mode {mode:04o})"),
            ));
        }
    }
    let unread = tree.read(|entry, content| {
        let mut holds_private_key = false;
        if let Content::Text(text) = content {
            for secret in secrets::find(text, has_bare_values(&entry.path)) {
                holds_private_key |= secret.rule == "secret.private_key";
                findings.push(secret_finding(entry, text, &secret));
            }
            if entry.language.is_rust() {
                unsafe_code(entry, text, &mut findings);
            }
        }
        if let Some(mode) = entry.mode {
            permissions(entry, mode, holds_private_key, content, &mut findings);
        }
    })?;
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (critical, high, medium, low) = (
        count(Severity::Critical),
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low),
    );
    let omitted = list(&mut findings);
    Ok(Security {
        critical,
        high,
        medium,
        low,
        findings,
        omitted,
        unread,
    })
}

fn has_bare_values(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with(".env")
        || [".env", ".ini", ".properties"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn secret_finding(entry: &Entry, text: &str, secret: &secrets::Secret) -> Finding {
    let shown = secrets::masked(secret_text(text, secret));
    let what = match secret.rule {
        "secret.private_key" => "a private key".to_owned(),
        "secret.assignment" => format!("a value that looks random: {shown}"),
        _ => format!("a credential: {shown}"),
    };
    Finding::new(
        secret.severity,
        secret.rule,
        &entry.path,
        secret.line as u64,
        what,
    )
}

fn secret_text<'a>(text: &'a str, secret: &secrets::Secret) -> &'a str {
    let line = text
        .lines()
        .nth(secret.line - 1)
        .expect("a secret is found on a line of its text");
    &line[secret.range.clone()]
}

fn unsafe_code(entry: &Entry, text: &str, findings: &mut Vec<Finding>) {
    let masked = source::mask(text, entry.language);
    for (index, line) in masked.code.lines().enumerate() {
        for at in source::words(line, "unsafe") {
            let what = match line[at + "unsafe".len()..].trim_start() {
                rest if rest.starts_with("fn") || rest.starts_with("extern") => "function",
                rest if rest.starts_with("impl") => "implementation",
                rest if rest.starts_with("trait") => "trait",
                _ => "block",
            };
            findings.push(Finding::new(
                Severity::Medium,
                "code.unsafe",
                &entry.path,
                index as u64 + 1,
                format!("an unsafe {what}"),
            ));
        }
    }
}

fn permissions(
    entry: &Entry,
    mode: u32,
    holds_private_key: bool,
    content: &Content,
    findings: &mut Vec<Finding>,
) {
    let mut add = |severity, rule, message: String| {
        findings.push(Finding::new(severity, rule, &entry.path, 0, message));
    };
    if mode & (SET_USER_ID | SET_GROUP_ID) != 0 && mode & ANYBODY_EXECUTES != 0 {
        add(
            Severity::High,
            "permissions.set_id",
            format!("runs with its owner's or group's rights (mode {mode:04o})"),
        );
    }
    if mode & OTHERS_WRITE != 0 {
        add(
            Severity::High,
            "permissions.world_writable",
            format!("anybody may change this file (mode {mode:04o})"),
        );
    }
    if holds_private_key && mode & GROUP_OR_OTHERS_READ != 0 {
        add(
            Severity::High,
            "permissions.key_readable",
            format!("others may read this private key (mode {mode:04o})"),
        );
    }
    let is_script = matches!(content, Content::Text(text) if text.starts_with("#!"));
    let is_text = matches!(entry.language.family, Family::Data | Family::Prose);
    if is_text && mode & ANYBODY_EXECUTES != 0 && !is_script {
        add(
            Severity::Low,
            "permissions.executable_data",
            format!("{} is executable (mode {mode:04o})", entry.language.name),
        );
    }
}

/// What `audit.security` found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspects {
    root: String,
    findings: Vec<Finding>,
}

/// The critical findings after a second look.
#[derive(Debug, Serialize)]
pub(super) struct Triage {
    /// Different credentials among them.
    secrets: usize,
    /// Places where one of them stands.
    places: usize,
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    rule: String,
    /// Masked.
    secret: String,
    /// `path:line`, places of the whole tree, not only the reported one.
    places: Vec<String>,
    /// Places beyond those listed.
    omitted: usize,
    remedy: &'static str,
}

/// Takes the credentials behind the critical findings and searches the whole tree for copies of
/// each, so that whoever removes one knows all its places.
pub(super) fn triage(suspects: Suspects) -> Result<Triage, Failure> {
    let tree = Tree::walk(&suspects.root)?;
    let mut by_secret: BTreeMap<String, &'static str> = BTreeMap::new();
    tree.read(|entry, content| {
        let Content::Text(text) = content else { return };
        for secret in secrets::find(text, has_bare_values(&entry.path)) {
            let is_suspect = suspects.findings.iter().any(|finding| {
                finding.severity == Severity::Critical
                    && finding.path == entry.path
                    && finding.line == secret.line as u64
                    && finding.rule == secret.rule
            });
            if is_suspect {
                by_secret.insert(searched_for(text, &secret), secret.rule);
            }
        }
    })?;
    let mut places: BTreeMap<&str, Places> = BTreeMap::new();
    tree.read(|entry, content| {
        let Content::Text(text) = content else { return };
        for (index, line) in text.lines().enumerate() {
            for secret in by_secret.keys().filter(|secret| line.contains(*secret)) {
                places
                    .entry(secret)
                    .or_default()
                    .add(&entry.path, index + 1);
            }
        }
    })?;
    let mut items: Vec<Item> = by_secret
        .iter()
        .map(|(secret, rule)| {
            let places = places.remove(secret.as_str()).unwrap_or_default();
            Item {
                rule: (*rule).to_owned(),
                secret: match *rule {
                    "secret.private_key" => "a private key".to_owned(),
                    _ => secrets::masked(secret),
                },
                places: places.listed,
                omitted: places.omitted,
                remedy: remedy(rule),
            }
        })
        .collect();
    // By place and not by the secret itself, whose order would say something about it.
    items.sort_by(|a, b| a.places.cmp(&b.places).then_with(|| a.rule.cmp(&b.rule)));
    Ok(Triage {
        secrets: items.len(),
        places: items
            .iter()
            .map(|item| item.places.len() + item.omitted)
            .sum(),
        items,
    })
}

/// How many places of one credential a result lists.
const PLACES_LISTED_MAX: usize = 10;

#[derive(Default)]
struct Places {
    listed: Vec<String>,
    omitted: usize,
}

impl Places {
    fn add(&mut self, path: &str, line: usize) {
        if self.listed.len() < PLACES_LISTED_MAX {
            self.listed.push(format!("{path}:{line}"));
        } else {
            self.omitted += 1;
        }
    }
}

/// The text whose copies are copies of the secret: the header of a private key is the same for all
/// keys, its first line of material is not.
fn searched_for(text: &str, secret: &secrets::Secret) -> String {
    if secret.rule != "secret.private_key" {
        return secret_text(text, secret).to_owned();
    }
    let mut lines = text.lines().skip(secret.line - 1);
    let header = lines.next().unwrap_or_default();
    let inline = header[secret.range.end..].trim_start_matches("\\n");
    let material = if inline.len() > 2 {
        inline
    } else {
        lines.next().unwrap_or_default().trim()
    };
    material
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
        .collect()
}

fn remedy(rule: &str) -> &'static str {
    match rule {
        "secret.private_key" => {
            "make a new key pair, replace the public key everywhere, delete this one"
        }
        _ => "revoke it where it was issued, issue another and keep that outside the tree",
    }
}

#[cfg(test)]
mod tests;
