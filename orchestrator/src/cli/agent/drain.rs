//! `phisync agent drain NAME` and `phisync agent undrain NAME`.

use clap::Args;
use phisync::protocol::{AgentDetail, DrainRequest, UndrainRequest};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Give an agent nothing more: it ends what it holds.
///
/// It stays so until `phisync agent undrain`, across restarts of the server too.
#[derive(Debug, Args)]
pub(in crate::cli) struct Drain {
    /// The agent
    name: String,

    /// Why, for those who wonder later
    #[arg(long)]
    reason: Option<String>,
}

/// Let a drained agent take tasks again.
#[derive(Debug, Args)]
pub(in crate::cli) struct Undrain {
    /// The agent
    name: String,
}

impl Drain {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let reason = self.reason;
        let agent: AgentDetail = context.place.with_server(None, |api| {
            let path = ["v1", "agents", &self.name, "drain"];
            Ok(api.post(&path, &DrainRequest { reason })?)
        })?;
        context.output.one(&agent, |agent| {
            let name = &agent.summary.name;
            match agent.summary.holds.as_slice() {
                [] => format!("{name} is drained and holds nothing"),
                tasks => format!("{name} is drained and ends {}", tasks.join(", ")),
            }
        })?;
        Ok(ExitCode::Ok)
    }
}

impl Undrain {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let agent: AgentDetail = context.place.with_server(None, |api| {
            let path = ["v1", "agents", &self.name, "undrain"];
            Ok(api.post(&path, &UndrainRequest {})?)
        })?;
        context.output.one(&agent, |agent| {
            format!("{} may take tasks again", agent.summary.name)
        })?;
        Ok(ExitCode::Ok)
    }
}
