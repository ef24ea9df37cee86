//! `phisync graph FILE|RUN`: the steps of a workflow and what they need, as a picture.

use std::path::Path;

use clap::{Args, ValueEnum};
use phisync_workflows::render::{self, graph};
use phisync_workflows::{Machine, SourceText, compile, compile_to_draw};
use serde::Deserialize;

use super::exit_code::ExitCode;
use super::output::Format;
use super::report::Report;
use super::{Context, definition, run};

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

/// The workflow of a file, also one that this version draws and does not run.
fn of_file(context: &Context, file: &Path) -> Result<Machine, Report> {
    let source = definition::read(file)?;
    let mut compiled = compile(&source, None);
    if !compiled.has_errors() {
        return definition::only(source.name(), compiled);
    }
    let drawn = compile_to_draw(&source);
    if drawn.is_empty() {
        let shown = render::text(&source, &compiled.diagnostics, context.output.color());
        context.output.say_painted(shown.trim_end())?;
    } else {
        compiled.diagnostics.clear();
        compiled.machines = drawn;
    }
    definition::only(source.name(), compiled)
}

/// The workflow that a run is pinned to. The server tells the newest version of a workflow; a run of an
/// earlier one is refused rather than drawn wrongly.
fn of_run(context: &Context, run: &str) -> Result<Machine, Report> {
    let (detail, newest) = context.place.with_server(None, |api| {
        let detail = run::detail(api, run)?;
        let name = detail.summary.workflow.as_str();
        let newest: Definition = api.get(&["v1", "workflows", name], &[])?;
        Ok((detail, newest))
    })?;
    if newest.hash != detail.definition {
        let run = &detail.summary;
        let message = format!(
            "the run `{}` uses an earlier version of `{}`",
            run.id, run.workflow
        );
        let hint = format!(
            "its text is `definitions/{}.yaml` in the data directory",
            detail.definition
        );
        return Err(Report::new(ExitCode::NotFound, message).hint(hint));
    }
    let source = SourceText::new(newest.name, newest.source);
    definition::only(source.name(), compile(&source, None))
}

/// What the server tells about a workflow, as far as it is needed here.
#[derive(Deserialize)]
struct Definition {
    name: String,
    hash: String,
    source: String,
}
