//! `phisync graph FILE|RUN`: the steps of a workflow and what they need, as a picture.

use std::path::Path;

use clap::{Args, ValueEnum};
use phisync::protocol::WorkflowDetail;
use phisync_workflows::render::{self, graph};
use phisync_workflows::{Machine, compile, compile_registered};

use super::exit_code::ExitCode;
use super::output::Format;
use super::report::Report;
use super::{Context, definition};

/// Draw the steps of a workflow and what each needs.
///
/// Paste the output of `--format mermaid` into a Markdown file, or pipe that of `--format dot` into
/// Graphviz.
#[derive(Debug, Args)]
pub(super) struct Graph {
    /// Workflow file (- is standard input), or a run whose workflow is drawn
    #[arg(value_name = "FILE|RUN")]
    what: String,

    /// Notation [default: text, or json if --output says json]
    #[arg(long, value_enum)]
    format: Option<GraphFormat>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GraphFormat {
    /// Indented lines.
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
        let machine = if definition::is_file(&self.what) {
            of_file(context, Path::new(&self.what))?
        } else {
            of_run(context, &self.what)?
        };
        let format = self.format.unwrap_or(match context.output.format() {
            Format::Json | Format::Jsonl => GraphFormat::Json,
            Format::Table | Format::Yaml => GraphFormat::Text,
        });
        let picture = match format {
            GraphFormat::Text => graph::text(&machine),
            GraphFormat::Mermaid => graph::mermaid(&machine),
            GraphFormat::Dot => graph::dot(&machine),
            GraphFormat::Json => graph::json(&machine),
        };
        context.output.text(&picture)?;
        Ok(ExitCode::Ok)
    }
}

/// The workflow of a file.
fn of_file(context: &Context, file: &Path) -> Result<Machine, Report> {
    let source = definition::read(file)?;
    let compiled = compile(&source, None);
    if compiled.has_errors() {
        let shown = render::text(&source, &compiled.diagnostics, context.output.color());
        context.output.say_painted(shown.trim_end())?;
    }
    definition::only(source.name(), compiled)
}

/// The version of its workflow that a run is pinned to, whatever is registered by now.
fn of_run(context: &Context, run: &str) -> Result<Machine, Report> {
    let pinned: WorkflowDetail = context.place.with_server(None, |api| {
        Ok(api.get(&["v1", "runs", run, "workflow"], &[])?)
    })?;
    // It was compiled once: what was allowed then is drawn, whatever is refused by now.
    compile_registered(&pinned.hash, &pinned.source).ok_or_else(|| {
        let message = format!("`{}` {} does not compile here", pinned.name, pinned.version);
        Report::new(ExitCode::Invalid, message).hint("use the program that the server runs")
    })
}
