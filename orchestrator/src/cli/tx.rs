//! `phisync tx`: several files and documents changed as one, outside of any workflow.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use phisync::protocol::{TransactionDetail, TransactionList};
use phisync_state::FileId;
use phisync_state::transaction::{ReaderFault, read};
use phisync_workflows::plain::{PlainYaml, PlainYamlError};
use phisync_workflows::{SourceText, render};
use serde_json::{Value, json};

use super::Context;
use super::definition;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;
use super::writes::Right;

/// What the YAML front end takes; longer files must be JSON.
const YAML_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Tx {
    Apply(Apply),
    Show(Show),
    List(List),
    Revert(Revert),
}

/// Make all changes of a file, or none: docs/transactions.md has the format.
///
/// Ends with 5 if something is not as the file expects; nothing was changed then.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// Transaction in YAML or JSON; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only while this lock is held with this token [default: the lock of the `phisync lock` around]
    #[arg(
        long,
        env = "PHISYNC_LOCK",
        hide_env_values = true,
        value_name = "NAME:TOKEN"
    )]
    under: Option<String>,

    #[command(flatten)]
    right: Right,
}

/// Show a transaction: what it changed, and what strangers had put in its way.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Transaction, or the beginning of its name
    #[arg(value_name = "TX")]
    id: String,
}

/// List transactions.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Take a transaction back, if nobody has worked on what it left.
#[derive(Debug, Args)]
pub(super) struct Revert {
    /// Transaction, or the beginning of its name
    #[arg(value_name = "TX")]
    id: String,
}

impl Tx {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Apply(command) => command.run(context),
            Self::Show(command) => {
                let detail: TransactionDetail = context.place.with_server(None, |api| {
                    Ok(api.get(&["v1", "transactions", &command.id], &[])?)
                })?;
                tell(context, &detail)
            }
            Self::List(_) => list(context),
            Self::Revert(command) => {
                let detail: TransactionDetail = context.place.with_server(None, |api| {
                    let path = ["v1", "transactions", &command.id, "revert"];
                    Ok(api.post(&path, &json!({}))?)
                })?;
                tell(context, &detail)
            }
        }
    }
}

impl Apply {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut transaction = load(&self.file, context)?;
        if let Some(under) = &self.under {
            add_lock(&mut transaction, under)?;
        }
        let act_as = self.right.act_as();
        let detail: TransactionDetail = context.place.with_server(act_as, |api| {
            let api = self.right.on(api)?;
            Ok(api.post(&["v1", "transactions"], &transaction)?)
        })?;
        tell(context, &detail)
    }
}

/// The file as JSON. Whatever is wrong with it is told here, with line and column, before any
/// server is asked.
fn load(path: &Path, context: &Context) -> Result<Value, Report> {
    let source = definition::read(path)?;
    if source.text().len() > YAML_BYTES_MAX {
        return serde_json::from_str(source.text()).map_err(|error| {
            let message = format!("{}: {error}", source.name());
            Report::new(ExitCode::Invalid, message).hint("more than 256 KiB must be JSON")
        });
    }
    let yaml = PlainYaml::read(&source).map_err(|error| not_yaml(&source, error, context))?;
    let value = yaml.to_json();
    // Which roots there are is the server's knowledge: any name stands for the only one here.
    let only = FileId::new("only").ok();
    match read(&value, only.as_ref()) {
        Ok(_) => Ok(value),
        Err(faults) => Err(faulty(&source, &yaml, &faults)),
    }
}

fn not_yaml(source: &SourceText, error: PlainYamlError, context: &Context) -> Report {
    let message = match error {
        PlainYamlError::Text(diagnostics) => {
            let color = context.output.color();
            render::text(source, &diagnostics, color)
        }
        PlainYamlError::Count(count) => {
            format!("{} has {count} documents, not one", source.name())
        }
    };
    Report::new(ExitCode::Invalid, message.trim_end())
}

fn faulty(source: &SourceText, yaml: &PlainYaml, faults: &[ReaderFault]) -> Report {
    let lines = faults.iter().map(|fault| {
        let (line, column) = source.line_column(yaml.place(&fault.pointer).start);
        format!("{}:{line}:{column}: {}", source.name(), fault.message)
    });
    let lines: Vec<String> = lines.collect();
    Report::new(ExitCode::Invalid, lines.join("\n"))
        .hint("docs/transactions.md tells what a transaction looks like")
}

/// Adds a lock to those that the file itself names.
fn add_lock(transaction: &mut Value, under: &str) -> Result<(), Report> {
    let parsed = under.rsplit_once(':').and_then(|(lock, token)| {
        let token: u64 = token.parse().ok()?;
        Some(json!({ "lock": lock, "token": token }))
    });
    let lock = parsed.ok_or_else(|| {
        let message = format!("`{under}` is not NAME:TOKEN");
        Report::new(ExitCode::Usage, message)
    })?;
    if let Some(map) = transaction.as_object_mut() {
        let list = map.entry("under").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(lock);
        }
    }
    Ok(())
}

fn tell(context: &Context, detail: &TransactionDetail) -> Result<ExitCode, Report> {
    context.output.one(detail, table)?;
    for kept in &detail.conflicts {
        context.output.say(format!(
            "`{}` in `{}` was changed by somebody else meanwhile: that content is kept as `{}`",
            kept.path, kept.root, kept.kept
        ))?;
    }
    if let Some(words) = detail
        .detail
        .as_deref()
        .filter(|_| detail.status == "decided")
    {
        context.output.say(format!(
            "it is committed and not on disk everywhere yet: {words}"
        ))?;
    }
    Ok(ExitCode::Ok)
}

fn table(detail: &TransactionDetail) -> String {
    let mut text = format!("{} {}", detail.id, detail.status);
    if let Some(reverts) = &detail.reverts {
        text.push_str(&format!(", takes back {reverts}"));
    }
    if detail.status == "aborted" {
        text.push_str(&format!(": {}", detail.detail.as_deref().unwrap_or("")));
    }
    text.push('\n');
    for file in &detail.files {
        let change = file.change.replace('_', " ");
        text.push_str(&format!("  {change} {}/{}\n", file.root, file.path));
    }
    for document in &detail.documents {
        text.push_str(&format!(
            "  document {}: version {} to {}\n",
            document.name, document.before, document.after
        ));
    }
    text
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: TransactionList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "transactions"], &[])?))?;
    context
        .output
        .many(&list, &list.transactions, |transactions| {
            let mut table = Table::new(["TX", "STATUS", "CHANGES", "BY", "CLOSED", "REASON"]);
            for transaction in transactions {
                table.row([
                    transaction.id.clone(),
                    transaction.status.clone(),
                    transaction.changes.to_string(),
                    transaction.by.clone(),
                    transaction.closed_at.clone().unwrap_or_default(),
                    transaction.reason.clone().unwrap_or_default(),
                ]);
            }
            table
        })?;
    Ok(ExitCode::Ok)
}
