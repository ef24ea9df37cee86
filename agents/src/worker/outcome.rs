//! What the end of a child means for its task. Pure.
//!
//! The result is the output file if anything is in it, else the last JSON value on standard output.
//! Exit 0 completes; 75 asks for another attempt later; 76 asks people what `{"question": "..."}` in the
//! result says; anything else failed. A child that fails may say how, with
//! `{"error": {"code": "app.x", "message": "..."}}` as result.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::capture::Captured;
use crate::protocol::FailRequest;

/// Largest result that the server takes, in bytes.
pub const RESULT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest message of a failure, in bytes. With every one of them escaped it still fits a report.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// How much is kept of what a command leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Of the output file, else of the end of standard output: bytes, at most [`RESULT_BYTES_MAX`].
    pub result_bytes: usize,
    /// Of the end of standard error, for the message of a failure: bytes, at most [`MESSAGE_BYTES_MAX`].
    pub stderr_bytes: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            result_bytes: RESULT_BYTES_MAX,
            stderr_bytes: 64 * 1024,
        }
    }
}

/// Exit code of a child that asks for another attempt later.
const EXIT_LATER: i32 = 75;

/// Exit code of a child that asks for a person.
const EXIT_PERSON: i32 = 76;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    #[cfg_attr(
        all(not(unix), not(test)),
        expect(dead_code, reason = "no such end on this system")
    )]
    Signal(i32),
    /// The system did not tell.
    Unknown,
}

/// What was found in the output file.
#[derive(Debug)]
pub(super) enum OutputFile {
    /// No file, or nothing in it.
    Empty,
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It could not be read, or is too large to be.
    Unreadable(String),
}

/// Everything a child left.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) exit: Exit,
    pub(super) file: OutputFile,
    /// The end of standard output.
    pub(super) stdout: Captured,
    /// The end of standard error.
    pub(super) stderr: Captured,
    /// How much there could have been.
    pub(super) limits: OutputLimits,
}

/// What to tell the server about a task.
#[derive(Debug)]
pub(super) enum Report {
    Complete(Box<RawValue>),
    Ask(Question),
    Fail(Failure),
}

/// What a child asks people.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    pub(super) question: String,
    #[serde(default)]
    pub(super) form: Option<Box<RawValue>>,
}

/// An error of a task, apart from the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retryable: Option<bool>,
    pub(super) retry_after_ms: Option<u64>,
}

impl Failure {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: None,
            retry_after_ms: None,
        }
    }

    pub(super) fn request(self, token: u64) -> FailRequest {
        FailRequest {
            token,
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            retry_after_ms: self.retry_after_ms,
        }
    }
}

/// A child's own words about its failure.
#[derive(Deserialize)]
struct Words {
    error: WordsOfError,
}

#[derive(Deserialize)]
struct WordsOfError {
    code: Option<String>,
    message: Option<String>,
    retryable: Option<bool>,
    retry_after_ms: Option<u64>,
}

/// What to report.
pub(super) fn report(ending: &Ending) -> Report {
    let result = result(ending);
    if ending.exit == Exit::Code(0) {
        return match result {
            Ok(output) => Report::Complete(output),
            Err(message) => Report::Fail(Failure::new("task.failed", message)),
        };
    }
    if ending.exit == Exit::Code(EXIT_PERSON)
        && let Ok(result) = &result
        && let Ok(question) = serde_json::from_str(result.get())
    {
        return Report::Ask(question);
    }
    let words = result.ok().and_then(|result| {
        let words: Result<Words, _> = serde_json::from_str(result.get());
        words.ok()
    });
    Report::Fail(failure(ending, words.map(|words| words.error)))
}

/// The failure of a child that did not end with 0.
fn failure(ending: &Ending, words: Option<WordsOfError>) -> Failure {
    let (code, retryable, said) = match ending.exit {
        Exit::Code(EXIT_LATER) => (
            "transient.exit_75",
            Some(true),
            "asks for another attempt later".to_owned(),
        ),
        Exit::Code(EXIT_PERSON) => (
            "agent.rejected",
            Some(false),
            "asks for a person and no question".to_owned(),
        ),
        Exit::Code(code) => ("task.failed", None, format!("ended with exit code {code}")),
        Exit::Signal(signal) => ("task.failed", None, format!("was ended by signal {signal}")),
        Exit::Unknown => ("task.failed", None, "ended in an unknown way".to_owned()),
    };
    let stderr = String::from_utf8_lossy(&ending.stderr.bytes);
    let stderr = stderr.trim();
    let before = if ending.stderr.cut { "..." } else { "" };
    let mut failure = Failure {
        code: code.to_owned(),
        message: format!("the command {said}"),
        retryable,
        retry_after_ms: None,
    };
    if !stderr.is_empty() {
        failure.message = format!("{}: {before}{stderr}", failure.message);
    }
    if let Some(words) = words {
        if let Some(code) = words.code.filter(|code| may_be_raised(code)) {
            failure.code = code;
        }
        failure.message = words.message.map_or(failure.message, cut);
        failure.retryable = words.retryable.or(retryable);
        failure.retry_after_ms = words.retry_after_ms;
    }
    failure
}

/// The beginning of a message: the server takes no report as large as a result.
fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push_str("...");
    }
    message
}

/// Whether a child may raise `code`: what phisync itself finds (`timeout.run`, `agent.lost`, ...) is
/// not its to say.
fn may_be_raised(code: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let family = code.split('.').next();
    code.len() <= 128
        && code.split('.').all(plain)
        && (matches!(family, Some("app" | "transient"))
            || code == "task.failed"
            || code == "agent.rejected")
}

/// The result, or why there is none.
fn result(ending: &Ending) -> Result<Box<RawValue>, String> {
    match &ending.file {
        OutputFile::Empty => {}
        OutputFile::Unreadable(cause) => {
            return Err(format!("the output file cannot be used: {cause}"));
        }
        OutputFile::Bytes(bytes) => {
            let parsed = serde_json::from_slice::<Box<RawValue>>(bytes);
            return parsed.map_err(|cause| format!("the output file is no JSON: {cause}"));
        }
    }
    // A cut tail may begin inside a character, which concerns only what stands before the result.
    let text = String::from_utf8_lossy(&ending.stdout.bytes);
    if text.trim().is_empty() {
        return Err("no result: the output file is empty, and nothing was printed".to_owned());
    }
    let Some(found) = last_json(&text) else {
        return Err(if ending.stdout.cut {
            let kept = ending.limits.result_bytes;
            format!("no result: the last {kept} bytes printed do not end in a JSON value")
        } else {
            "no result: what was printed does not end in a JSON value".to_owned()
        });
    };
    if found.get().contains('\u{fffd}') && std::str::from_utf8(&ending.stdout.bytes).is_err() {
        return Err("no result: what was printed is not UTF-8".to_owned());
    }
    Ok(found)
}

/// The last JSON value that begins a line and ends with its line: from the last line backwards, what
/// stands between that line and the end of the text, else the last line that is a value by itself.
fn last_json(text: &str) -> Option<Box<RawValue>> {
    let text = text.trim_end();
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let starts: Vec<usize> = starts.collect();
    let to_the_end = starts
        .iter()
        .rev()
        .find_map(|start| value(text.get(*start..)?));
    to_the_end.or_else(|| {
        let structured = |line: &&str| line.trim_start().starts_with(['{', '[']);
        text.lines().rev().filter(structured).find_map(value)
    })
}

/// `text` as exactly one JSON value.
fn value(text: &str) -> Option<Box<RawValue>> {
    serde_json::from_str(text.trim()).ok()
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
