//! `phisync demo-agent NAME`: one of the five agents of `examples/repo-audit`.
//!
//! In the binary, so that the example runs on every system without anything installed.

use std::io::{self, Read as _};

use clap::Args;
use phisync::demo;
use serde_json::json;

use super::Context;
use super::exit_code::ExitCode;
use super::report::Report;

/// Do one task of examples/repo-audit.
#[derive(Debug, Args)]
pub(super) struct DemoAgent {
    /// dc, vssc, kalic, webc or cmdc
    name: String,
}

impl DemoAgent {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut task = String::new();
        io::stdin().read_to_string(&mut task).map_err(|cause| {
            Report::new(ExitCode::Unusable, format!("cannot read the task: {cause}"))
        })?;
        match demo::run(&self.name, &task, &mut io::stdout().lock()) {
            Ok(()) => Ok(ExitCode::Ok),
            Err(failure) => {
                let error = json!({"error": {"code": failure.code, "message": failure.message}});
                context.output.text(&error.to_string())?;
                Ok(ExitCode::from_number(failure.exit))
            }
        }
    }
}
