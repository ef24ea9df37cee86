//! `phisync exec FILE`: one run, here and now.
//!
//! Compile, check the inputs, find the agents; then a server of our own, a worker for each agent, the
//! run, and its events until it is closed. Everything that can be known to be wrong is told before
//! anything is written.

mod answers;
mod follow;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use phisync::protocol::{Failure, StartRequest, Started, WorkflowDetail};
use phisync_agents::worker::Screen;
use phisync_state::env::{Entropy as _, OsEntropy};
use phisync_workflows::Machine;
use serde::Serialize;
use serde_json::value::RawValue;

use super::api::Api;
use super::connection::{self, LOOPBACK};
use super::crew::{self, Crew, Employer, OnFailure};
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::inputs::{self, Inputs};
use super::live::Live;
use super::output::Format;
use super::report::Report;
use super::run::cancel::cancel;
use super::run::{LOG_HEADER, Outcome, outputs_text};
use super::team::Team;
use super::{Context, apply, definition, signals};

use answers::Answers;
use follow::Followed;

/// Run a workflow here and now, with its agents as child processes.
///
/// Opens the data directory for this one run, starts every agent that the workflow needs by its
/// declared command, shows the progress on stderr and the transition log and the outputs on stdout. Ends
/// with 0 if the run completed and with 1 if it failed. Ctrl-C cancels the run; twice ends at once.
///
/// With several files the first is run, and the workflows of the others are those that it can call: they are
/// compiled beside it and registered first, as `phisync apply` does.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync exec workflows/hello.yaml -i name=you")]
pub(super) struct Exec {
    /// The workflow to run, then those that it calls; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    inputs: Inputs,

    /// The team [default: agents.yaml beside the file, else the project's]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,

    /// Name of the run [default: a new one]
    #[arg(long)]
    id: Option<String>,

    #[command(flatten)]
    answers: Answers,
}

/// Everything about a run that was executed, for `-o json`.
#[derive(Serialize)]
struct Record<'a> {
    run: &'a str,
    status: &'a str,
    outputs: Option<&'a RawValue>,
    error: Option<&'a Failure>,
    log: &'a [String],
}

impl Exec {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let main = self.files.first().map_or(Path::new(""), PathBuf::as_path);
        let team = Team::for_workflow(self.agents.as_deref(), main, &context.place)?;
        let catalog = team.as_ref().map(Team::catalog);
        let mut sources = Vec::with_capacity(self.files.len());
        for file in &self.files {
            sources.push(definition::read(file)?);
        }
        let known = match &sources[..] {
            [_] => Vec::new(),
            several => apply::interfaces(several),
        };
        let others = apply::beside(&known, 0);
        let output = &context.output;
        let machine = definition::machine_beside(output, &sources[0], catalog.as_ref(), &others)?;
        let callable = apply::callable(context, &sources, &known, catalog.as_ref())?;
        self.answers.check(&machine)?;
        let inputs = self.inputs.read(Some(&machine))?;
        inputs::bind(&machine, &inputs)?;
        let agents = crew::needed(std::iter::once(&machine).chain(&callable), team.as_ref())?;
        let data = data_directory(context)?;

        let run = self.id.clone().unwrap_or_else(|| fresh_id(&mut OsEntropy));
        let agents_file = team.as_ref().map(|team| team.file.clone());
        let only_run = Some(run.clone());
        let server = connection::start(
            &data,
            LOOPBACK,
            agents_file,
            only_run,
            true,
            data.own_roots()?,
        )?;
        let employer = Employer {
            url: server.url(),
            token: server.admin_token(),
        };
        let api = Api::new(employer.url, Some(employer.token))?;
        let request = StartRequest {
            definition: Some(machine.source().to_owned()),
            inputs,
            id: Some(run),
            ..StartRequest::default()
        };
        let work = Work {
            machine: &machine,
            callable: &callable,
            request: &request,
        };
        let followed = self.supervise(context, &api, &work, |on_failure| {
            let base_dir = team.as_ref().map_or_else(PathBuf::new, Team::base_dir);
            let screen: Screen = Arc::new(std::sync::Mutex::new(std::io::stderr()));
            // A board that is redrawn in place leaves no room for what agents say beside it.
            let screen = (!context.output.live()).then_some(&screen);
            Crew::start(&agents, base_dir, employer, screen, on_failure)
        });
        let stopped = server
            .stop()
            .map_err(|error| Report::new(ExitCode::Stopped, error));
        let followed = followed?;
        stopped?;
        followed.tell(context)
    }

    /// Starts the run and its agents and follows it to its end.
    fn supervise(
        &self,
        context: &Context,
        api: &Api,
        work: &Work<'_>,
        hire: impl FnOnce(&OnFailure) -> Result<Crew, Report>,
    ) -> Result<Ended, Report> {
        let machine = work.machine;
        apply::register(api, work.callable)?;
        let started: Started = api.post(&["v1", "runs"], work.request)?;
        work.tell_older(context, api, &started.id)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let give_up = canceller(api, &started.id);
        signals::on_first({
            let (give_up, interrupted) = (Arc::clone(&give_up), Arc::clone(&interrupted));
            move || {
                interrupted.store(true, Ordering::SeqCst);
                give_up("interrupted");
            }
        })?;
        let undoes = |id: &&str| {
            let index = machine.step_named(id);
            index.is_some_and(|index| machine.undoes(index).is_some())
        };
        let steps = machine.steps().iter().map(|step| step.id.as_str());
        let steps = steps.filter(|id| !undoes(id));
        let live = Live::start(&context.output, &started.id, steps)?;
        let crew = hire(&give_up)?;
        let unwanted = || crew.nudge();
        let followed =
            follow::to_the_end(context, api, &started.id, &live, &self.answers, unwanted);
        live.finish();
        for failure in crew.stop() {
            context.output.say(format!("warning: {failure}"))?;
        }
        let followed = followed?;
        let outcome: Started = api.get(&["v1", "runs", &started.id, "wait"], &[])?;
        Ok(Ended {
            outcome: outcome.into(),
            followed,
            interrupted: interrupted.load(Ordering::SeqCst),
        })
    }
}

/// What is to be run.
struct Work<'a> {
    machine: &'a Machine,
    callable: &'a [Machine],
    request: &'a StartRequest,
}

impl Work<'_> {
    /// Warns of calls that stay with another version than the one that was given: a definition calls what
    /// was chosen when it was first registered, for ever.
    fn tell_older(&self, context: &Context, api: &Api, run: &str) -> Result<(), Report> {
        if self.callable.is_empty() {
            return Ok(());
        }
        let detail: WorkflowDetail = api.get(&["v1", "runs", run, "workflow"], &[])?;
        for (call, chosen) in &detail.calls {
            let name = call.split(' ').next().unwrap_or(call);
            let given = self.callable.iter().filter(|given| given.name() == name);
            let given: Vec<_> = given.map(Machine::version).collect();
            if !given.is_empty() && !given.contains(&chosen.as_str()) {
                context.output.say(format!(
                    "warning: `{}` calls `{name}` {chosen}, as when it was first registered; the file has \
                     {}\n  hint: a change of `{}` makes a definition that calls the newer one",
                    self.machine.name(),
                    given.join(", "),
                    self.machine.name(),
                ))?;
            }
        }
        Ok(())
    }
}

/// A run that is over.
struct Ended {
    outcome: Outcome,
    followed: Followed,
    interrupted: bool,
}

impl Ended {
    /// Prints what is left to print; the exit code is the run's, whoever reads.
    fn tell(self, context: &Context) -> Result<ExitCode, Report> {
        let printed = self.print(context);
        let cancelled = self.outcome.status == "cancelled";
        let verdict = match self.outcome.verdict() {
            Err(_) if self.interrupted && cancelled => {
                let message = format!("the run `{}` was cancelled by a signal", self.outcome.id);
                Err(Report::new(ExitCode::Interrupted, message))
            }
            verdict => verdict,
        };
        let exit = verdict?;
        self.followed.printed.and(printed)?;
        Ok(exit)
    }

    fn print(&self, context: &Context) -> Result<(), Report> {
        let (outcome, log) = (&self.outcome, &self.followed.log);
        match context.output.format() {
            Format::Table => context.output.text(&self.words()),
            Format::Json | Format::Yaml => {
                let record = Record {
                    run: &outcome.id,
                    status: &outcome.status,
                    outputs: outcome.outputs.as_deref(),
                    error: outcome.error.as_ref(),
                    log,
                };
                context.output.one(&record, |_| String::new())
            }
            // The events have been printed one by one.
            Format::Jsonl => Ok(()),
        }
    }

    /// The transition log, then the outputs if there are any.
    fn words(&self) -> String {
        let mut text = format!("{LOG_HEADER}\n");
        for line in &self.followed.log {
            text.push_str(line);
            text.push('\n');
        }
        let outputs = self.outcome.outputs.as_deref().map(outputs_text);
        let outputs = outputs.unwrap_or_default();
        if !outputs.is_empty() {
            text.push_str("\noutputs:\n");
            for line in outputs.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }
}

/// Asks the run to end, from any thread.
fn canceller(api: &Api, run: &str) -> OnFailure {
    let (api, run) = (api.clone(), run.to_owned());
    Arc::new(move |reason| {
        if let Err(error) = cancel(&api, &run, Some(reason.to_owned())) {
            tracing::warn!(%error, run, "the run could not be cancelled");
        }
    })
}

/// The directory to work in, free for us alone.
fn data_directory(context: &Context) -> Result<DataDir, Report> {
    let data = DataDir::find_or_here(context.place.data.as_deref());
    let shown = data.path().display().to_string();
    if connection::running(&data)?.is_some() {
        let message = format!("a server runs on `{shown}`");
        let hint = "`phisync run start` gives it the workflow; `--data` names another directory";
        return Err(Report::new(ExitCode::Locked, message).hint(hint));
    }
    if data.create()? {
        context
            .output
            .say(format!("created {}", Path::new(&shown).display()))?;
    }
    Ok(data)
}

/// A name that nobody has used: 60 random bits in base 32, without letters that look alike.
fn fresh_id(entropy: &mut OsEntropy) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bits = entropy.next_u64();
    let mut id = String::from("x");
    for _ in 0..12 {
        id.push(char::from(DIGITS[usize::from(bits.to_le_bytes()[0] & 31)]));
        bits >>= 5;
    }
    id
}
