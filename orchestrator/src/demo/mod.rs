//! The five demonstration agents: DC, VSSC, KALIC, WEBC and CMDC audit a source tree together.
//!
//! An agent reads one task, does its work on the files below `input.root` and answers with one JSON
//! object. The same tree gives the same bytes: everything is sorted, and neither times nor absolute
//! paths appear. Nothing here knows the server or the engine; the agents get what anybody's agent
//! gets, a task on stdin, and no more.

mod cmdc;
mod dc;
mod kalic;
mod language;
mod markdown;
mod report;
mod secrets;
mod source;
mod tree;
mod vssc;
mod webc;

use std::fmt;
use std::io::Write;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Exit code of an ordinary failure.
const EXIT_FAILED: u8 = 1;
/// Exit code that asks for another attempt, as in sysexits' `EX_TEMPFAIL`.
const EXIT_TRY_LATER: u8 = 75;

/// Why an agent did not do its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A code below `app` or `transient`, which retry policies and `on_failure` see.
    pub code: &'static str,
    /// What went wrong: a lower-case fragment.
    pub message: String,
    /// The process's exit code: 75 where another attempt may succeed, else 1.
    pub exit: u8,
}

impl Failure {
    /// A failure that another attempt would repeat.
    fn lasting(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            exit: EXIT_FAILED,
        }
    }

    /// A failure that may be gone at the next attempt.
    fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            exit: EXIT_TRY_LATER,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// What the agents read of a task; its other fields are not their business.
#[derive(Debug, Deserialize)]
struct Task {
    run: String,
    #[serde(rename = "type")]
    task_type: String,
    #[serde(default)]
    input: Value,
}

impl Task {
    /// The input, in the shape that the task type wants.
    fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.input.clone()).map_err(|error| {
            Failure::lasting(
                "app.bad_input",
                format!("the input of `{}` is wrong: {error}", self.task_type),
            )
        })
    }
}

/// Does one task as the agent called `agent` (case does not matter) and writes the result to `out`,
/// one JSON object on one line.
///
/// # Errors
/// An unknown agent or task type, a task that is not JSON, an input of the wrong shape, and whatever
/// kept the agent from its work. Nothing was written to `out` then, unless writing itself failed.
pub fn run(agent: &str, task_json: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let task: Task = serde_json::from_str(task_json).map_err(|error| {
        Failure::lasting("app.bad_task", format!("the task is not readable: {error}"))
    })?;
    let result = match (agent.to_ascii_lowercase().as_str(), task.task_type.as_str()) {
        ("dc", "audit.plan") => answer(dc::plan(task.input()?))?,
        ("vssc", "audit.measure") => answer(vssc::measure(task.input()?))?,
        ("vssc", "audit.settle") => answer(vssc::settle(task.input()?))?,
        ("kalic", "audit.security") => answer(kalic::security(task.input()?))?,
        ("kalic", "audit.triage") => answer(kalic::triage(task.input()?))?,
        ("webc", "audit.links") => answer(webc::links(task.input()?))?,
        ("cmdc", "audit.report") => answer(cmdc::report(&task.run, &task.input()?))?,
        ("cmdc", "audit.unreport") => answer(cmdc::unreport(&task.input()?))?,
        ("dc" | "vssc" | "kalic" | "webc" | "cmdc", other) => {
            return Err(Failure::lasting(
                "app.unknown_task",
                format!("`{agent}` does not do tasks of type `{other}`"),
            ));
        }
        (other, _) => {
            return Err(Failure::lasting(
                "app.unknown_agent",
                format!(
                    "there is no demonstration agent `{other}`: one of dc, vssc, kalic, webc, cmdc"
                ),
            ));
        }
    };
    writeln!(out, "{result}").map_err(|error| {
        Failure::passing("transient.output", format!("writing the result: {error}"))
    })
}

fn answer<T: Serialize>(result: Result<T, Failure>) -> Result<Value, Failure> {
    let result = result?;
    Ok(
        serde_json::to_value(result)
            .expect("results hold only strings, numbers, lists and structs"),
    )
}

/// The input of the agents that only look at a tree.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    root: String,
}

/// How serious a finding is. The order is the order of reports: worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

/// One thing found at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Finding {
    severity: Severity,
    path: String,
    /// From 1; 0 where the whole file or directory is meant.
    line: u64,
    rule: String,
    message: String,
}

impl Finding {
    fn new(
        severity: Severity,
        rule: &str,
        path: &str,
        line: u64,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            path: path.into(),
            line,
            rule: rule.into(),
            message: message.into(),
        }
    }
}

/// How many findings a result lists. Its totals count all of them.
const FINDINGS_LISTED_MAX: usize = 200;

/// Worst first, then by place; cut to [`FINDINGS_LISTED_MAX`]. Returns how many were cut.
fn list(findings: &mut Vec<Finding>) -> usize {
    findings.sort();
    let omitted = findings.len().saturating_sub(FINDINGS_LISTED_MAX);
    findings.truncate(FINDINGS_LISTED_MAX);
    omitted
}

#[cfg(test)]
mod tests;
