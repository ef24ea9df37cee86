//! `phisync run wait RUN`.

use std::time::Duration;

use clap::Args;
use phisync_state::env::OsClock;

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Wait until a run is closed, then print its outputs; ends with 1 if it did not complete.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wait {
    /// Run, or a unique beginning of its id
    run: String,

    /// Give up after this many seconds, with 8
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

impl Wait {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let within = self.timeout.map(Duration::from_secs);
        let outcome = context.place.with_server(None, |api| {
            Ok(super::wait_closed(api, &self.run, &OsClock::new(), within)?)
        })?;
        if outcome.is_closed() {
            return outcome.tell(context);
        }
        let message = format!("the run `{}` is still running", outcome.id);
        let hint = format!("`phisync why {}` says what it waits for", outcome.id);
        Err(Report::new(ExitCode::TimedOut, message).hint(hint))
    }
}
