//! WEBC, who knows the web: checks the Markdown of a tree, its links, headings and images.
//!
//! No network: links to other places are counted, not followed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::markdown::{Document, Heading, Link};
use super::tree::{Content, Tree};
use super::{Failure, Finding, Look, Severity, list};

/// What the Markdown of a tree is like.
#[derive(Debug, Serialize)]
pub(super) struct Links {
    documents: usize,
    links: usize,
    /// Links into the tree that lead nowhere: missing files and missing anchors.
    broken: usize,
    /// Findings about headings and images.
    warnings: usize,
    /// Links to other sites and out of the root, which nobody followed.
    external: usize,
    findings: Vec<Finding>,
    /// Findings beyond those listed; the totals have them.
    omitted: usize,
}

/// Checks every Markdown file below the root.
pub(super) fn links(look: Look) -> Result<Links, Failure> {
    let tree = Tree::walk(&look.root)?;
    let mut documents = BTreeMap::new();
    tree.read(|entry, content| {
        if entry.language.name == "markdown"
            && let Content::Text(text) = content
        {
            documents.insert(entry.path.clone(), Document::read(text));
        }
    })?;
    let mut check = Check {
        root: Path::new(&look.root),
        documents: &documents,
        links: 0,
        external: 0,
        findings: Vec::new(),
    };
    for (path, document) in &documents {
        for link in &document.links {
            check.link(path, document, link);
        }
        check.headings(path, &document.headings);
        for image in &document.silent_images {
            check.warn(
                path,
                image.line,
                "image.no_text",
                format!("the image `{}` has no text to stand for it", image.target),
            );
        }
    }
    let Check {
        links,
        external,
        mut findings,
        ..
    } = check;
    let broken = findings
        .iter()
        .filter(|finding| finding.severity == Severity::High)
        .count();
    let warnings = findings.len() - broken;
    let omitted = list(&mut findings);
    Ok(Links {
        documents: documents.len(),
        links,
        broken,
        warnings,
        external,
        findings,
        omitted,
    })
}

struct Check<'a> {
    root: &'a Path,
    documents: &'a BTreeMap<String, Document>,
    links: usize,
    external: usize,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn link(&mut self, path: &str, document: &Document, link: &Link) {
        self.links += 1;
        let target = link.target.as_str();
        if target.is_empty() {
            return self.broken(path, link.line, "link.empty", "a link without a target");
        }
        if is_external(target) {
            self.external += 1;
            return;
        }
        let (file, anchor) = match target.split_once('#') {
            Some((file, anchor)) => (file, Some(decoded(anchor))),
            None => (target, None),
        };
        let file = decoded(file.split('?').next().unwrap_or_default());
        let (name, linked) = if file.is_empty() {
            (path.to_owned(), Some(document))
        } else {
            let Some(name) = resolved(path, &file) else {
                self.external += 1;
                return;
            };
            if !self.root.join(&name).exists() {
                let message = format!("`{target}` leads to no file");
                return self.broken(path, link.line, "link.missing", &message);
            }
            let linked = self.documents.get(&name);
            (name, linked)
        };
        if let Some(anchor) = anchor
            && let Some(linked) = linked
            && !linked.has_anchor(&anchor)
        {
            let message = format!("`{name}` has no anchor `#{anchor}`");
            self.broken(path, link.line, "anchor.missing", &message);
        }
    }

    fn headings(&mut self, path: &str, headings: &[Heading]) {
        // The headings that are open at this place, the outermost first, each with its number.
        let mut open: Vec<(usize, usize)> = Vec::new();
        // Siblings by parent: the same text under another parent (`Added` in a change log) is fine.
        let mut seen: BTreeMap<(Option<usize>, &str), usize> = BTreeMap::new();
        for (number, heading) in headings.iter().enumerate() {
            if let Some(before) = number.checked_sub(1).map(|before| &headings[before])
                && heading.level > before.level + 1
            {
                self.warn(
                    path,
                    heading.line,
                    "heading.jump",
                    format!("from level {} to level {}", before.level, heading.level),
                );
            }
            while open
                .last()
                .is_some_and(|(level, _)| *level >= heading.level)
            {
                open.pop();
            }
            let parent = open.last().map(|(_, number)| *number);
            open.push((heading.level, number));
            let first = *seen
                .entry((parent, heading.text.as_str()))
                .or_insert(heading.line);
            if first != heading.line {
                self.warn(
                    path,
                    heading.line,
                    "heading.duplicate",
                    format!("`{}` stands at line {first} already", heading.text),
                );
            }
        }
    }

    fn broken(&mut self, path: &str, line: usize, rule: &str, message: &str) {
        self.findings.push(Finding::new(
            Severity::High,
            rule,
            path,
            line as u64,
            message,
        ));
    }

    fn warn(&mut self, path: &str, line: usize, rule: &str, message: String) {
        self.findings.push(Finding::new(
            Severity::Low,
            rule,
            path,
            line as u64,
            message,
        ));
    }
}

/// `scheme:...` or `//host/...`.
fn is_external(target: &str) -> bool {
    target.starts_with("//")
        || target.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        })
}

/// The path below the root that `target` means in the document at `from`; a leading `/` is the root,
/// as on GitHub. `None` if it leaves the root.
fn resolved(from: &str, target: &str) -> Option<String> {
    let (mut segments, target): (Vec<&str>, &str) = match target.strip_prefix('/') {
        Some(target) => (Vec::new(), target),
        None => {
            let mut segments: Vec<&str> = from.split('/').collect();
            segments.pop();
            (segments, target)
        }
    };
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            segment => segments.push(segment),
        }
    }
    Some(segments.join("/"))
}

/// Percent escapes replaced; a text with broken ones stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::demo::tests::{ask, make_tree};

    fn found(files: &[(&str, &str)]) -> (Value, Vec<String>) {
        let dir = make_tree(files);
        let links = ask("webc", "audit.links", &dir, json!({}));
        let lines = links["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                format!(
                    "{}:{} {} {}",
                    finding["path"].as_str().unwrap(),
                    finding["line"],
                    finding["rule"].as_str().unwrap(),
                    finding["message"].as_str().unwrap(),
                )
            })
            .collect();
        (links, lines)
    }

    #[test]
    fn links_that_lead_somewhere_are_no_findings() {
        let (links, lines) = found(&[
            (
                "README.md",
                "# A\n[b](docs/b.md#what-it-is) [dir](docs) [self](#a)\n[root](/docs/b.md) [web](https://x.y/#z) [mail](mailto:a@b.c) [line](src/a.rs#L3)\n",
            ),
            (
                "docs/b.md",
                "# What, it is?\n[up](../README.md#A) [space](a%20b.txt) [out](../../elsewhere.md)\n",
            ),
            ("docs/a b.txt", ""),
            ("src/a.rs", ""),
        ]);
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(links["documents"], 2);
        assert_eq!(links["links"], 10);
        assert_eq!(links["external"], 3);
        assert_eq!(links["broken"], 0);
    }

    #[test]
    fn links_that_lead_nowhere_are_broken() {
        let (links, lines) = found(&[
            (
                "README.md",
                "# A\n\n[b](b.md)\n[c](docs/c.md#nope) [d](#no) [e]()\n",
            ),
            ("docs/c.md", "# C\n"),
        ]);
        assert_eq!(
            lines,
            [
                "README.md:3 link.missing `b.md` leads to no file",
                "README.md:4 anchor.missing `README.md` has no anchor `#no`",
                "README.md:4 anchor.missing `docs/c.md` has no anchor `#nope`",
                "README.md:4 link.empty a link without a target",
            ]
        );
        assert_eq!(links["broken"], 4);
        assert_eq!(links["warnings"], 0);
    }

    #[test]
    fn headings_jump_and_repeat_only_among_siblings() {
        let (links, lines) = found(&[(
            "CHANGELOG.md",
            "# Changes\n## 2.0\n### Added\n## 1.0\n### Added\n#### X\n## 1.0\n#### Deep\n",
        )]);
        assert_eq!(
            lines,
            [
                "CHANGELOG.md:7 heading.duplicate `1.0` stands at line 4 already",
                "CHANGELOG.md:8 heading.jump from level 2 to level 4",
            ]
        );
        assert_eq!(links["warnings"], 2);
    }

    #[test]
    fn an_image_without_text_is_a_warning_and_its_file_is_checked() {
        let (_, lines) = found(&[("a.md", "![](a.png)\n"), ("a.png", "\0")]);
        assert_eq!(
            lines,
            ["a.md:1 image.no_text the image `a.png` has no text to stand for it"]
        );
    }

    #[test]
    fn broken_percent_escapes_stay_as_written() {
        for (text, expected) in [
            ("a%20b", "a b"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }
}
