//! `phisync explain CODE`: what a code of the compiler means, with an example of either kind.

use clap::Args;
use phisync_workflows::diagnostic::CATALOGUE;
use phisync_workflows::{Explanation, explain};
use serde::Serialize;

use super::Context;
use super::exit_code::ExitCode;
use super::report::Report;

/// Say what a code of the compiler means, with a wrong and a right example.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync explain PHI205")]
pub(super) struct Explain {
    /// The code, as in error[PHI205]; without it, all codes
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// An explanation as programs read it.
#[derive(Serialize)]
struct Explained {
    code: &'static str,
    subject: &'static str,
    text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<String>,
}

/// A line of the list of codes.
#[derive(Serialize)]
struct Listed {
    code: &'static str,
    subject: &'static str,
}

impl Explain {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let Some(code) = self.code else {
            return list(context);
        };
        let code = code.to_ascii_uppercase();
        let Some(explanation) = explain(&code) else {
            let message = format!("`{code}` is not a code of this version");
            return Err(
                Report::new(ExitCode::NotFound, message).hint("`phisync explain` lists the codes")
            );
        };
        context.output.one(&Explained::from(explanation), words)?;
        Ok(ExitCode::Ok)
    }
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let codes: Vec<Listed> = CATALOGUE
        .iter()
        .map(|info| Listed {
            code: info.code,
            subject: info.subject,
        })
        .collect();
    context.output.many(&codes, &codes, |codes| {
        let mut table = super::output::Table::new(["CODE", "SUBJECT"]);
        for listed in codes {
            table.row([listed.code.to_owned(), listed.subject.to_owned()]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let (wrong, right) = explanation.example.unzip();
        Self {
            code: explanation.code,
            subject: explanation.subject,
            text: explanation.text,
            wrong,
            right,
        }
    }
}

fn words(explained: &Explained) -> String {
    let mut text = format!(
        "{}: {}\n\n{}\n",
        explained.code,
        explained.subject,
        filled(explained.text)
    );
    let examples = [
        ("Wrong", explained.wrong),
        ("Right", explained.right.as_deref()),
    ];
    for (title, example) in examples {
        let Some(example) = example else { continue };
        text.push_str(&format!("\n{title}:\n\n"));
        for line in example.lines() {
            text.push_str(format!("    {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A paragraph in lines of at most 80 characters.
fn filled(paragraph: &str) -> String {
    const WIDTH: usize = 80;
    let mut text = String::with_capacity(paragraph.len());
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}
