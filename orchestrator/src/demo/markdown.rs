//! As much Markdown as checking links takes: headings with the anchors that GitHub gives them,
//! links, link definitions and images, each with its line.
//!
//! Code blocks, code spans and HTML comments are blanked first, so nothing in them counts. Indented
//! code and block quotes are read as text; nothing is rendered.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Lines;

/// A heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// 1 to 6.
    pub(super) level: usize,
    /// Without emphasis, code marks and link targets.
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
}

/// A link or an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// As written, without title and angle brackets.
    pub(super) target: String,
    /// From 1.
    pub(super) line: usize,
}

/// One document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) headings: Vec<Heading>,
    pub(super) links: Vec<Link>,
    /// Targets of images that have no text to stand for them.
    pub(super) silent_images: Vec<Link>,
    anchors: BTreeSet<String>,
}

impl Document {
    /// Reads `text`; every text is a document.
    pub(super) fn read(text: &str) -> Self {
        let (headed, blanked) = blank(text);
        let mut document = Self {
            headings: headings(&headed),
            ..Self::default()
        };
        document.read_anchors(&blanked);
        document.read_links(&blanked);
        document.read_html_images(&blanked);
        document.links.sort_by_key(|link| link.line);
        document.silent_images.sort_by_key(|link| link.line);
        document
    }

    /// Whether `#anchor` leads anywhere here. GitHub compares without case; the empty anchor and
    /// `top` are the document itself.
    pub(super) fn has_anchor(&self, anchor: &str) -> bool {
        let anchor = anchor.to_lowercase();
        anchor.is_empty() || anchor == "top" || self.anchors.contains(&anchor)
    }

    fn read_anchors(&mut self, text: &str) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for heading in &self.headings {
            let slug = slug(&heading.text);
            let times = seen.entry(slug.clone()).or_default();
            self.anchors.insert(match *times {
                0 => slug,
                n => format!("{slug}-{n}"),
            });
            *times += 1;
        }
        for tag in tags(text) {
            for name in ["id", "name"] {
                if let Some(value) = attribute(tag.text, name) {
                    self.anchors.insert(value.to_lowercase());
                }
            }
        }
    }

    /// Inline links and images `[text](target)`, and definitions `[label]: target`.
    fn read_links(&mut self, text: &str) {
        let lines = Lines::of(text);
        for (at, _) in text.match_indices("](") {
            let Some(open) = opening_bracket(text, at) else {
                continue;
            };
            let Some(target) = destination(&text[at + 2..]) else {
                continue;
            };
            let link = Link {
                target,
                line: lines.at(at),
            };
            let is_image = text[..open].ends_with('!');
            if is_image && text[open + 1..at].trim().is_empty() {
                self.silent_images.push(Link {
                    target: link.target.clone(),
                    line: link.line,
                });
            }
            self.links.push(link);
        }
        for (index, line) in text.lines().enumerate() {
            let definition = line
                .trim_start()
                .strip_prefix('[')
                .filter(|rest| !rest.starts_with('^'))
                .and_then(|rest| rest.split_once("]:"))
                .filter(|(label, _)| !label.contains(']'));
            if let Some((_, rest)) = definition
                && let Some(target) = rest.split_whitespace().next()
            {
                self.links.push(Link {
                    target: target.trim_matches(['<', '>']).to_owned(),
                    line: index + 1,
                });
            }
        }
    }

    fn read_html_images(&mut self, text: &str) {
        let lines = Lines::of(text);
        for tag in tags(text) {
            if !tag.text.starts_with("img") {
                continue;
            }
            let line = lines.at(tag.at);
            let target = attribute(tag.text, "src").unwrap_or_default().to_owned();
            // `alt=""` says on purpose that an image is decoration.
            if attribute(tag.text, "alt").is_none() {
                self.silent_images.push(Link {
                    target: target.clone(),
                    line,
                });
            }
            if !target.is_empty() {
                self.links.push(Link { target, line });
            }
        }
    }
}

/// How far a link, a span or a tag may reach, in bytes: a document of nothing but opening marks would
/// take time by the square of its length otherwise.
const REACH_BYTES: usize = 2048;

fn within_reach(text: &str) -> &str {
    &text[..text.floor_char_boundary(REACH_BYTES)]
}

/// The anchor that GitHub gives to a heading: lower case, punctuation dropped, spaces to hyphens.
pub(super) fn slug(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}

/// The text twice, each with its lines in place: without code blocks and comments (headings keep
/// the words of their code spans), and without code spans as well.
fn blank(text: &str) -> (String, String) {
    let mut without_blocks = String::with_capacity(text.len());
    let mut fence: Option<(char, usize)> = None;
    for line in text.split_inclusive('\n') {
        let mark = fence_mark(line);
        let inside = match (fence, mark) {
            (None, Some((mark, count, _))) => {
                fence = Some((mark, count));
                true
            }
            (Some((open, needed)), Some((mark, count, true)))
                if mark == open && count >= needed =>
            {
                fence = None;
                true
            }
            (Some(_), _) => true,
            (None, None) => false,
        };
        if inside {
            without_blocks.extend(line.chars().map(blanked));
        } else {
            without_blocks.push_str(line);
        }
    }
    let without_comments = blank_between(&without_blocks, "<!--", "-->");
    let without_spans = blank_spans(&without_comments);
    (without_comments, without_spans)
}

/// Mark, length and whether nothing follows it, for a line that may open or close a fenced block.
fn fence_mark(line: &str) -> Option<(char, usize, bool)> {
    let line = line.trim();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let count = line.chars().take_while(|c| *c == mark).count();
    let rest = &line[count..];
    // Three backticks with a fourth later are a code span.
    (count >= 3 && !(mark == '`' && rest.contains('`'))).then_some((mark, count, rest.is_empty()))
}

fn blanked(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

fn blank_between(text: &str, open: &str, close: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let inside = &rest[start..];
        let end = inside
            .find(close)
            .map_or(inside.len(), |end| end + close.len());
        result.push_str(&rest[..start]);
        result.extend(inside[..end].chars().map(blanked));
        rest = &inside[end..];
    }
    result.push_str(rest);
    result
}

/// A span ends at the next run of as many backticks, in the same paragraph.
fn blank_spans(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let count = rest.chars().take_while(|c| *c == '`').count();
        let body = &rest[count..];
        let near = within_reach(body);
        let paragraph = &near[..near.find("\n\n").unwrap_or(near.len())];
        match closing_run(paragraph, count) {
            Some(end) => {
                let span = &rest[..count + end + count];
                result.extend(span.chars().map(blanked));
                rest = &rest[span.len()..];
            }
            None => {
                result.push_str(&rest[..count]);
                rest = body;
            }
        }
    }
    result.push_str(rest);
    result
}

fn closing_run(text: &str, count: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find('`') {
        let start = at + start;
        let run = text[start..].chars().take_while(|c| *c == '`').count();
        if run == count {
            return Some(start);
        }
        at = start + run;
    }
    None
}

/// Headings with leading `#`, and those underlined with `===` or `---`.
fn headings(text: &str) -> Vec<Heading> {
    let lines: Vec<&str> = text.lines().collect();
    let front_matter = front_matter_lines(&lines);
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().skip(front_matter) {
        let trimmed = line.trim();
        let hashes = trimmed.chars().take_while(|c| *c == '#').count();
        if (1..=6).contains(&hashes) && trimmed[hashes..].starts_with([' ', '\t']) {
            found.push(Heading {
                level: hashes,
                text: plain(trimmed[hashes..].trim().trim_end_matches('#')),
                line: index + 1,
            });
            continue;
        }
        let level = match trimmed.chars().next() {
            Some('=') if trimmed.chars().all(|c| c == '=') => 1,
            Some('-') if trimmed.len() >= 3 && trimmed.chars().all(|c| c == '-') => 2,
            Some(_) | None => continue,
        };
        if index > front_matter && is_paragraph(lines[index - 1]) {
            found.push(Heading {
                level,
                text: plain(lines[index - 1].trim()),
                line: index,
            });
        }
    }
    found
}

/// Lines of a YAML header between two `---`, 0 without one.
fn front_matter_lines(lines: &[&str]) -> usize {
    if lines.first().is_none_or(|first| first.trim_end() != "---") {
        return 0;
    }
    lines
        .iter()
        .skip(1)
        .position(|line| line.trim_end() == "---")
        .map_or(0, |end| end + 2)
}

fn is_paragraph(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with(['#', '|', '>', '-', '*', '+', '='])
}

/// A heading's words: link targets, emphasis and code marks are dropped.
fn plain(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    while let Some(at) = rest.find("](") {
        text.push_str(&rest[..at].replace('[', ""));
        let after = &rest[at + 2..];
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.replace(['*', '`'], "").trim().to_owned()
}

/// Where the bracket opens that closes at `close`, in the same paragraph.
fn opening_bracket(text: &str, close: usize) -> Option<usize> {
    let near = text.ceil_char_boundary(close.saturating_sub(REACH_BYTES));
    let start = text[near..close]
        .rfind("\n\n")
        .map_or(near, |gap| near + gap);
    let mut depth = 0_usize;
    for (at, c) in text[start..close].char_indices().rev() {
        match c {
            ']' => depth += 1,
            '[' if depth == 0 => return Some(start + at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The target of an inline link whose `(` was just read; `None` if it never closes.
fn destination(rest: &str) -> Option<String> {
    let rest = within_reach(rest).trim_start();
    if let Some(quoted) = rest.strip_prefix('<') {
        let (target, after) = quoted.split_once('>')?;
        return after.contains(')').then(|| target.to_owned());
    }
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(rest[..at].to_owned()),
            ')' => depth -= 1,
            // A title follows, and the closing parenthesis after it.
            c if c.is_whitespace() => {
                return rest[at..].contains(')').then(|| rest[..at].to_owned());
            }
            _ => {}
        }
    }
    None
}

struct Tag<'a> {
    at: usize,
    /// Between `<` and `>`.
    text: &'a str,
}

fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    text.match_indices('<').filter_map(|(at, _)| {
        let rest = within_reach(&text[at + 1..]);
        let end = rest.find('>')?;
        rest.starts_with(|c: char| c.is_ascii_alphabetic())
            .then(|| Tag {
                at,
                text: &rest[..end],
            })
    })
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.match_indices(name).find_map(|(at, _)| {
        if !tag[..at].ends_with(char::is_whitespace) {
            return None;
        }
        let value = tag[at + name.len()..].trim_start().strip_prefix('=')?;
        let value = value.trim_start();
        let mark = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(mark).next()
    })
}

#[cfg(test)]
mod tests;
