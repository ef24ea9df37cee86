//! What a script writes into the outbox, and how it is told to the server.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::client::{CallError, Client};
use crate::protocol::{AskRequest, CompleteRequest, FailRequest, ReleaseRequest, Task};

/// Windows PowerShell writes a byte order mark before what it writes as UTF-8.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The file name of a task's letter, without its ending: an attempt never shares one with another.
pub(super) fn name(task: &Task) -> String {
    format!("{}-{}", task.id, task.attempt)
}

/// One report: `{"output": ...}`, `{"error": {"code", "message", "retryable"}}`, `{"question": "...", "form": ...}` or
/// `{"release": true}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, deserialize_with = "present")]
    output: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    form: Option<Box<RawValue>>,
    #[serde(default)]
    release: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    #[serde(default = "task_failed")]
    code: String,
    message: String,
    #[serde(default)]
    retryable: Option<bool>,
}

/// `null` is a result too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

fn task_failed() -> String {
    "task.failed".to_owned()
}

/// What a script says about its task.
#[derive(Debug)]
pub(super) enum Report {
    Done(Box<RawValue>),
    Failed {
        code: String,
        message: String,
        retryable: Option<bool>,
    },
    Asked {
        question: String,
        form: Option<Box<RawValue>>,
    },
    GivenBack,
}

/// Why a report was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// Nobody knows: the same report goes out again.
    Later,
    /// The claim is over: no report about it has any effect.
    Over(String),
    /// The report is at fault.
    Wrong(String),
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote the script.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written = serde_json::from_slice(without_mark(bytes));
        let written: Written = written.map_err(|error| error.to_string())?;
        let Written {
            output,
            error,
            question,
            form,
            release,
        } = written;
        match (output, error, question, release) {
            (Some(output), None, None, false) => Ok(Self::Done(output)),
            (None, Some(error), None, false) => Ok(Self::Failed {
                code: error.code,
                message: error.message,
                retryable: error.retryable,
            }),
            (None, None, Some(question), false) => Ok(Self::Asked { question, form }),
            (None, None, None, true) => Ok(Self::GivenBack),
            _ => Err(
                "a report has one of `output`, `error`, `question` and `release: true`".to_owned(),
            ),
        }
    }

    pub(super) fn send(self, client: &Client, task: &Task) -> Result<(), Refused> {
        let token = task.token;
        let sent = match self {
            Self::Done(output) => {
                let poll = None;
                let request = CompleteRequest {
                    token,
                    output,
                    poll,
                };
                client.complete(&task.id, &request).map(|_| ())
            }
            Self::Failed {
                code,
                message,
                retryable,
            } => {
                let request = FailRequest {
                    token,
                    code,
                    message,
                    retryable,
                    retry_after_ms: None,
                };
                client.fail(&task.id, &request).map(|_| ())
            }
            Self::Asked { question, form } => {
                let request = AskRequest {
                    token,
                    question,
                    form,
                };
                client.ask(&task.id, &request).map(|_| ())
            }
            Self::GivenBack => {
                let request = ReleaseRequest { token, begun: true };
                client.release(&task.id, &request).map(|_| ())
            }
        };
        sent.map_err(|error| match error {
            error if error.may_retry() => Refused::Later,
            error @ CallError::Stale(_) => Refused::Over(error.to_string()),
            error => Refused::Wrong(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Report;
    use proptest::prelude::*;

    #[test]
    fn a_report_is_one_of_four_things() {
        let parse = |text: &str| Report::parse(text.as_bytes());
        assert!(
            matches!(parse(r#"{"output": null}"#), Ok(Report::Done(output)) if output.get() == "null")
        );
        assert!(matches!(
            parse("\u{feff}{\"release\": true}"),
            Ok(Report::GivenBack)
        ));
        let asked = parse(r#"{"question": "Which one?", "form": {"type": "object"}}"#);
        assert!(matches!(asked, Ok(Report::Asked { form: Some(_), .. })));
        let failed = parse(r#"{"error": {"message": "no"}}"#);
        assert!(matches!(failed, Ok(Report::Failed { code, .. }) if code == "task.failed"));
        for wrong in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"output": 1, "release": true}"#,
            r#"{"output": 1, "question": "Which one?"}"#,
            r#"{"result": 1}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_report_that_is_still_being_written_is_none(cut in 1usize..40) {
            let whole = r#"{"output": {"text": "one two three"}}    "#;
            let part = &whole.as_bytes()[..cut.min(whole.trim_end().len() - 1)];
            prop_assert!(Report::parse(part).is_err());
        }
    }
}
