//! The audit report: what the four other agents found, as one Markdown page.
//!
//! The page depends on their results and the run's id alone, so writing it twice gives the same
//! bytes.

use std::fmt::{self, Write};

use serde::Deserialize;

use super::Finding;

/// What `audit.plan` said.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    root: String,
    fingerprint: String,
    files: u64,
    bytes: u64,
    kinds: Vec<Kind>,
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
    files: u64,
    bytes: u64,
}

/// What `audit.measure` said.
#[derive(Debug, Deserialize)]
pub(super) struct Measures {
    code: u64,
    comment: u64,
    blank: u64,
    tests: u64,
    todos: u64,
    languages: Vec<LanguageMeasures>,
}

#[derive(Debug, Deserialize)]
struct LanguageMeasures {
    language: String,
    files: u64,
    code: u64,
    comment: u64,
    blank: u64,
    tests: u64,
    longest_file: Option<LongFile>,
    longest_function: Option<LongFunction>,
}

#[derive(Debug, Deserialize)]
struct LongFile {
    path: String,
    lines: u64,
}

#[derive(Debug, Deserialize)]
struct LongFunction {
    path: String,
    line: u64,
    name: String,
    lines: u64,
}

/// What `audit.security` said.
#[derive(Debug, Deserialize)]
pub(super) struct Security {
    critical: u64,
    high: u64,
    medium: u64,
    low: u64,
    findings: Vec<Finding>,
    omitted: u64,
}

/// What `audit.links` said.
#[derive(Debug, Deserialize)]
pub(super) struct Links {
    documents: u64,
    links: u64,
    broken: u64,
    warnings: u64,
    external: u64,
    findings: Vec<Finding>,
    omitted: u64,
}

/// One credential after `audit.triage`.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    rule: String,
    secret: String,
    places: Vec<String>,
    omitted: u64,
    remedy: String,
}

/// Everything the page is made of. A check that was not done is `None`.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) run: &'a str,
    pub(super) plan: &'a Plan,
    pub(super) measures: &'a Measures,
    pub(super) security: &'a Security,
    pub(super) links: Option<&'a Links>,
    pub(super) triage: &'a [Item],
}

impl Report<'_> {
    /// The result in one line.
    pub(super) fn summary(&self) -> String {
        let links = match self.links {
            Some(links) => count(links.broken, "broken link"),
            None => "no Markdown".to_owned(),
        };
        format!(
            "{}, {} of code, {} ({} critical), {links}",
            count(self.plan.files, "file"),
            count(self.measures.code, "line"),
            count(self.security.total(), "security finding"),
            self.security.critical,
        )
    }

    /// The page.
    pub(super) fn render(&self) -> String {
        let mut page = String::new();
        self.write(&mut page)
            .expect("writing to a string does not fail");
        page
    }

    fn write(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "# Audit of {}\n", code(&self.plan.root))?;
        writeln!(page, "{}.\n", self.summary())?;
        writeln!(page, "- run: {}", code(self.run))?;
        writeln!(page, "- fingerprint: {}", code(&self.plan.fingerprint))?;
        if self.plan.truncated {
            writeln!(
                page,
                "- the tree is larger than one audit: not all files are covered"
            )?;
        }
        self.write_files(page)?;
        self.write_code(page)?;
        self.write_security(page)?;
        self.write_links(page)
    }

    fn write_files(&self, page: &mut String) -> fmt::Result {
        writeln!(
            page,
            "\n## Files\n\n| kind | files | bytes |\n| --- | ---: | ---: |"
        )?;
        for kind in &self.plan.kinds {
            writeln!(
                page,
                "| {} | {} | {} |",
                cell(&kind.kind),
                kind.files,
                kind.bytes
            )?;
        }
        writeln!(page, "| all | {} | {} |", self.plan.files, self.plan.bytes)
    }

    fn write_code(&self, page: &mut String) -> fmt::Result {
        let all = self.measures;
        writeln!(
            page,
            "\n## Code\n\n| language | files | code | comment | blank | tests |\n| --- | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for row in &all.languages {
            writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                cell(&row.language),
                row.files,
                row.code,
                row.comment,
                row.blank,
                row.tests
            )?;
        }
        writeln!(
            page,
            "| all | | {} | {} | {} | {} |\n",
            all.code, all.comment, all.blank, all.tests
        )?;
        writeln!(page, "Promises of later work in comments: {}.\n", all.todos)?;
        for row in &all.languages {
            if let Some(file) = &row.longest_file {
                writeln!(
                    page,
                    "- longest {} file: {}, {}",
                    row.language,
                    code(&file.path),
                    count(file.lines, "line")
                )?;
            }
            if let Some(function) = &row.longest_function {
                writeln!(
                    page,
                    "- longest {} function: {} at {}, {}",
                    row.language,
                    code(&function.name),
                    code(&format!("{}:{}", function.path, function.line)),
                    count(function.lines, "line")
                )?;
            }
        }
        Ok(())
    }

    fn write_security(&self, page: &mut String) -> fmt::Result {
        let found = self.security;
        writeln!(
            page,
            "\n## Security\n\n{} critical, {} high, {} medium, {} low.",
            found.critical, found.high, found.medium, found.low
        )?;
        write_findings(page, &found.findings, found.omitted)?;
        if self.triage.is_empty() {
            return Ok(());
        }
        writeln!(page, "\n### Credentials to replace\n")?;
        for item in self.triage {
            let mut places: Vec<String> = item.places.iter().map(|place| code(place)).collect();
            if item.omitted > 0 {
                places.push(format!("and {} elsewhere", count(item.omitted, "place")));
            }
            writeln!(
                page,
                "- {} ({}) in {}: {}",
                code(&item.secret),
                item.rule,
                places.join(", "),
                item.remedy
            )?;
        }
        Ok(())
    }

    fn write_links(&self, page: &mut String) -> fmt::Result {
        let Some(links) = self.links else {
            return writeln!(page, "\n## Links\n\nThere is no Markdown.");
        };
        writeln!(
            page,
            "\n## Links\n\n{} in {}: {} broken, {} not followed. {}.",
            count(links.links, "link"),
            count(links.documents, "document"),
            links.broken,
            links.external,
            count(links.warnings, "warning")
        )?;
        write_findings(page, &links.findings, links.omitted)
    }
}

impl Security {
    fn total(&self) -> u64 {
        self.critical + self.high + self.medium + self.low
    }
}

fn write_findings(page: &mut String, findings: &[Finding], omitted: u64) -> fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "\n| severity | place | rule | finding |\n| --- | --- | --- | --- |"
    )?;
    for finding in findings {
        let place = match finding.line {
            0 => finding.path.clone(),
            line => format!("{}:{line}", finding.path),
        };
        let severity = format!("{:?}", finding.severity).to_lowercase();
        writeln!(
            page,
            "| {severity} | {} | {} | {} |",
            cell(&place),
            cell(&finding.rule),
            cell(&finding.message)
        )?;
    }
    if omitted > 0 {
        writeln!(page, "\n{omitted} more are not listed.")?;
    }
    Ok(())
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A code span that its text cannot leave: file names may hold anything.
fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('`', "'"))
}

/// A table cell that its text cannot leave.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|").replace('<', "&lt;")
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
