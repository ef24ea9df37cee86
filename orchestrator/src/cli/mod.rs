//! The command line: noun, then verb; one file per command.
//!
//! Every command that needs the store is a client of the HTTP API (`connection.rs`, `api.rs`);
//! answers go through `output.rs`, errors through `report.rs`. Nothing here decides anything about
//! runs. Start reading at [`Command`].

mod agent;
mod api;
mod apply;
mod approval;
mod bench;
mod check;
mod checkpoint;
mod config;
mod connection;
mod crew;
mod data_dir;
mod definition;
mod demo_agent;
mod diff;
mod doc;
mod doctor;
mod duration;
mod event;
mod exec;
mod exit_code;
mod explain;
mod fmt;
mod graph;
mod incident;
mod init;
mod inputs;
mod live;
mod lock;
mod mailbox;
mod mcp;
mod output;
mod report;
mod run;
mod schedule;
mod schema;
mod serve;
mod signals;
mod snapshot;
mod store;
mod task;
mod team;
mod token;
mod tx;
mod why;
mod workflow;
mod writes;

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Parser, Subcommand};

use crate::telemetry;
use connection::Place;
use exit_code::ExitCode;
use output::{Format, Output};
pub(crate) use report::plain;
pub(crate) use serve::DurabilityMode;

use report::Report;

/// Durable workflows for a team of AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "phisync",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 ok, 1 the run failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, \
                  6 invalid workflow or input, 7 no server, 8 timed out, 10 no task, 70 stopped after \
                  an I/O error, 74 directory not usable, 75 lock held, 76 corruption, 77 behind a \
                  witness, 78 newer format, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    place: Place,

    /// Form of the answer on stdout
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "How",
        value_name = "FORM"
    )]
    output: Format,

    /// What the program tells about itself on stderr: error, warn, info, debug, trace or off
    #[arg(
        long,
        global = true,
        env = "PHISYNC_LOG",
        hide_env_values = true,
        help_heading = "How",
        value_name = "LEVEL"
    )]
    log: Option<String>,
}

// The help of a command that is a struct stands there: a doc line here would hide it.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Exec(exec::Exec),
    Serve(serve::Serve),
    Check(check::Check),
    Explain(explain::Explain),
    Fmt(fmt::Fmt),
    Diff(diff::Diff),
    Graph(graph::Graph),
    Schema(schema::Schema),
    Apply(apply::Apply),
    /// See which workflows are registered
    #[command(subcommand)]
    Workflow(workflow::Workflow),
    /// Start, watch and end runs
    #[command(subcommand)]
    Run(run::Run),
    /// Send events
    #[command(subcommand)]
    Event(event::Event),
    /// See when schedules fire, pause them, make up for the past
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    Why(why::Why),
    /// Take tasks and report on them by hand
    #[command(subcommand)]
    Task(task::Task),
    /// See the team, or work as one of it
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Let an assistant work over the Model Context Protocol
    Mcp(mcp::Mcp),
    /// Decide what runs wait for
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Decide about steps that could not be undone
    #[command(subcommand)]
    Incident(incident::Incident),
    /// Change several files and documents as one
    #[command(subcommand)]
    Tx(tx::Tx),
    /// Read shared documents
    #[command(subcommand)]
    Doc(doc::Doc),
    /// Run a command while nobody else has a named lock
    Lock(lock::Lock),
    /// Make and list access tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Take, list and restore snapshots of the store
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Say what is wrong with a data directory, and what to do next
    Doctor(doctor::Doctor),
    /// Look into a data directory without opening it
    #[command(subcommand)]
    Store(store::Store),
    Bench(bench::Bench),
    /// One of the five agents of examples/repo-audit: a task on stdin, its result on stdout
    #[command(hide = true)]
    DemoAgent(demo_agent::DemoAgent),
}

/// What every command gets.
#[derive(Debug)]
struct Context {
    place: Place,
    output: Output,
}

/// Does what `args` ask for and says how it ended: with an [`ExitCode`], or as a command did that ran
/// under a lock.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error).number(),
    };
    let context = Context {
        output: Output::new(cli.output),
        place: cli.place,
    };
    let usual_level = match cli.command {
        // Of its peers' mistakes the protocol's library tells at length; they are told to the peer.
        Command::Serve(_) => "info,rmcp=error",
        _ => "warn,rmcp=error",
    };
    let level = cli.log.as_deref().unwrap_or(usual_level);
    let ended = telemetry::start(level, context.output.color())
        .map_err(|error| Report::new(ExitCode::Usage, error))
        .and_then(|()| dispatch(cli.command, &context));
    match ended {
        Ok(exit) => exit,
        Err(report) => {
            // Nobody is left to be told when stderr itself is gone.
            let said = report.print(&mut std::io::stderr().lock(), context.output.color());
            tracing::trace!(?said, "the report");
            report.exit().number()
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<u8, Report> {
    let ended = match command {
        Command::Init(command) => command.run(context),
        Command::Exec(command) => command.run(context),
        Command::Serve(command) => command.run(context),
        Command::Check(command) => command.run(context),
        Command::Explain(command) => command.run(context),
        Command::Fmt(command) => command.run(context),
        Command::Diff(command) => command.run(context),
        Command::Graph(command) => command.run(context),
        Command::Schema(command) => command.run(context),
        Command::Apply(command) => command.run(context),
        Command::Workflow(command) => command.run(context),
        Command::Run(command) => command.run(context),
        Command::Event(command) => command.run(context),
        Command::Schedule(command) => command.run(context),
        Command::Why(command) => command.run(context),
        Command::Task(command) => command.run(context),
        Command::Agent(command) => command.run(context),
        Command::Mcp(command) => command.run(context),
        Command::Approval(command) => command.run(context),
        Command::Incident(command) => command.run(context),
        Command::Tx(command) => command.run(context),
        Command::Doc(command) => return command.run(context),
        Command::Lock(command) => return command.run(context),
        Command::Token(command) => command.run(context),
        Command::Snapshot(command) => command.run(context),
        Command::Doctor(command) => command.run(context),
        Command::Store(command) => command.run(context),
        Command::Bench(command) => command.run(context),
        Command::DemoAgent(command) => command.run(context),
    };
    ended.map(ExitCode::number)
}

/// Prints help, the version, or what is wrong with the command line.
fn usage(error: &clap::Error) -> ExitCode {
    let exit = if error.use_stderr() {
        ExitCode::Usage
    } else {
        ExitCode::Ok
    };
    let said = error.print().and_then(|()| std::io::stdout().flush());
    match said {
        Ok(()) => exit,
        Err(error) => Report::from(error).exit(),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
