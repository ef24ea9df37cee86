//! How a command ends that could not do its work: an exit code, what went wrong, what to do.
//!
//! Every error of this crate becomes a report exactly once, at the edge of a command; `print` is the
//! only place that words errors for people.

use std::io::{self, Write};

use super::exit_code::ExitCode;
use super::output::harmless;

/// An ending other than success.
#[derive(Debug)]
pub(crate) struct Report {
    exit: ExitCode,
    /// Nothing is said without it: whoever failed has said everything already.
    message: Option<String>,
    hint: Option<String>,
}

impl Report {
    /// Ends with `exit` and says `error: message`.
    pub(crate) fn new(exit: ExitCode, message: impl ToString) -> Self {
        Self {
            exit,
            message: Some(message.to_string()),
            hint: None,
        }
    }

    /// Ends with `exit` and says nothing more.
    pub(crate) fn silent(exit: ExitCode) -> Self {
        Self {
            exit,
            message: None,
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, if anything is known.
    pub(crate) fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> ExitCode {
        self.exit
    }

    /// What went wrong, for use inside another sentence.
    pub(crate) fn words(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Says it: `error: ...`, then `hint: ...`.
    pub(crate) fn print(&self, stderr: &mut dyn Write, color: bool) -> io::Result<()> {
        let (error, hint) = if color {
            ("\u{1b}[1;31merror\u{1b}[0m", "\u{1b}[1;36mhint\u{1b}[0m")
        } else {
            ("error", "hint")
        };
        if let Some(message) = &self.message {
            writeln!(stderr, "{error}: {}", harmless(message))?;
        }
        if let Some(text) = &self.hint {
            writeln!(stderr, "{hint}: {}", harmless(text))?;
        }
        stderr.flush()
    }
}

impl From<io::Error> for Report {
    /// An error of our own output. A reader that went away (`phisync ... | head`) wants no more, and
    /// that is no error.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::silent(ExitCode::Ok)
        } else {
            Self::new(
                ExitCode::Unusable,
                format!("cannot write the output: {error}"),
            )
        }
    }
}

/// What the system says, in words that are the same on every system where that is possible.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}
