//! `phisync bench`: measures this machine and this build.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use phisync::bench::{self, BenchError, Found, Plan};

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

    /// How many closed runs the store of P5 and P6 holds
    #[arg(long, default_value_t = 100_000, value_name = "N", conflicts_with = "quick",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    runs: u64,

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
    /// Bytes and time for each transition in a run of 10,000 items against runs of 10, without HTTP
    P4,
    /// Time to ready on a store with a long past, without a snapshot and with one
    P5,
    /// Memory: idle, with 10,000 open runs, with many closed ones
    P6,
    /// 5000 agents in long poll: the time until a task is in hand, memory, and a client beside slow sockets
    P7,
    /// 64 clients that change one document, and how long the unluckiest waits
    P8,
    /// Time from the kill of a worker to its task in another's hands
    P10,
    /// The journal alone against the disk: single records, and batches of 64 KiB
    J,
}

impl Which {
    const USUAL: [Self; 3] = [Self::P1, Self::P2, Self::P3];

    fn bench(self) -> bench::Bench {
        match self {
            Self::P1 => bench::Bench::P1,
            Self::P2 => bench::Bench::P2,
            Self::P3 => bench::Bench::P3,
            Self::P4 => bench::Bench::P4,
            Self::P5 => bench::Bench::P5,
            Self::P6 => bench::Bench::P6,
            Self::P7 => bench::Bench::P7,
            Self::P8 => bench::Bench::P8,
            Self::P10 => bench::Bench::P10,
            Self::J => bench::Bench::J,
        }
    }
}

/// Open runs in the store of P6.
const OPEN_RUNS: u64 = 10_000;

/// Items of the long run of P4.
const ITEMS: u64 = 10_000;

/// Of them, when it is only to be shown that it works.
const QUICK_ITEMS: u64 = 500;

/// Of both kinds of runs, when it is only to be shown that it works.
const QUICK_RUNS: u64 = 2_000;

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
        let (seconds, closed_runs, open_runs, items) = match self.quick {
            true => (0.25, QUICK_RUNS, QUICK_RUNS, QUICK_ITEMS),
            false => (self.seconds, self.runs, OPEN_RUNS, ITEMS),
        };
        let plan = Plan {
            benches: which.into_iter().map(Which::bench).collect(),
            length: Duration::from_secs_f64(seconds),
            closed_runs,
            open_runs,
            items,
            dir: self.dir,
            program,
        };
        let mut told = Ok(());
        let mut tell = |found: &Found| {
            if told.is_ok() {
                let line = context.output.text(&json_line(found));
                told = line.and_then(|()| context.output.say(found.table().trim_end()));
            }
        };
        bench::run(&plan, &mut tell).map_err(report)?;
        told?;
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
