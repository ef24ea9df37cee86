//! `phisync task`: what an agent does, by hand or from a script.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use phisync::protocol::TaskDetail;
use phisync_agents::protocol::{
    AskRequest, AskResponse, CompleteManyRequest, CompleteManyResponse, CompleteRequest,
    CompleteResponse, FailRequest, HeartbeatRequest, HeartbeatResponse, PollRequest, PollResponse,
    SeqResponse, Task as Claimed,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Context;
use super::exit_code::ExitCode;
use super::output::{Table, one_line, yaml};
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    Poll(Poll),
    Show(Show),
    Heartbeat(Heartbeat),
    Complete(Complete),
    CompleteAll(CompleteAll),
    Ask(Ask),
    Fail(Fail),
}

/// Take tasks. Ends with 10 if there are none.
///
/// Use -o json to get all of a task, its input included.
#[derive(Debug, Args)]
pub(super) struct Poll {
    #[command(flatten)]
    who: Who,

    /// Only tasks that need this; may be repeated [default: all that the agent can do]
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// Most tasks to take
    #[arg(long, value_name = "COUNT")]
    max: Option<u32>,

    /// Wait this long for a task
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
}

/// Say that a task is still worked on, so that nobody else gets it.
#[derive(Debug, Args)]
pub(super) struct Heartbeat {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    claim: Claim,

    /// How far the work is, as JSON of at most 4096 bytes
    #[arg(long, value_name = "JSON", value_parser = json)]
    progress: Option<Value>,
}

/// Report the result of a task: JSON, on standard input unless given.
#[derive(Debug, Args)]
pub(super) struct Complete {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    claim: Claim,

    /// The result
    #[arg(long, value_name = "JSON", conflicts_with = "result_file")]
    result: Option<String>,

    /// File with the result
    #[arg(long, value_name = "FILE")]
    result_file: Option<PathBuf>,
}

/// Report many results at once: JSON lines {"task", "token", "output"} on standard input, 64 at most.
///
/// Each has its own answer, and what is accepted is one record. Ends with 5 if one was refused.
#[derive(Debug, Args)]
pub(super) struct CompleteAll {
    #[command(flatten)]
    who: Who,
}

/// Ask people, and give the task up until somebody has answered.
///
/// The question stands in `approval list`. With the answer the task is offered again, to the same agent
/// first, and its handoff holds the answer.
#[derive(Debug, Args)]
pub(super) struct Ask {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    claim: Claim,

    /// What is asked
    #[arg(long, value_name = "TEXT")]
    question: String,

    /// JSON schema of the data that the answer has to carry [default: an answer is words]
    #[arg(long, value_name = "JSON", value_parser = json)]
    form: Option<Value>,
}

/// Show a task: who holds it, how far it is, what it waits for, what was left behind.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Task, as RUN.STEP
    task: String,
}

/// Report that a task could not be done.
#[derive(Debug, Args)]
pub(super) struct Fail {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    claim: Claim,

    /// What went wrong, such as app.no_such_page or transient.network
    #[arg(long, default_value = "task.failed")]
    code: String,

    /// What went wrong, for people
    #[arg(long)]
    message: String,

    /// Whether another attempt could help [default: the code decides]
    #[arg(long, value_name = "BOOL")]
    retryable: Option<bool>,

    /// No other attempt before this long from now
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    retry_after: Option<Duration>,
}

#[derive(Debug, Args)]
struct Who {
    /// Act as this agent [default: the token's own identity]
    #[arg(long = "as", value_name = "NAME")]
    act_as: Option<String>,
}

#[derive(Debug, Args)]
struct Claim {
    /// Task, as RUN.STEP
    task: String,

    /// Fencing token of the claim, as the poll gave it
    #[arg(long, value_name = "NUMBER")]
    token: u64,
}

impl Task {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Poll(command) => command.run(context),
            Self::Heartbeat(command) => command.run(context),
            Self::Complete(command) => command.run(context),
            Self::CompleteAll(command) => command.run(context),
            Self::Ask(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Fail(command) => command.run(context),
        }
    }
}

impl Poll {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let wait = self.wait.unwrap_or_default();
        let capabilities = (!self.capabilities.is_empty()).then_some(self.capabilities);
        let request = PollRequest {
            capabilities,
            max: self.max,
            wait_s: self.wait.map(|wait| wait.as_secs_f64()),
        };
        let answer = self.who.call(context, |api| {
            Ok(api.post_waiting(&["v1", "tasks", "poll"], &request, wait)?)
        })?;
        let tasks = answer.map_or_else(Vec::new, |PollResponse { tasks }| tasks);
        if tasks.is_empty() {
            context.output.say("no task")?;
            return Ok(ExitCode::NoTask);
        }
        context.output.many(&tasks, &tasks, table)?;
        Ok(ExitCode::Ok)
    }
}

impl Heartbeat {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = HeartbeatRequest {
            token: self.claim.token,
            progress: self.progress,
        };
        let answer: HeartbeatResponse = self.who.call(context, |api| {
            Ok(api.post(&["v1", "tasks", &self.claim.task, "heartbeat"], &request)?)
        })?;
        context.output.one(&answer, |answer| {
            if answer.cancel_requested {
                "the work is no longer wanted: stop, and fail the task with code `cancelled`"
                    .to_owned()
            } else {
                format!("held until {}", answer.lease_expires_at)
            }
        })?;
        Ok(ExitCode::Ok)
    }
}

impl Complete {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let text = match (&self.result, &self.result_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|cause| {
                let message = format!("cannot read `{}`: {cause}", path.display());
                Report::new(ExitCode::NotFound, message)
            })?,
            (None, None) => io::read_to_string(io::stdin().lock()).map_err(|cause| {
                Report::new(
                    ExitCode::Unusable,
                    format!("cannot read the result: {cause}"),
                )
            })?,
        };
        let output = RawValue::from_string(text.trim().to_owned()).map_err(|cause| {
            Report::new(
                ExitCode::Invalid,
                format!("the result is not JSON: {cause}"),
            )
            .hint("a text is JSON only in quotes: --result '\"done\"'")
        })?;
        let request = CompleteRequest {
            token: self.claim.token,
            output,
            poll: None,
        };
        let answer: CompleteResponse = self.who.call(context, |api| {
            Ok(api.post(&["v1", "tasks", &self.claim.task, "complete"], &request)?)
        })?;
        context
            .output
            .one(&answer, |_| format!("{}: completed", self.claim.task))?;
        Ok(ExitCode::Ok)
    }
}

impl CompleteAll {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let text = io::read_to_string(io::stdin().lock()).map_err(|cause| {
            let message = format!("cannot read the results: {cause}");
            Report::new(ExitCode::Unusable, message)
        })?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let results = lines.zip(1..).map(|(line, number)| {
            serde_json::from_str(line).map_err(|cause| {
                let message = format!("line {number} is no result: {cause}");
                Report::new(ExitCode::Invalid, message)
            })
        });
        let request = CompleteManyRequest {
            results: results.collect::<Result<_, _>>()?,
            poll: None,
        };
        let answer: CompleteManyResponse = self.who.call(context, |api| {
            Ok(api.post(&["v1", "tasks", "complete"], &request)?)
        })?;
        context.output.many(&answer, &answer.results, |results| {
            let mut table = Table::new(["TASK", "ACCEPTED", "WHY NOT"]);
            for result in results {
                let problem = result.problem.as_ref();
                let why = problem.map(|problem| format!("{}: {}", problem.code, problem.detail));
                table.row([
                    result.task.clone(),
                    if result.accepted { "yes" } else { "no" }.to_owned(),
                    why.unwrap_or_default(),
                ]);
            }
            table
        })?;
        Ok(match answer.results.iter().all(|result| result.accepted) {
            true => ExitCode::Ok,
            false => ExitCode::Conflict,
        })
    }
}

impl Ask {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let form = self.form.as_ref().map(serde_json::value::to_raw_value);
        let form = form.transpose().map_err(|cause| {
            Report::new(ExitCode::Usage, format!("`--form` cannot be sent: {cause}"))
        })?;
        let request = AskRequest {
            token: self.claim.token,
            question: self.question,
            form,
        };
        let answer: AskResponse = self.who.call(context, |api| {
            Ok(api.post(&["v1", "tasks", &self.claim.task, "ask"], &request)?)
        })?;
        context.output.one(&answer, |answer| {
            format!(
                "{}: waits for an answer until {}",
                answer.question, answer.deadline
            )
        })?;
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let path = ["v1", "tasks", &self.task];
        let task: TaskDetail = context
            .place
            .with_server(None, |api| Ok(api.get(&path, &[])?))?;
        context.output.one(&task, about)?;
        Ok(ExitCode::Ok)
    }
}

/// A task in lines.
fn about(task: &TaskDetail) -> String {
    let holder = task.agent.as_deref().map_or_else(String::new, |agent| {
        format!(", attempt {} by {agent}", task.attempt)
    });
    let mut lines = vec![format!("{}: {}{holder}", task.id, task.status)];
    if let Some(waits) = &task.waits_for {
        let until = task.until.as_deref();
        let until = until.map_or_else(String::new, |until| format!(" (until {until})"));
        lines.push(format!("  waits for {}{until}", one_line(waits)));
    }
    if let Some(progress) = &task.progress {
        let still = Duration::from_millis(progress.still_ms).as_secs();
        let value = one_line(&progress.value.to_string());
        lines.push(format!("  progress {value}, the same for {still}s"));
    }
    for asked in &task.questions {
        let question = one_line(&asked.question);
        lines.push(format!("  {} asked: {question}", asked.by));
        if let Some(by) = &asked.answered_by {
            let words = asked.answer.clone().unwrap_or_default();
            let form = asked.form.as_ref();
            let form = form.map_or_else(String::new, |form| format!(" {form}"));
            lines.push(format!("  {by} answered: {}{form}", one_line(&words)));
        }
    }
    if let Some(handoff) = &task.handoff {
        lines.push("  handoff".to_owned());
        let text = yaml(handoff);
        lines.extend(text.lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

impl Fail {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let request = FailRequest {
            token: self.claim.token,
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            retry_after_ms: self.retry_after.map(millis),
        };
        let answer: SeqResponse = self.who.call(context, |api| {
            Ok(api.post(&["v1", "tasks", &self.claim.task, "fail"], &request)?)
        })?;
        context
            .output
            .one(&answer, |_| format!("{}: failed", self.claim.task))?;
        Ok(ExitCode::Ok)
    }
}

impl Who {
    fn call<T>(
        &self,
        context: &Context,
        work: impl FnOnce(&super::api::Api) -> Result<T, Report>,
    ) -> Result<T, Report> {
        context.place.with_server(self.act_as.as_deref(), work)
    }
}

fn table(tasks: &[Claimed]) -> Table {
    let mut table = Table::new(["TASK", "TYPE", "TRY", "TOKEN", "HELD UNTIL"]);
    for task in tasks {
        table.row([
            task.id.clone(),
            task.task_type.clone(),
            task.attempt.to_string(),
            task.token.to_string(),
            task.lease_expires_at.clone(),
        ]);
    }
    table
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|cause| format!("not JSON: {cause}"))
}

/// Seconds, with a fraction if need be.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|cause| cause.to_string())
}
