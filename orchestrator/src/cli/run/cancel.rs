//! `phisync run cancel RUN`.

use clap::Args;
use phisync::protocol::{CancelRequest, Started};

use crate::cli::Context;
use crate::cli::api::{Api, CallError};
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Ask a run to end: agents are told to stop, finished steps are undone.
#[derive(Debug, Args)]
pub(in crate::cli) struct Cancel {
    /// Run, or a unique beginning of its id
    run: String,

    /// Why, for those who look at the run later
    #[arg(long)]
    reason: Option<String>,
}

impl Cancel {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let answer = context
            .place
            .with_server(None, |api| Ok(cancel(api, &self.run, self.reason)?))?;
        let words = match answer.status.as_str() {
            "running" => "asked to end".to_owned(),
            status => status.to_owned(),
        };
        context
            .output
            .one(&answer, |answer| format!("{}: {words}", answer.id))?;
        Ok(ExitCode::Ok)
    }
}

/// Asks the server to end a run.
///
/// # Errors
/// When the call fails.
pub(in crate::cli) fn cancel(
    api: &Api,
    run: &str,
    reason: Option<String>,
) -> Result<Started, CallError> {
    api.post(&["v1", "runs", run, "cancel"], &CancelRequest { reason })
}
