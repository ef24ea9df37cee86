//! Tells code from comments and strings, without parsing.
//!
//! The result has the lines of the original: what is not code is blanked in place, so that line
//! numbers stay true. A heuristic for every language but Rust, whose literals are followed exactly.

use std::collections::BTreeMap;

use super::language::{Functions, Language};

/// A text taken apart. Both parts have the same lines as the original.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masked {
    /// The code alone: comments are spaces, the insides of strings are [`STRING_FILLER`].
    pub(super) code: String,
    /// The comments alone.
    pub(super) comments: String,
}

/// Stands for each character inside a string: no space, so that the line still counts as code, and
/// part of no word.
const STRING_FILLER: char = '"';

/// Takes `text` apart by the rules of `language`.
pub(super) fn mask(text: &str, language: &Language) -> Masked {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        language,
        masked: Masked {
            code: String::with_capacity(text.len()),
            comments: String::new(),
        },
    };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.masked
}

/// What a character is part of.
#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Text,
}

struct Scanner<'a> {
    chars: Vec<char>,
    at: usize,
    language: &'a Language,
    masked: Masked,
}

impl Scanner<'_> {
    /// Consumes one comment, one literal or one character of code.
    fn step(&mut self) {
        let language = self.language;
        if language
            .line_comments
            .iter()
            .any(|mark| self.comment_starts(mark))
        {
            while self.peek(0).is_some_and(|c| c != '\n') {
                self.take(1, Part::Comment);
            }
            return;
        }
        if let Some((open, close)) = language.block_comment
            && self.looking_at(open)
        {
            self.block_comment(open, close);
            return;
        }
        if language.is_rust() && (self.raw_string() || self.char_literal()) {
            return;
        }
        if let Some(quote) = language
            .quotes
            .iter()
            .find(|quote| self.looking_at(quote.mark))
        {
            self.string(quote.mark, quote.multiline);
            return;
        }
        self.take(1, Part::Code);
    }

    /// A `#` inside a word (`$#`, `page#part`) starts no comment.
    fn comment_starts(&self, mark: &str) -> bool {
        self.looking_at(mark) && (mark != "#" || self.before().is_none_or(char::is_whitespace))
    }

    fn block_comment(&mut self, open: &str, close: &str) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            if self.looking_at(close) {
                self.take(close.len(), Part::Comment);
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return;
                }
            } else if self.looking_at(open) && (depth == 0 || self.language.is_rust()) {
                self.take(open.len(), Part::Comment);
                depth += 1;
            } else {
                self.take(1, Part::Comment);
            }
        }
    }

    fn string(&mut self, mark: &str, multiline: bool) {
        self.take(mark.len(), Part::Text);
        while let Some(c) = self.peek(0) {
            if self.looking_at(mark) {
                self.take(mark.len(), Part::Text);
                return;
            }
            if c == '\n' && !multiline {
                return;
            }
            self.take(if c == '\\' { 2 } else { 1 }, Part::Text);
        }
    }

    /// `r"..."`, `r#"..."#`, with `b` or `c` before the `r`. False if none starts here.
    fn raw_string(&mut self) -> bool {
        let prefix = match (self.peek(0), self.peek(1)) {
            (Some('r'), _) => 1,
            (Some('b' | 'c'), Some('r')) => 2,
            (Some(_) | None, _) => return false,
        };
        if self.before().is_some_and(is_word) {
            return false;
        }
        let hashes = self.chars[self.at + prefix..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        if self.peek(prefix + hashes) != Some('"') {
            return false;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        self.take(prefix + hashes + 1, Part::Text);
        while self.at < self.chars.len() && !self.looking_at(&close) {
            self.take(1, Part::Text);
        }
        self.take(close.len(), Part::Text);
        true
    }

    /// `'x'` or `'\n'`; a lifetime or label has no second quote there. False if none starts here.
    fn char_literal(&mut self) -> bool {
        if self.peek(0) != Some('\'') {
            return false;
        }
        if self.peek(1) == Some('\\') {
            self.take(3, Part::Text);
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.take(1, Part::Text);
            }
            self.take(1, Part::Text);
            return true;
        }
        if self.peek(2) == Some('\'') {
            self.take(3, Part::Text);
            return true;
        }
        false
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn before(&self) -> Option<char> {
        self.at
            .checked_sub(1)
            .and_then(|before| self.chars.get(before).copied())
    }

    fn looking_at(&self, mark: &str) -> bool {
        mark.chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    /// Moves up to `count` characters into the result.
    fn take(&mut self, count: usize, part: Part) {
        let end = (self.at + count).min(self.chars.len());
        for &c in &self.chars[self.at..end] {
            let (code, comment) = match part {
                _ if c == '\n' => ('\n', '\n'),
                Part::Code => (c, ' '),
                Part::Comment => (' ', c),
                Part::Text => (STRING_FILLER, ' '),
            };
            self.masked.code.push(code);
            self.masked.comments.push(comment);
        }
        self.at = end;
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte offsets at which `word` stands in `text` as a whole word.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !text[..at].chars().next_back().is_some_and(is_word)
                && !text[at + word.len()..].chars().next().is_some_and(is_word)
        })
}

/// Finds the line of a byte offset without counting from the start each time.
#[derive(Debug)]
pub(super) struct Lines {
    /// Where each line ends, ascending.
    ends: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self {
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
        }
    }

    /// The line of `offset`, from 1.
    pub(super) fn at(&self, offset: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < offset)
    }
}

/// A function's place and length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Where it starts, from 1.
    pub(super) line: usize,
    /// From its name's line to its end, both included.
    pub(super) lines: usize,
}

/// The functions with a body in masked `code`, in order. An estimate: macros are not expanded.
pub(super) fn functions(code: &str, language: &Language) -> Vec<Function> {
    match language.functions {
        Functions::Unknown => Vec::new(),
        Functions::Indented => indented_functions(code),
        Functions::Braces { keyword } => {
            let lines = Lines::of(code);
            let bodies = matching_braces(code);
            words(code, keyword)
                .filter_map(|at| {
                    let (name, open) = signature(code, at + keyword.len())?;
                    let line = lines.at(at);
                    Some(Function {
                        name,
                        line,
                        lines: lines.at(*bodies.get(&open)?) - line + 1,
                    })
                })
                .collect()
        }
    }
}

/// Signatures longer than this are not functions but something the heuristic misread, in bytes.
const SIGNATURE_BYTES_MAX: usize = 4096;

/// The name of a function, and where its body opens; `None` without name or body.
fn signature(code: &str, after_keyword: usize) -> Option<(String, usize)> {
    let end = code.floor_char_boundary(after_keyword + SIGNATURE_BYTES_MAX);
    let rest = code[after_keyword..end].trim_start();
    // The receiver of a Go method stands between keyword and name.
    let rest = match rest.strip_prefix('(') {
        Some(receiver) => receiver.split_once(')')?.1.trim_start(),
        None => rest,
    };
    let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
    if name.is_empty() {
        return None;
    }
    let start = rest.as_ptr().addr() - code.as_ptr().addr();
    let mut depth = 0_i64;
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' | '}' if depth <= 0 => return None,
            '{' => return Some((name, start + at)),
            _ => {}
        }
    }
    None
}

/// Where the brace that opens at each key is closed.
fn matching_braces(code: &str) -> BTreeMap<usize, usize> {
    let mut open = Vec::new();
    let mut pairs = BTreeMap::new();
    for (at, c) in code.char_indices() {
        match c {
            '{' => open.push(at),
            '}' => {
                if let Some(start) = open.pop() {
                    pairs.insert(start, at);
                }
            }
            _ => {}
        }
    }
    pairs
}

fn indented_functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(rest) = trimmed
            .strip_prefix("def ")
            .or_else(|| trimmed.strip_prefix("async def "))
        else {
            continue;
        };
        let own = indent(line);
        let mut last = index;
        for (below, body) in lines.iter().enumerate().skip(index + 1) {
            if body.trim().is_empty() {
                continue;
            }
            // The closing parenthesis of a signature over several lines stands at the keyword's depth.
            if indent(body) <= own && !body.trim_start().starts_with(')') {
                break;
            }
            last = below;
        }
        found.push(Function {
            name: rest
                .trim_start()
                .chars()
                .take_while(|c| is_word(*c))
                .collect(),
            line: index + 1,
            lines: last - index + 1,
        });
    }
    found
}

#[cfg(test)]
mod tests;
