//! Where answers go: data to stdout in the chosen form, words to stderr.
//!
//! JSON is the same whether a terminal reads it or not; only tables and words know about colour and
//! width. A command says what it has, never how it is printed.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::report::Report;

/// The forms of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// YAML.
    Yaml,
}

/// The program's two ways to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    color: bool,
    live: bool,
}

/// Columns of text under a header.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Output {
    /// Looks at the terminal and the environment once. `NO_COLOR` wins over everything.
    pub(crate) fn new(format: Format) -> Self {
        let live = io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            color: live && !refused,
            live,
        }
    }

    /// The chosen form.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether words may have colours.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// Whether stderr is a terminal on which lines can be redrawn.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Says words to a person.
    pub(crate) fn say(&self, words: impl AsRef<str>) -> Result<(), Report> {
        self.say_painted(harmless(words.as_ref()))
    }

    /// As [`Self::say`], for words that have their colours already.
    pub(crate) fn say_painted(&self, words: impl AsRef<str>) -> Result<(), Report> {
        let mut stderr = io::stderr().lock();
        writeln!(stderr, "{}", words.as_ref())?;
        Ok(())
    }

    /// Answers with text that has one form only, such as a diagram.
    pub(crate) fn text(&self, text: &str) -> Result<(), Report> {
        match self.format {
            Format::Table => self.text_painted(&harmless(text)),
            Format::Json | Format::Jsonl | Format::Yaml => self.text_painted(text),
        }
    }

    /// As [`Self::text`], for text that has its colours already.
    pub(crate) fn text_painted(&self, text: &str) -> Result<(), Report> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Answers with one thing; `table` words it for people.
    pub(crate) fn one<T: Serialize>(
        &self,
        thing: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Report> {
        match self.format {
            Format::Table => self.text(&table(thing)),
            Format::Json => self.text(&json_pretty(thing)),
            Format::Jsonl => self.text(&json_line(thing)),
            Format::Yaml => self.text(&yaml(thing)),
        }
    }

    /// Answers with a list: `whole` as one document, `items` one a line, or a table of them.
    pub(crate) fn many<W: Serialize, T: Serialize>(
        &self,
        whole: &W,
        items: &[T],
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), Report> {
        match self.format {
            Format::Table => self.text(&table(items).render()),
            Format::Json => self.text(&json_pretty(whole)),
            Format::Jsonl => items
                .iter()
                .try_for_each(|item| self.text(&json_line(item))),
            Format::Yaml => self.text(&yaml(whole)),
        }
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a line.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| one_line(&cell)).to_vec());
    }

    /// Left-aligned columns, two spaces apart.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| width(cell)).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width_of_column) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width_of_column - width(cell) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Whether a terminal would obey `c`, or show what follows in another order than it is.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with its lines and tabs, and with everything else that a terminal would obey spelt out.
pub(crate) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && c != '\n' && c != '\t' {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// `text` on one line, without anything that a terminal would obey.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(part.chars().filter(|c| !steers(*c)));
    }
    line
}

/// One JSON document on several lines.
pub(crate) fn json_pretty<T: Serialize>(thing: &T) -> String {
    serde_json::to_string_pretty(thing).expect("answers have string keys only")
}

/// One JSON document on one line.
pub(crate) fn json_line<T: Serialize>(thing: &T) -> String {
    serde_json::to_string(thing).expect("answers have string keys only")
}

/// YAML, by way of JSON: verbatim JSON inside an answer means nothing to a YAML writer.
pub(crate) fn yaml<T: Serialize>(thing: &T) -> String {
    let value = serde_json::to_value(thing).expect("answers have string keys only");
    serde_yaml::to_string(&value).expect("every JSON value is YAML")
}

#[cfg(test)]
mod tests {
    use super::{Table, harmless, one_line};

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_spaces() {
        let mut table = Table::new(["ID", "STATUS"]);
        table.row(["a-long-id".to_owned(), "running".to_owned()]);
        table.row(["\u{6f22}".to_owned(), String::new()]);
        assert_eq!(
            table.render(),
            "ID         STATUS\na-long-id  running\n\u{6f22}\n"
        );
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\n b\u{1b}[31m\tc\u{7}\u{202e}"), "a b[31m c");
        assert_eq!(
            harmless("a\n\tb\u{1b}[2Jc\u{9b}31m\r\u{202e}d"),
            "a\n\tb\\u{1b}[2Jc\\u{9b}31m\\u{d}\\u{202e}d"
        );
    }
}
