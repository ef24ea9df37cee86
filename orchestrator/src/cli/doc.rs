//! `phisync doc`: shared documents. Transactions change them.

use clap::{Args, Subcommand};
use phisync::protocol::{DocumentDetail, DocumentList};

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Doc {
    Get(Get),
    List(List),
}

/// Print what a document holds. `-o json` tells its version too.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Document
    #[arg(value_name = "NAME")]
    name: String,
}

/// List documents.
#[derive(Debug, Args)]
pub(super) struct List {}

impl Doc {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Get(get) => {
                let path = ["v1", "documents", &get.name];
                let document: DocumentDetail = context
                    .place
                    .with_server(None, |api| Ok(api.get(&path, &[])?))?;
                let content = |document: &DocumentDetail| document.content.get().to_owned();
                context.output.one(&document, content)?;
            }
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
        Ok(ExitCode::Ok)
    }
}
