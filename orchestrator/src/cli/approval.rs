//! `phisync approval`: what runs ask people, and the answers.

use clap::{Args, Subcommand};
use phisync::protocol::{ApprovalList, ApprovalSummary, Asks, DecideRequest};
use serde_json::value::RawValue;

use super::Context;
use super::api::Api;
use super::exit_code::ExitCode;
use super::output::{Table, one_line, yaml};
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Approval {
    List(List),
    Show(Show),
    /// Say yes to what is shown
    Approve(Decide),
    /// Say no to what is shown
    Reject(Decide),
    /// Answer the question of an agent, or give another of the answers that an approval has
    Answer(Other),
}

/// List what waits for a decision, the next to expire first.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Show what is asked, by whom, and who may answer until when.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Approval or question, as RUN.STEP
    #[arg(value_name = "APPROVAL")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// Approval, as RUN.STEP
    #[arg(value_name = "APPROVAL")]
    id: String,

    /// Decide as this person or agent [default: the token's own identity]
    #[arg(long = "as", value_name = "NAME")]
    act_as: Option<String>,

    /// Why, for those who look at the run later
    #[arg(long)]
    comment: Option<String>,

    /// The data that the approval's form asks for, as JSON
    #[arg(long, value_name = "JSON")]
    form: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Other {
    #[command(flatten)]
    decide: Decide,

    /// The answer in words
    #[arg(long, value_name = "TEXT", conflicts_with = "comment")]
    text: Option<String>,

    /// One of the approval's options; a question has this one alone
    #[arg(long, value_name = "NAME", default_value = "answer")]
    option: String,
}

impl Approval {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::List(_) => list(context),
            Self::Approve(decide) => decide.run(context, "approve"),
            Self::Reject(decide) => decide.run(context, "reject"),
            Self::Show(show) => show.run(context),
            Self::Answer(Other {
                mut decide,
                text,
                option,
            }) => {
                decide.comment = text.or(decide.comment);
                decide.run(context, &option)
            }
        }
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let path = ["v1", "approvals", &self.id];
        let approval: ApprovalSummary = context
            .place
            .with_server(None, |api| Ok(api.get(&path, &[])?))?;
        context.output.one(&approval, |approval| {
            let mut text = format!("{}: {}\n", approval.id, approval.status);
            text.push_str(&about(approval));
            if let Some(form) = &approval.form {
                text.push_str(&format!("form: {form}\n"));
            }
            let (from, until) = (deciders(approval), &approval.deadline);
            text.push_str(&format!("asks {from} until {until}"));
            text
        })?;
        Ok(ExitCode::Ok)
    }
}

impl Decide {
    fn run(self, context: &Context, decision: &str) -> Result<ExitCode, Report> {
        let act_as = self.act_as.as_deref();
        let form = self.form.as_deref().map(read_form).transpose()?;
        let answer = context.place.with_server(act_as, |api| {
            let request = |shown_hash| DecideRequest {
                decision: decision.to_owned(),
                shown_hash,
                comment: self.comment.clone(),
                form: form.clone(),
            };
            let open: ApprovalList = api.get(&["v1", "approvals"], &[])?;
            let Some(shown) = find(&open.approvals, &self.id) else {
                // The server says better than we could why there is nothing to decide.
                return send(api, &self.id, &request(None));
            };
            context.output.say(about(shown).trim_end())?;
            send(api, &shown.id, &request(Some(shown.shown_hash.clone())))
        })?;
        context.output.one(&answer, |answer| {
            format!("{}: {}", answer.id, past(decision))
        })?;
        Ok(ExitCode::Ok)
    }
}

fn past(decision: &str) -> &str {
    match decision {
        "approve" => "approved",
        "reject" => "rejected",
        "answer" => "answered",
        option => option,
    }
}

fn read_form(text: &str) -> Result<Box<RawValue>, Report> {
    serde_json::from_str(text).map_err(|cause| {
        Report::new(ExitCode::Usage, format!("`--form` is not JSON: {cause}"))
            .hint("write it as one argument: --form '{\"reason\":\"checked\"}'")
    })
}

/// The approval called `id`, or the only one whose run's name begins as `id` does.
fn find<'a>(open: &'a [ApprovalSummary], id: &str) -> Option<&'a ApprovalSummary> {
    let exact = open.iter().find(|approval| approval.id == id);
    let (run, step) = id.split_once('.')?;
    let mut alike = open
        .iter()
        .filter(|approval| approval.step == step && approval.run.starts_with(run));
    exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

/// Tells the server an answer.
///
/// # Errors
/// When the server refuses it, or cannot be reached.
pub(super) fn send(
    api: &Api,
    id: &str,
    request: &DecideRequest,
) -> Result<ApprovalSummary, Report> {
    Ok(api.post(&["v1", "approvals", id, "decide"], request)?)
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: ApprovalList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "approvals"], &[])?))?;
    context.output.many(&list, &list.approvals, |approvals| {
        let mut table = Table::new(["APPROVAL", "ASKED", "BY WHOM", "UNTIL"]);
        for approval in approvals {
            table.row([
                approval.id.clone(),
                approval.prompt.clone().unwrap_or_default(),
                deciders(approval),
                approval.deadline.clone(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}

/// Who may decide, in words.
fn deciders(approval: &ApprovalSummary) -> String {
    let names = [&approval.roles, &approval.users, &approval.agents];
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    let mut words = match names.as_slice() {
        [] => "any person".to_owned(),
        names => names.join(", "),
    };
    if approval.quorum > 1 {
        let have = approval.approved_by.len();
        words.push_str(&format!(" ({have} of {})", approval.quorum));
    }
    words
}

/// What is decided about: a person must have seen it.
fn about(approval: &ApprovalSummary) -> String {
    let mut text = String::new();
    if let Some(prompt) = &approval.prompt {
        text.push_str(&format!("{}\n", one_line(prompt)));
    }
    if let Some(show) = &approval.show {
        for line in yaml(show).lines() {
            text.push_str(&format!("  {}\n", one_line_kept(line)));
        }
    }
    let usual = ["approve", "reject"];
    if approval.kind == Asks::Question {
        text.push_str(&format!("asked by {}\n", approval.excluded.join(", ")));
    } else if !approval.options.is_empty() && approval.options != usual {
        text.push_str(&format!("answers: {}\n", approval.options.join(", ")));
    }
    text
}

/// A line as it is, indentation included, without what a terminal would obey.
fn one_line_kept(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}
