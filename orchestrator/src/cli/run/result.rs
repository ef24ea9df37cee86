//! `phisync run result RUN`.

use std::time::Duration;

use clap::Args;
use phisync_state::env::OsClock;

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Print the outputs of a closed run; ends with 1 if it did not complete.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowResult {
    /// Run, or a unique beginning of its id
    run: String,
}

impl ShowResult {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let outcome = context.place.with_server(None, |api| {
            let now = Some(Duration::ZERO);
            Ok(super::wait_closed(api, &self.run, &OsClock::new(), now)?)
        })?;
        if outcome.is_closed() {
            return outcome.tell(context);
        }
        let message = format!("the run `{}` has no result yet", outcome.id);
        let hint = format!("`phisync run wait {}` waits for it", outcome.id);
        Err(Report::new(ExitCode::Conflict, message).hint(hint))
    }
}
