//! `phisync snapshot rewind`.

use clap::Args;
use phisync::protocol::{RewindAnswer, RewindRequest, RewoundDocument, RewoundRun};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::{Table, one_line};
use crate::cli::report::Report;

/// Take all runs and documents back to an earlier moment; without --confirm, only say what that would do.
///
/// It is one record, and nothing leaves the journal. Open runs are paused until somebody resumes each; every task
/// that an agent holds is revoked; runs that began later are closed as cancelled; documents get their old contents
/// as new versions. What was done in the world stays done, files included. Schedules that fired, keys, events and
/// registered workflows stay. Sequences, versions and tokens go on upward.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rewind {
    /// Sequence of the store, or a time such as 2026-11-22T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME")]
    to: String,

    /// Why, recorded with every run that goes back
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Do it
    #[arg(long)]
    confirm: bool,
}

impl Rewind {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = RewindRequest {
            to: self.to,
            reason: self.reason,
            confirm: self.confirm,
        };
        let answer: RewindAnswer = context
            .place
            .with_server(None, |api| Ok(api.post(&["v1", "rewind"], &request)?))?;
        context.output.one(&answer, text)?;
        if !answer.done {
            context
                .output
                .say("nothing was changed; with --confirm it is done")?;
        }
        Ok(ExitCode::Ok)
    }
}

fn text(answer: &RewindAnswer) -> String {
    let verb = if answer.done {
        "rewound"
    } else {
        "would rewind"
    };
    let (seq, at) = (answer.seq, &answer.at);
    let mut text = format!("{verb} to sequence {seq}, {at}\n");
    if !answer.runs.is_empty() {
        text.push_str(&format!("\n{}", runs(&answer.runs).render()));
    }
    if !answer.documents.is_empty() {
        text.push_str(&format!("\n{}", documents(&answer.documents).render()));
    }
    if !answer.transactions.is_empty() {
        let transactions = answer.transactions.join(", ");
        text.push_str(&format!(
            "\nfiles stay as these transactions left them: {transactions}\n"
        ));
    }
    text
}

fn runs(runs: &[RewoundRun]) -> Table {
    let mut table = Table::new([
        "RUN",
        "WORKFLOW",
        "NOW",
        "THEN",
        "EVENTS",
        "REVOKED",
        "STAYS DONE",
    ]);
    for run in runs {
        let effects = run.effects.iter().map(|effect| {
            let word = if effect.irreversible {
                " (irreversible)"
            } else {
                ""
            };
            match effect.kind.as_str() {
                "task" => format!("{}{word}", effect.step),
                kind => format!("{} of {}", kind, effect.step),
            }
        });
        let effects: Vec<_> = effects.collect();
        table.row([
            run.run.clone(),
            run.workflow.clone(),
            run.now.clone(),
            run.then.clone(),
            match run.taken_back {
                0 => String::new(),
                count => format!("-{count}"),
            },
            run.revoked.join(", "),
            one_line(&effects.join(", ")),
        ]);
    }
    table
}

fn documents(documents: &[RewoundDocument]) -> Table {
    let mut table = Table::new(["DOCUMENT", "NOW", "THEN"]);
    for document in documents {
        table.row([
            document.name.clone(),
            document.now.to_string(),
            if document.deleted {
                "deleted".to_owned()
            } else {
                document.then.to_string()
            },
        ]);
    }
    table
}
