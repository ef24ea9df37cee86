//! The binary `phisync`: parse, call, exit.

mod cli;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main(std::env::args_os()))
}
