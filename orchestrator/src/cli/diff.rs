//! `phisync diff OLD NEW`: what a new version breaks, and which number it deserves.

use std::path::PathBuf;

use clap::Args;
use phisync_workflows::diff::{Comparison, compare};
use phisync_workflows::{SourceText, render};
use serde_json::{Value, json};

use super::exit_code::ExitCode;
use super::output::Format;
use super::report::Report;
use super::{Context, definition};

/// Compare two versions of a workflow.
///
/// Says what breaks those who start it, those who wait for it, and the runs that are open, and which
/// version number the change deserves. Ends with 6 if something breaks, or if the number is too low.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync diff released.yaml workflows/flow.yaml")]
pub(super) struct Diff {
    /// The version that runs
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The version that shall follow
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let old = definition::read(&self.old)?;
        let new = definition::read(&self.new)?;
        let comparison = compare(&old, &new).map_err(|error| {
            Report::new(ExitCode::Invalid, error).hint("`phisync check` says what is wrong")
        })?;
        if context.output.format() == Format::Table {
            let color = context.output.color();
            for (source, findings) in [(&old, &comparison.gone), (&new, &comparison.found)] {
                let text = render::text(source, findings, color);
                context.output.text_painted(&text)?;
            }
            context.output.text(&summary(&comparison))?;
        } else {
            let answer = answer(&old, &new, &comparison);
            context.output.one(&answer, |_| String::new())?;
        }
        Ok(if comparison.has_errors() {
            ExitCode::Invalid
        } else {
            ExitCode::Ok
        })
    }
}

fn summary(comparison: &Comparison) -> String {
    let next = comparison
        .proposed
        .as_ref()
        .map(|version| format!(", at least {version}"))
        .unwrap_or_default();
    format!("{}: {} change{next}", comparison.workflow, comparison.level)
}

fn answer(old: &SourceText, new: &SourceText, comparison: &Comparison) -> Value {
    json!({
        "workflow": comparison.workflow,
        "change": comparison.level.to_string(),
        "version": comparison.proposed,
        "gone": render::json(old, &comparison.gone),
        "found": render::json(new, &comparison.found),
    })
}
