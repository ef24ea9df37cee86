//! Diagnostics as rustc shows them, each with its lines of the text.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Edit, Severity};
use crate::source::{SourceText, Span};

/// Longer lists help nobody; the closing line counts the rest.
const SHOWN_MAX: usize = 100;

/// All diagnostics and a closing line that counts them; empty if there are none. Nothing of the
/// workflow's text reaches the terminal as a control character.
#[must_use]
pub fn text(source: &SourceText, diagnostics: &[Diagnostic], color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let masked = without_secrets(source, diagnostics);
    let shown = masked.as_ref().unwrap_or(source);
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        out.push_str(&one(shown, diagnostic, &renderer));
        out.push_str("\n\n");
    }
    out.push_str(&summary(source, diagnostics));
    out.push('\n');
    out
}

/// The text with asterisks in place of what was found to be a secret: it goes into no log.
fn without_secrets(source: &SourceText, diagnostics: &[Diagnostic]) -> Option<SourceText> {
    let mut secrets = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code == "PHI801")
        .peekable();
    secrets.peek()?;
    let mut text = source.text().to_owned();
    for secret in secrets {
        let range = secret.span.start as usize..secret.span.end as usize;
        let Some(found) = text.get(range.clone()) else {
            continue;
        };
        // Lines and bytes stay where they are.
        let mask: String = found
            .chars()
            .flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8()))
            .collect();
        text.replace_range(range, &mask);
    }
    Some(SourceText::new(source.name(), &text))
}

fn one(source: &SourceText, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let title = level
        .primary_title(visible(&diagnostic.message))
        .id(diagnostic.code);
    let excerpt = Excerpt::of(source, diagnostic);
    let group = if excerpt.text.len() > EXCERPT_BYTES_MAX {
        title.elements(clipped(source, diagnostic))
    } else {
        title.element(whole_lines(source, diagnostic, &excerpt))
    };
    let group = match help(diagnostic) {
        Some(help) => group.element(Level::HELP.message(visible(&help))),
        None => group,
    };
    renderer.render(&[group])
}

/// Longer excerpts are cut: the renderer reads all it is given, for every diagnostic.
const EXCERPT_BYTES_MAX: usize = 16 * 1024;

/// Bytes that a cut excerpt shows on each side of its place.
const CLIP_BYTES: usize = 60;

/// The place alone, and the other places by their lines.
fn clipped<'s>(source: &'s SourceText, diagnostic: &Diagnostic) -> Vec<Element<'s>> {
    let (line, column) = source.line_column(diagnostic.span.start);
    let text = source.text();
    let range = source.line_range(line);
    let place = (diagnostic.span.start as usize).min(range.end);
    let mut start = place.saturating_sub(CLIP_BYTES).max(range.start);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let mut end = (place + CLIP_BYTES).min(range.end);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let span_end = (diagnostic.span.end as usize).clamp(place, end);
    let snippet = Snippet::source(&text[start..end])
        .line_start(line)
        .annotation(
            AnnotationKind::Primary
                .span(place - start..span_end - start)
                .label(label(&diagnostic.label)),
        );
    let origin = Origin::path(source.name()).line(line).char_column(column);
    let mut elements = vec![Element::from(snippet), Element::from(origin)];
    for (span, text) in &diagnostic.labels {
        let (line, column) = source.line_column(span.start);
        let note = format!("{line}:{column}: {}", visible(text));
        elements.push(Element::from(Level::NOTE.message(note)));
    }
    elements
}

fn whole_lines<'s>(
    source: &'s SourceText,
    diagnostic: &Diagnostic,
    excerpt: &Excerpt<'s>,
) -> Snippet<'s, Annotation<'s>> {
    let mut snippet = Snippet::source(excerpt.text)
        .path(source.name())
        .line_start(excerpt.first_line)
        .annotation(
            AnnotationKind::Primary
                .span(excerpt.place(source, diagnostic.span))
                .label(label(&diagnostic.label)),
        );
    for (span, text) in &diagnostic.labels {
        let place = excerpt.place(source, *span);
        snippet = snippet.annotation(AnnotationKind::Context.span(place).label(label(text)));
    }
    snippet
}

/// The lines that a diagnostic speaks of.
struct Excerpt<'s> {
    text: &'s str,
    first_line: usize,
    start: usize,
}

impl<'s> Excerpt<'s> {
    fn of(source: &'s SourceText, diagnostic: &Diagnostic) -> Self {
        let places = || {
            std::iter::once(diagnostic.span)
                .chain(diagnostic.labels.iter().map(|(span, _)| *span))
                .map(|span| source.line(span.start))
        };
        let first_line = places().min().unwrap_or(1);
        let last_line = places().max().unwrap_or(first_line);
        let range = source.line_range(first_line).start..source.line_range(last_line).end;
        Self {
            text: &source.text()[range.clone()],
            first_line,
            start: range.start,
        }
    }

    /// A span within the excerpt, cut at the end of its first line.
    fn place(&self, source: &SourceText, span: Span) -> Range<usize> {
        let line = source.line_range(source.line(span.start));
        let start = (span.start as usize).min(line.end);
        let end = (span.end as usize).clamp(start, line.end);
        start - self.start..end - self.start
    }
}

fn label(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| visible(text))
}

fn help(diagnostic: &Diagnostic) -> Option<String> {
    let edit = diagnostic.edit.as_ref().map(edit);
    match (&diagnostic.help, edit) {
        (Some(help), Some(edit)) => Some(format!("{help} (applicable: {edit})")),
        (Some(help), None) => Some(help.clone()),
        (None, Some(edit)) => Some(format!("{edit} (applicable)")),
        (None, None) => None,
    }
}

fn edit(edit: &Edit) -> String {
    let text = edit.replacement.trim();
    if edit.span.range().is_empty() {
        format!("add `{text}`")
    } else if text.is_empty() {
        "remove it".to_owned()
    } else {
        format!("write `{text}`")
    }
}

fn summary(source: &SourceText, diagnostics: &[Diagnostic]) -> String {
    let counts: Vec<String> = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Info, "remark", "remarks"),
    ]
    .into_iter()
    .filter_map(|(severity, one, many)| {
        match diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
        {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        }
    })
    .collect();
    let mut line = format!("{}: {}", visible(source.name()), counts.join(", "));
    if diagnostics.len() > SHOWN_MAX {
        let hidden = diagnostics.len() - SHOWN_MAX;
        line.push_str(&format!(" ({hidden} not shown)"));
    }
    line
}

/// Control characters escaped, so that a hostile name cannot steer a terminal.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control();
            let escape = escaped.then(|| c.escape_default()).into_iter().flatten();
            escape.chain((!escaped).then_some(c))
        })
        .collect()
}
