//! `phisync check FILE...`: everything that is wrong with workflows, at once.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use phisync_workflows::{Diagnostic, Severity, SourceText, compile, render};
use serde_json::Value;

use super::exit_code::ExitCode;
use super::report::Report;
use super::team::Team;
use super::{Context, definition, output};

/// Compile workflows and say what is wrong with them.
///
/// Ends with 6 if there is an error in any of them. Agents and people are checked against the team, if
/// one is found.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Workflow files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Form of the diagnostics on stdout
    #[arg(long, value_enum, default_value_t)]
    format: CheckFormat,

    /// End with 6 for these too
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,

    /// The team [default: agents.yaml beside the file, else the project's]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CheckFormat {
    /// With the lines they are about.
    #[default]
    Text,
    /// One JSON array, of the diagnostics of all files.
    Json,
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
        for file in &self.files {
            let source = definition::read(file)?;
            let team = Team::for_workflow(self.agents.as_deref(), file, &context.place)?;
            let catalog = team.as_ref().map(Team::catalog);
            let compiled = compile(&source, catalog.as_ref());
            for diagnostic in &compiled.diagnostics {
                match diagnostic.severity {
                    Severity::Error => count.errors += 1,
                    Severity::Warning => count.warnings += 1,
                    Severity::Info => {}
                }
            }
            reports.push((source, compiled));
        }
        match self.format {
            CheckFormat::Text => {
                for (source, compiled) in &reports {
                    let color = context.output.color();
                    context.output.text_painted(&render::text(
                        source,
                        &compiled.diagnostics,
                        color,
                    ))?;
                }
                // One file's findings end in a line that counts them already.
                let said = reports.len() == 1 && !reports[0].1.diagnostics.is_empty();
                if !said {
                    context.output.say(self.summary(&count))?;
                }
            }
            CheckFormat::Json => {
                let all: Vec<_> = reports
                    .iter()
                    .flat_map(|(source, compiled)| objects(source, &compiled.diagnostics))
                    .collect();
                context.output.text(&output::json_pretty(&all))?;
            }
        }
        let denied = self.deny == Some(Deny::Warnings) && count.warnings > 0;
        if count.errors > 0 || denied {
            Ok(ExitCode::Invalid)
        } else {
            Ok(ExitCode::Ok)
        }
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

/// The diagnostics of one file, an object each.
fn objects(source: &SourceText, diagnostics: &[Diagnostic]) -> Vec<Value> {
    match render::json(source, diagnostics) {
        Value::Array(objects) => objects,
        other => vec![other],
    }
}
