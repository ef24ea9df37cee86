//! `phisync agent warden`: started by every worker, for the case that it is killed.

use std::io;

use clap::Args;
use phisync_agents::worker::keep_watch;

use crate::cli::exit_code::ExitCode;

/// Read from stdin which process groups a worker started, and kill those left when it closes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Warden {}

impl Warden {
    pub(in crate::cli) fn run() -> ExitCode {
        keep_watch(io::stdin().lock());
        ExitCode::Ok
    }
}
