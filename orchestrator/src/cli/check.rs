//! `phisync check FILE...`: everything that is wrong with workflows, at once.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use phisync_workflows::{
    Applied, Catalog, Compiled, Diagnostic, Severity, SourceText, compile_beside, fix, render,
};
use serde_json::Value;

use super::exit_code::ExitCode;
use super::output::Format;
use super::report::Report;
use super::team::Team;
use super::{Context, apply, definition, output};

/// Compile workflows and say what is wrong with them.
///
/// Ends with 6 if there is an error in any of them. Agents and people are checked against the team, if
/// one is found. Files that are given together know each other's workflows, so that their calls are checked
/// too; what a server has is not asked: it checks calls of all that it knows when it gets the file. With --fix the changes that the help offers are written into the files, each is
/// shown, and what is left is told.
#[derive(Debug, Args)]
#[command(
    after_help = "A comment on the line above allows a warning: # phisync: allow PHI701 - why"
)]
pub(super) struct Check {
    /// Workflow files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Form of the diagnostics on stdout [default: as --output says]
    #[arg(long, value_enum)]
    format: Option<CheckFormat>,

    /// Write the changes that diagnostics offer into the files
    #[arg(long)]
    fix: bool,

    /// End with 6 for these too
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,

    /// The team [default: agents.yaml beside the file, else the project's]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckFormat {
    /// With the lines they are about.
    Text,
    /// One JSON array, of the diagnostics of all files.
    Json,
    /// One SARIF 2.1.0 log, for code hosts and editors.
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings count as errors.
    Warnings,
}

/// How many findings of each weight.
#[derive(Debug, Default)]
struct Count {
    errors: usize,
    warnings: usize,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut count = Count::default();
        let mut reports = Vec::new();
        let mut sources = Vec::with_capacity(self.files.len());
        for file in &self.files {
            sources.push(definition::read(file)?);
        }
        let known: Vec<_> = match &sources[..] {
            [_] => Vec::new(),
            several => apply::interfaces(several),
        };
        for (index, (file, mut source)) in self.files.iter().zip(sources).enumerate() {
            let team = Team::for_workflow(self.agents.as_deref(), file, &context.place)?;
            let catalog = team.as_ref().map(Team::catalog);
            if self.fix {
                source = fixed(context, file, source, catalog.as_ref())?;
            }
            let others = apply::beside(&known, index);
            let compiled = compile_beside(&source, catalog.as_ref(), &others);
            for diagnostic in &compiled.diagnostics {
                match diagnostic.severity {
                    Severity::Error => count.errors += 1,
                    Severity::Warning => count.warnings += 1,
                    Severity::Info => {}
                }
            }
            reports.push((source, compiled));
        }
        match (self.format, context.output.format()) {
            (Some(CheckFormat::Sarif), _) => {
                let files = reports.iter();
                let files: Vec<_> = files
                    .map(|(source, compiled)| (source, &compiled.diagnostics[..]))
                    .collect();
                let log = render::sarif(env!("CARGO_PKG_VERSION"), &files);
                context.output.text(&output::json_pretty(&log))?;
            }
            (Some(CheckFormat::Text), _) | (None, Format::Table) => {
                self.tell(context, Format::Table, &reports, &count)?;
            }
            (Some(CheckFormat::Json), _) => self.tell(context, Format::Json, &reports, &count)?,
            (None, format) => self.tell(context, format, &reports, &count)?,
        }
        let denied = self.deny == Some(Deny::Warnings) && count.warnings > 0;
        if count.errors > 0 || denied {
            Ok(ExitCode::Invalid)
        } else {
            Ok(ExitCode::Ok)
        }
    }

    fn tell(
        &self,
        context: &Context,
        format: Format,
        reports: &[(SourceText, Compiled)],
        count: &Count,
    ) -> Result<(), Report> {
        if format == Format::Table {
            for (source, compiled) in reports {
                let color = context.output.color();
                let text = render::text(source, &compiled.diagnostics, color);
                context.output.text_painted(&text)?;
            }
            // One file's findings end in a line that counts them already.
            let said = reports.len() == 1 && !reports[0].1.diagnostics.is_empty();
            if !said {
                context.output.say(self.summary(count))?;
            }
            return Ok(());
        }
        let all: Vec<Value> = reports
            .iter()
            .flat_map(|(source, compiled)| objects(source, &compiled.diagnostics))
            .collect();
        let text = match format {
            Format::Jsonl => all
                .iter()
                .map(|one| output::json_line(one) + "\n")
                .collect(),
            Format::Yaml => output::yaml(&all),
            Format::Json | Format::Table => output::json_pretty(&all),
        };
        context.output.text(&text)
    }

    fn summary(&self, count: &Count) -> String {
        let number = |count: usize, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        format!(
            "{} checked: {}, {}",
            number(self.files.len(), "file"),
            number(count.errors, "error"),
            number(count.warnings, "warning")
        )
    }
}

/// The text with what can be mended mended, in the file too.
fn fixed(
    context: &Context,
    file: &Path,
    source: SourceText,
    catalog: Option<&Catalog>,
) -> Result<SourceText, Report> {
    let fixed = fix(&source, catalog);
    if fixed.applied.is_empty() {
        return Ok(source);
    }
    definition::replace(file, &fixed.text)?;
    for change in &fixed.applied {
        context.output.say(shown(source.name(), change))?;
    }
    Ok(SourceText::new(source.name(), fixed.text))
}

/// A change as people read it: why, and the lines before and after.
fn shown(name: &str, change: &Applied) -> String {
    let mut text = format!(
        "fixed[{}]: {}\n  --> {name}:{}",
        change.code, change.message, change.line
    );
    for (mark, lines) in [("-", &change.before), ("+", &change.after)] {
        for line in lines.lines() {
            text.push_str(&format!("\n {mark} {line}"));
        }
    }
    text
}

/// The diagnostics of one file, an object each.
fn objects(source: &SourceText, diagnostics: &[Diagnostic]) -> Vec<Value> {
    match render::json(source, diagnostics) {
        Value::Array(objects) => objects,
        other => vec![other],
    }
}
