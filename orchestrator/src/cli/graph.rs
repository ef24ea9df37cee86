//! `phisync graph FILE|RUN`: the steps of a workflow and what they need, as a picture.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use phisync_workflows::Machine;
use phisync_workflows::render::graph;

use super::exit_code::ExitCode;
use super::report::Report;
use super::team::Team;
use super::{Context, definition};

/// Draw the steps of a workflow and what each needs.
///
/// Paste the output of `--format mermaid` into a Markdown file, or pipe that of `--format dot` into
/// Graphviz.
#[derive(Debug, Args)]
pub(super) struct Graph {
    /// Workflow file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Notation
    #[arg(long, value_enum, default_value_t)]
    format: GraphFormat,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum GraphFormat {
    /// Indented lines.
    #[default]
    Text,
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// For programs.
    Json,
}

impl Graph {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let machine = compiled(context, &self.file)?;
        let picture = match self.format {
            GraphFormat::Text => graph::text(&machine),
            GraphFormat::Mermaid => graph::mermaid(&machine),
            GraphFormat::Dot => graph::dot(&machine),
            GraphFormat::Json => graph::json(&machine).to_string(),
        };
        context.output.text(&picture)?;
        Ok(ExitCode::Ok)
    }
}

fn compiled(context: &Context, file: &Path) -> Result<Machine, Report> {
    let team = Team::for_workflow(None, file, &context.place)?;
    let catalog = team.as_ref().map(Team::catalog);
    definition::machine(&context.output, file, catalog.as_ref())
}
