//! `phisync run retry|fork RUN`: new runs that go on from what others did.

use clap::Args;
use phisync::protocol::{ForkRequest, RetryRequest, Started};
use serde::Serialize;

use super::Outcome;
use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Start a new run that keeps what the steps of a closed one did, and does the rest again.
///
/// Without --from it begins with whatever has not succeeded, or was undone. Outputs of what is kept come from the
/// journal: no effect is repeated that is not meant to be.
#[derive(Debug, Args)]
pub(in crate::cli) struct Retry {
    /// Run, or a unique beginning of its id
    run: String,

    /// Begin with this step and what needs it
    #[arg(long, value_name = "STEP")]
    from: Option<String>,

    /// Do it although steps that cannot be undone are done again
    #[arg(long)]
    confirm: bool,

    /// Name of the new run [default: chosen by the server]
    #[arg(long)]
    id: Option<String>,
}

/// Start a new run that keeps everything that a run did up to a place in its journal.
///
/// What happened later happens again, perhaps otherwise. `phisync run events` shows the sequence numbers.
#[derive(Debug, Args)]
pub(in crate::cli) struct Fork {
    /// Run, or a unique beginning of its id
    run: String,

    /// Keep everything up to this sequence
    #[arg(long, value_name = "SEQ")]
    at: u64,

    /// Do it although steps that cannot be undone are done again
    #[arg(long)]
    confirm: bool,

    /// Name of the new run [default: chosen by the server]
    #[arg(long)]
    id: Option<String>,
}

impl Retry {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = RetryRequest {
            from: self.from,
            confirm: self.confirm,
            id: self.id,
        };
        post(context, &self.run, "retry", &request)
    }
}

impl Fork {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = ForkRequest {
            at: self.at,
            confirm: self.confirm,
            id: self.id,
        };
        post(context, &self.run, "fork", &request)
    }
}

fn post<B: Serialize>(
    context: &Context,
    run: &str,
    verb: &str,
    body: &B,
) -> Result<ExitCode, Report> {
    let path = ["v1", "runs", run, verb];
    let started: Started = context
        .place
        .with_server(None, |api| Ok(api.post(&path, body)?))?;
    let outcome = Outcome::from(started);
    context.output.one(&outcome, |outcome| outcome.id.clone())?;
    Ok(ExitCode::Ok)
}
