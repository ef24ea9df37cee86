//! `phisync bench`: measures this machine and this build.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use phisync::bench::{self, BenchError, Figure, Plan};

use super::Context;
use super::exit_code::ExitCode;
use super::output::json_line;
use super::report::Report;

/// Measure this machine and this build.
///
/// Prints one JSON line per figure on stdout and a table on stderr. The disk is measured in the same
/// run: a figure means nothing without its floor.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// What to measure [default: P1 P2 P3]
    #[arg(value_enum, value_name = "BENCH")]
    benches: Vec<Which>,

    /// How long each is measured, in seconds
    #[arg(long, default_value_t = 5.0, value_name = "S", value_parser = seconds)]
    seconds: f64,

    /// A fraction of a second each: shows that it works, not how fast
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,

    /// A directory on the disk to measure [default: the current one]
    #[arg(long, default_value = ".", hide_default_value = true)]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Which {
    /// Workflows a second over HTTP, 64 clients and 64 agents
    P1,
    /// One workflow at a time over HTTP
    P2,
    /// Durable transitions a second without HTTP, 1024 runs in flight
    P3,
    /// Time to ready on a store with a long past, without a snapshot and with one
    P5,
    /// 5000 agents in long poll: the time until a task is in hand, memory, and a client beside slow sockets
    P7,
    /// Time from the kill of a worker to its task in another's hands
    P10,
}

impl Which {
    const USUAL: [Self; 3] = [Self::P1, Self::P2, Self::P3];

    /// The rate that it measures; `None`: it measures something else.
    fn rate(self) -> Option<bench::Bench> {
        match self {
            Self::P1 => Some(bench::Bench::P1),
            Self::P2 => Some(bench::Bench::P2),
            Self::P3 => Some(bench::Bench::P3),
            Self::P5 | Self::P7 | Self::P10 => None,
        }
    }
}

/// Longer than the quick measurement, shorter than an hour.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number of seconds from 0.1 to 3600 is wanted".to_owned()),
    }
}

impl Bench {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let which = if self.benches.is_empty() {
            Which::USUAL.to_vec()
        } else {
            self.benches
        };
        let program = std::env::current_exe().map_err(|error| {
            let words = format!("cannot find the program itself: {error}");
            Report::new(ExitCode::Unusable, words)
        })?;
        let seconds = if self.quick { 0.25 } else { self.seconds };
        let plan = Plan {
            benches: which.iter().filter_map(|which| which.rate()).collect(),
            length: Duration::from_secs_f64(seconds),
            dir: self.dir,
            program,
        };
        let mut told = Ok(());
        let mut tell = |figure: &Figure| {
            if told.is_ok() {
                let line = context.output.text(&json_line(figure));
                told = line.and_then(|()| context.output.say(figure.table().trim_end()));
            }
        };
        bench::run(&plan, &mut tell).map_err(report)?;
        told?;
        if which.contains(&Which::P5) {
            let recovery = bench::recovery(&plan).map_err(report)?;
            context.output.text(&json_line(&recovery))?;
            context.output.say(recovery.table().trim_end())?;
        }
        if which.contains(&Which::P7) {
            let waiting = bench::waiting(&plan).map_err(report)?;
            context.output.text(&json_line(&waiting))?;
            context.output.say(waiting.table().trim_end())?;
        }
        if which.contains(&Which::P10) {
            let takeover = bench::takeover(&plan).map_err(report)?;
            context.output.text(&json_line(&takeover))?;
            context.output.say(takeover.table().trim_end())?;
        }
        Ok(ExitCode::Ok)
    }
}

fn report(error: BenchError) -> Report {
    let exit = match &error {
        BenchError::Store(_) => ExitCode::Stopped,
        BenchError::Nothing => ExitCode::TimedOut,
        BenchError::System { .. }
        | BenchError::OpenFiles { .. }
        | BenchError::NotReady(_)
        | BenchError::Call(_)
        | BenchError::Heir(_)
        | BenchError::Open(_)
        | BenchError::Read(_)
        | BenchError::Refused(_)
        | BenchError::Snapshot(_)
        | BenchError::Team(_) => ExitCode::Unusable,
    };
    Report::new(exit, error)
}
