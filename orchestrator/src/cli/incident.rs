//! `phisync incident`: steps that could not be undone, and runs that stalled, wait for a person here.

use clap::{Args, Subcommand};
use phisync::protocol::{IncidentList, ResolveRequest};

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Incident {
    List(List),
    /// Try to undo the step again; of a run that stalled, look at everything again
    Retry(Resolve),
    /// Leave this step as it is and undo the rest; a run that stalled fails by its own rules
    Skip(Resolve),
    /// Undo nothing more and close the run as it stands
    Abandon(Resolve),
}

/// List what could not be undone, and runs that stalled: open, with nothing that wakes them.
#[derive(Debug, Args)]
pub(super) struct List {}

#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// Incident, as RUN.STEP; of a run that stalled RUN
    #[arg(value_name = "INCIDENT")]
    id: String,

    /// Why, for those who look at the run later
    #[arg(long)]
    reason: String,
}

impl Incident {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::List(_) => list(context),
            Self::Retry(resolve) => resolve.run(context, "retry", "tried again now"),
            // Of a run that stalled, not of a step that could not be undone.
            Self::Skip(resolve) if !resolve.id.contains('.') => {
                resolve.run(context, "skip", "fails by its own rules")
            }
            Self::Skip(resolve) => resolve.run(context, "skip", "left as it is"),
            Self::Abandon(resolve) => resolve.run(context, "abandon", "nothing more is undone"),
        }
    }
}

impl Resolve {
    fn run(self, context: &Context, action: &str, words: &str) -> Result<ExitCode, Report> {
        let request = ResolveRequest {
            action: action.to_owned(),
            reason: self.reason,
        };
        let left: IncidentList = context.place.with_server(None, |api| {
            Ok(api.post(&["v1", "incidents", &self.id, "resolve"], &request)?)
        })?;
        context
            .output
            .one(&left, |_| format!("{}: {words}", self.id))?;
        Ok(ExitCode::Ok)
    }
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: IncidentList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "incidents"], &[])?))?;
    context.output.many(&list, &list.incidents, |incidents| {
        let mut table = Table::new(["INCIDENT", "ERROR", "MESSAGE"]);
        for incident in incidents {
            let error = &incident.error;
            table.row([
                incident.id.clone(),
                error.code.clone(),
                error.message.clone(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}
