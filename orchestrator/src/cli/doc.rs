//! `phisync doc`: shared documents.

mod update;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use phisync::protocol::{DocumentDetail, DocumentList, DocumentWritten};
use serde_json::value::RawValue;

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;
use super::writes::Right;
use update::Update;

/// A write without a condition waits so long at most for others' turns.
const TURNS_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub(super) enum Doc {
    Get(Get),
    Put(Put),
    Update(Update),
    List(List),
}

/// Print what a document holds. `-o json` tells its version too.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Document
    #[arg(value_name = "NAME")]
    name: String,
}

/// Write all of a document: JSON, on standard input unless given. Ends with 5 on a lost race.
#[derive(Debug, Args)]
pub(super) struct Put {
    /// Document
    #[arg(value_name = "NAME")]
    name: String,

    /// File with the content
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Only if it has this version; 0: only if it does not exist
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,

    #[command(flatten)]
    right: Right,
}

/// List documents.
#[derive(Debug, Args)]
pub(super) struct List {}

impl Doc {
    /// Gives the number to end with, which may be a command's.
    pub(super) fn run(self, context: &Context) -> Result<u8, Report> {
        match self {
            Self::Get(get) => {
                let path = ["v1", "documents", &get.name];
                let document: DocumentDetail = context
                    .place
                    .with_server(None, |api| Ok(api.get(&path, &[])?))?;
                let content = |document: &DocumentDetail| document.content.get().to_owned();
                context.output.one(&document, content)?;
            }
            Self::Put(put) => put.run(context)?,
            Self::Update(update) => return update.run(context),
            Self::List(_) => {
                let list: DocumentList = context
                    .place
                    .with_server(None, |api| Ok(api.get(&["v1", "documents"], &[])?))?;
                context.output.many(&list, &list.documents, |documents| {
                    let mut table = Table::new(["DOCUMENT", "VERSION", "BY", "WRITTEN"]);
                    for document in documents {
                        table.row([
                            document.name.clone(),
                            document.version.to_string(),
                            document.by.clone(),
                            document.at.clone(),
                        ]);
                    }
                    table
                })?;
            }
        }
        Ok(ExitCode::Ok.number())
    }
}

impl Put {
    fn run(self, context: &Context) -> Result<(), Report> {
        let text = match &self.file {
            Some(path) => std::fs::read_to_string(path).map_err(|cause| {
                let message = format!("cannot read `{}`: {cause}", path.display());
                Report::new(ExitCode::NotFound, message)
            })?,
            None => io::read_to_string(io::stdin().lock()).map_err(|cause| {
                let message = format!("cannot read the content: {cause}");
                Report::new(ExitCode::Unusable, message)
            })?,
        };
        // Windows PowerShell writes a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let content = RawValue::from_string(text.trim().to_owned()).map_err(|cause| {
            let message = format!("the content is not JSON: {cause}");
            Report::new(ExitCode::Invalid, message)
        })?;
        let tag = self.if_version.map(|version| match version {
            0 => ("if-none-match", "*".to_owned()),
            version => ("if-match", format!("\"{version}\"")),
        });
        let condition = tag.as_ref().map(|(name, value)| (*name, value.as_str()));
        let condition: Vec<_> = condition.into_iter().collect();
        let path = ["v1", "documents", &self.name];
        let written: DocumentWritten = context.place.with_server(self.right.act_as(), |api| {
            let api = self.right.on(api)?;
            // What relies on nothing waits for others' turns to be over.
            Ok(api.put(&path, &[], &condition, &content, TURNS_WAIT)?)
        })?;
        context.output.one(&written, |written| {
            format!("{}: version {}", written.name, written.version)
        })?;
        Ok(())
    }
}
