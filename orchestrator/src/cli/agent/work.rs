//! `phisync agent work`: working as one of the team.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::{Args, ValueEnum};
use phisync_agents::worker::{
    MESSAGE_BYTES_MAX, Nudge, OutputLimits, RESULT_BYTES_MAX, Screen, StdinForm, StopFlag,
    WorkerConfig,
};

use crate::cli::Context;
use crate::cli::crew::{self, Employer};
use crate::cli::data_dir::DataDir;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::Output;
use crate::cli::report::Report;
use crate::cli::signals::{self, Asked};
use crate::cli::team::Team;

/// Take tasks for an agent and run a command for each, until told to stop.
///
/// Ctrl-C lets what it holds come to its end and takes nothing more; a second one, or a request of the
/// system to terminate, kills the commands and gives their tasks back.
///
/// The command gets the task as JSON on stdin (and in the file PHISYNC_TASK_FILE) and answers with the
/// last JSON on stdout, or in the file PHISYNC_OUTPUT_FILE. Exit 0 completes the task, 75 asks for
/// another attempt later, 76 for a person, anything else fails it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Work {
    /// The agent
    #[arg(long = "as", value_name = "NAME")]
    name: String,

    /// Only tasks that need this; may be repeated [default: all that the agent can do]
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// Look for a task once, do it, and end; with 10 if there was none
    #[arg(long)]
    once: bool,

    /// End as soon as there is no task for it, without waiting for more
    #[arg(long, conflicts_with = "once")]
    drain: bool,

    /// End after so many tasks
    #[arg(long, value_name = "COUNT", conflicts_with = "once", value_parser = clap::value_parser!(u32).range(1..))]
    max_tasks: Option<u32>,

    /// What the command reads on stdin: the task as JSON, or its prompt, input and schema in words
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    stdin: Stdin,

    /// Bytes of a result that are read, at most; the server takes no more than the default
    #[arg(long, value_name = "BYTES", default_value_t = OutputLimits::default().result_bytes, value_parser = result_bytes)]
    result_max: usize,

    /// Bytes at the end of stderr that go into the message of a failure, at most
    #[arg(long, value_name = "BYTES", default_value_t = OutputLimits::default().stderr_bytes, value_parser = stderr_bytes)]
    stderr_max: usize,

    /// Tasks at once [default: as declared, else 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,

    /// The team that says the command, if none is given here [default: the project's]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,

    /// Keep what the command writes to stderr from the terminal
    #[arg(long)]
    quiet: bool,

    /// The command [default: the one declared]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Stdin {
    /// The task as JSON
    #[default]
    Json,
    /// The prompt, then input and schema where there are such
    Prompt,
}

fn bytes(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("not a number from {} to {}", range.start(), range.end()))
}

fn result_bytes(text: &str) -> Result<usize, String> {
    bytes(text, 1..=RESULT_BYTES_MAX)
}

fn stderr_bytes(text: &str) -> Result<usize, String> {
    bytes(text, 0..=MESSAGE_BYTES_MAX)
}

impl From<Stdin> for StdinForm {
    fn from(form: Stdin) -> Self {
        match form {
            Stdin::Json => Self::Json,
            Stdin::Prompt => Self::Prompt,
        }
    }
}

impl Work {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let config = self.config(context)?;
        let (url, token) = context.place.running_server()?;
        let employer = Employer {
            url: &url,
            token: &token,
        };
        let worker = crew::worker(config, employer)?;
        let (drain, stop) = (StopFlag::new(), StopFlag::new());
        listen(context.output, &drain, &stop)?;
        context
            .output
            .say(format!("{} works for {url}", self.name))?;
        let summary = worker.run(&drain, &stop)?;
        context.output.say(format!(
            "{} completed, {} failed, {} given back, {} lost",
            summary.completed,
            summary.failed,
            summary.released,
            summary.lost + summary.unreported
        ))?;
        let asked = drain.is_requested() || stop.is_requested();
        if self.once && summary.claimed() == 0 && !asked {
            return Ok(ExitCode::NoTask);
        }
        Ok(ExitCode::Ok)
    }

    fn config(&self, context: &Context) -> Result<WorkerConfig, Report> {
        let team = self.team(context)?;
        let declared = team
            .as_ref()
            .and_then(|team| team.registry.agent(&self.name));
        let declared_command = declared.and_then(|agent| agent.command.clone());
        let (command, base_dir) = match (self.command.as_slice(), declared_command, &team) {
            ([], Some(command), Some(team)) => (command, team.base_dir()),
            ([], _, _) => {
                let message = format!("there is no command to run as `{}`", self.name);
                let hint = "give one after `--`, or declare it in agents.yaml";
                return Err(Report::new(ExitCode::Usage, message).hint(hint));
            }
            (given, _, _) => (given.to_vec(), PathBuf::from(".")),
        };
        let screen: Screen = Arc::new(Mutex::new(std::io::stderr()));
        Ok(WorkerConfig {
            name: self.name.clone(),
            command,
            base_dir,
            concurrency: self
                .concurrency
                .or(declared.map(|agent| agent.concurrency))
                .unwrap_or(1),
            once: self.once,
            drain: self.drain,
            max_tasks: self.max_tasks,
            stdin: self.stdin.into(),
            limits: OutputLimits {
                result_bytes: self.result_max,
                stderr_bytes: self.stderr_max,
            },
            capabilities: (!self.capabilities.is_empty()).then(|| self.capabilities.clone()),
            screen: (!self.quiet).then_some(screen),
            nudge: Nudge::new(),
            warden: crew::warden(),
        })
    }

    /// The team, where there is one; nobody needs it who gives a command.
    fn team(&self, context: &Context) -> Result<Option<Team>, Report> {
        let file = match (&self.agents, DataDir::find(context.place.data.as_deref())) {
            (Some(file), _) => Some(file.clone()),
            (None, Ok(data)) => data.agents_file()?,
            (None, Err(_)) => None,
        };
        Ok(file.map(|file| Team::load(&file)).transpose()?)
    }
}

/// The first Ctrl-C drains, the next request stops, one more ends the process.
fn listen(output: Output, drain: &StopFlag, stop: &StopFlag) -> Result<(), Report> {
    let (drain, stop) = (drain.clone(), stop.clone());
    signals::on_each(move |asked| {
        if stop.is_requested() {
            return false;
        }
        if asked == Asked::Interrupt && !drain.is_requested() {
            drain.request();
            let words = "ends what it holds; once more gives it back at once";
            // Nobody is left to be told when stderr is gone.
            output.say(words).ok();
        } else {
            stop.request();
        }
        true
    })
}
