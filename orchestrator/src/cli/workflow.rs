//! `phisync workflow`: what is registered.

use clap::{Args, Subcommand};
use phisync::protocol::{Registered, WorkflowDetail, WorkflowList};

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Workflow {
    List(List),
    Show(Show),
}

/// List the newest version of each workflow.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Show the newest version of a workflow: its text, and which versions it calls.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the workflow
    #[arg(value_name = "WORKFLOW")]
    name: String,
}

impl Workflow {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::List(_) => list(context),
            Self::Show(show) => show.run(context),
        }
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let detail: WorkflowDetail = context.place.with_server(None, |api| {
            Ok(api.get(&["v1", "workflows", &self.name], &[])?)
        })?;
        context.output.one(&detail, words)?;
        Ok(ExitCode::Ok)
    }
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: WorkflowList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "workflows"], &[])?))?;
    context.output.many(&list, &list.workflows, table)?;
    Ok(ExitCode::Ok)
}

/// Versions of workflows, one a line.
pub(super) fn table(workflows: &[Registered]) -> Table {
    let mut table = Table::new(["WORKFLOW", "VERSION", "DEFINITION"]);
    for workflow in workflows {
        let short = workflow.hash.get(..12).unwrap_or(&workflow.hash);
        table.row([
            workflow.name.clone(),
            workflow.version.clone(),
            short.to_owned(),
        ]);
    }
    table
}

/// The head as comments, then the text: together a workflow file again.
fn words(detail: &WorkflowDetail) -> String {
    let mut text = format!("# {} {}, {}\n", detail.name, detail.version, detail.hash);
    for (call, version) in &detail.calls {
        text.push_str(&format!("# calls {call}: {version}\n"));
    }
    text.push_str(&detail.source);
    text
}
