//! By what right a caller writes documents and files, as headers of its request.
//!
//! `Phisync-Turn` names turns that it has at documents; `Phisync-Task` and `Phisync-Task-Token` the task under which it
//! writes. What they claim is checked where the change is decided.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::coordinator::{TaskClaim, Writer};
use crate::identity::{Caller, Role};

use super::App;
use super::about::{About, Part};
use super::problem::Problem;

/// The turns that the caller has.
pub(super) const TURN: &str = "phisync-turn";

/// The task under which the caller writes.
pub(super) const TASK: &str = "phisync-task";

/// The token of its claim of that.
pub(super) const TASK_TOKEN: &str = "phisync-task-token";

/// More turns than one transaction has documents.
const TURNS_MAX: usize = 1000;

/// What the headers claim.
pub(super) struct Right {
    turns: Vec<u64>,
    task: Option<(String, u64)>,
}

impl Right {
    /// Who `caller` is, and by what right it writes.
    ///
    /// # Errors
    /// A task of a caller that is no agent; an agent without one where that is asked for.
    pub(super) fn of(self, caller: &Caller, app: &App) -> Result<Writer, Problem> {
        let task = match self.task {
            Some((task, token)) => {
                let agent = caller.agent()?;
                Some(TaskClaim { agent, task, token })
            }
            None if caller.role == Role::Agent && app.agents_write_under_tasks => {
                let detail = "an agent writes here only under a task that it holds";
                let hint = "send `Phisync-Task` and `Phisync-Task-Token`, as the task came; on the command line \
                            `agent work` does so by itself";
                let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
                return Err(problem.with_hint(hint));
            }
            None => None,
        };
        Ok(Writer {
            by: caller.display().to_owned(),
            turns: self.turns,
            task,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Right {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let numbers = |text: &str| {
            let turns = text.split(',').map(|turn| turn.trim().parse().ok());
            turns.collect::<Option<Vec<u64>>>()
        };
        let turns = match only(&parts.headers, TURN)? {
            Some(text) => numbers(text).filter(|turns| turns.len() <= TURNS_MAX),
            None => Some(Vec::new()),
        };
        let turns =
            turns.ok_or_else(|| bad("`Phisync-Turn` is a number, or several with commas"))?;
        let token = only(&parts.headers, TASK_TOKEN)?.map(str::parse);
        let task = match (only(&parts.headers, TASK)?, token) {
            (None, None) => None,
            (Some(task), Some(Ok(token))) => Some((task.to_owned(), token)),
            _ => {
                let detail = "`Phisync-Task` and `Phisync-Task-Token`, a number, come together";
                return Err(bad(detail));
            }
        };
        Ok(Self { turns, task })
    }
}

impl Part for Right {
    fn describe(about: &mut About) {
        about.headers.extend([TURN, TASK, TASK_TOKEN]);
        about.refusals.extend([400, 403, 404, 409, 410, 422]);
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().ok();
            let text = text.ok_or_else(|| bad(&format!("`{name}` is not plain text")))?;
            Ok(Some(text))
        }
        (Some(_), Some(_)) => Err(bad(&format!("`{name}` is given once"))),
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}
