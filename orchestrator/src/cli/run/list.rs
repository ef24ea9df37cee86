//! `phisync run list`.

use clap::{Args, ValueEnum};
use phisync::protocol::{RunList, RunSummary};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::Table;
use crate::cli::report::Report;

/// List runs, newest first.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only runs that stand like this
    #[arg(long, value_enum)]
    status: Option<Status>,

    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,

    /// Only runs with this label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Option<String>,

    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl List {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let query: Vec<(&str, &str)> = [
            ("status", self.status.map(Status::word)),
            ("workflow", self.workflow.as_deref()),
            ("label", self.label.as_deref()),
            ("cursor", self.cursor.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let list: RunList = context
            .place
            .with_server(None, |api| Ok(api.get(&["v1", "runs"], &query)?))?;
        context.output.many(&list, &list.runs, table)?;
        if let Some(next) = &list.next {
            context
                .output
                .say(format!("there are more: --cursor {next}"))?;
        }
        Ok(ExitCode::Ok)
    }
}

fn table(runs: &[RunSummary]) -> Table {
    let mut table = Table::new(["RUN", "WORKFLOW", "STATUS", "STARTED", "CLOSED", "ERROR"]);
    for run in runs {
        let status = match run.phase.as_str() {
            "forward" | "closed" => run.status.clone(),
            phase => phase.to_owned(),
        };
        table.row([
            run.id.clone(),
            format!("{} {}", run.workflow, run.version),
            status,
            run.started_at.clone(),
            run.closed_at.clone().unwrap_or_default(),
            run.error
                .as_ref()
                .map(|error| error.code.clone())
                .unwrap_or_default(),
        ]);
    }
    table
}
