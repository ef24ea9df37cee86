//! `phisync fmt FILE...`: workflows in their canonical layout.

use std::path::{Path, PathBuf};

use clap::Args;
use phisync_workflows::fmt::{FormatError, format};
use phisync_workflows::{SourceText, render};

use super::exit_code::ExitCode;
use super::report::Report;
use super::{Context, definition};

/// Write workflows in their canonical layout.
///
/// Orders keys, settles indentation and quotation marks, removes ${{ }} around conditions. Comments
/// stay with what they are about, the definition keeps its hash, and a second time changes nothing.
/// JSON is left as it is.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync fmt --check workflows/*.yaml")]
pub(super) struct Fmt {
    /// Workflow files; - is standard input, answered on stdout
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Write nothing; end with 6 if a file would change
    #[arg(long)]
    check: bool,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It is as it should be.
    Fine,
    /// It was changed, or would be.
    Changed,
    /// It cannot be read.
    Unreadable,
}

impl Fmt {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut worst = ExitCode::Ok;
        for file in &self.files {
            let ended = self.one(context, file)?;
            if ended == Ended::Unreadable || (self.check && ended == Ended::Changed) {
                worst = ExitCode::Invalid;
            }
        }
        Ok(worst)
    }

    fn one(&self, context: &Context, file: &Path) -> Result<Ended, Report> {
        let source = definition::read(file)?;
        let text = match format(&source) {
            Ok(text) => text,
            Err(FormatError::Unreadable(found)) => {
                let shown = render::text(&source, &found, context.output.color());
                context.output.say_painted(shown.trim_end())?;
                return Ok(Ended::Unreadable);
            }
            Err(error @ FormatError::Kept) => {
                context.output.say(format!("{}: {error}", source.name()))?;
                source.text().to_owned()
            }
        };
        let ended = if text == source.text() {
            Ended::Fine
        } else {
            Ended::Changed
        };
        self.hand_out(context, file, &source, &text, ended)?;
        Ok(ended)
    }

    fn hand_out(
        &self,
        context: &Context,
        file: &Path,
        source: &SourceText,
        text: &str,
        ended: Ended,
    ) -> Result<(), Report> {
        if self.check {
            if ended == Ended::Changed {
                let message = format!("{} has another layout", source.name());
                context.output.say(message)?;
            }
            return Ok(());
        }
        if definition::is_stdin(file) {
            return context.output.text_painted(text);
        }
        if ended == Ended::Changed {
            definition::replace(file, text)?;
            context.output.say(format!("{} laid out", source.name()))?;
        }
        Ok(())
    }
}
