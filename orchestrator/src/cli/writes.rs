//! By what right a command writes documents and files: as whom, and under which task.
//!
//! `agent work` tells both to its command in the environment, so that what a command writes that has lost its task is refused,
//! without its doing anything for that.

use clap::Args;

use super::api::Api;
use super::exit_code::ExitCode;
use super::report::Report;

/// See the module.
#[derive(Debug, Args)]
pub(super) struct Right {
    /// Write as this person or agent [default: the agent of the `phisync agent work` around, or the token's own identity]
    #[arg(
        long = "as",
        env = "PHISYNC_AGENT",
        hide_env_values = true,
        value_name = "NAME"
    )]
    act_as: Option<String>,

    /// Only while this token opens this task [default: the task of the `phisync agent work` around]
    #[arg(
        long = "task",
        env = "PHISYNC_TASK",
        hide_env_values = true,
        value_name = "TASK:TOKEN"
    )]
    task: Option<String>,
}

impl Right {
    /// As whom.
    pub(super) fn act_as(&self) -> Option<&str> {
        self.act_as.as_deref()
    }

    /// `api`, for requests by this right.
    pub(super) fn on(&self, api: &Api) -> Result<Api, Report> {
        let Some(text) = self.task.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(api.clone());
        };
        let plain = |task: &str| !task.is_empty() && task.chars().all(|c| c.is_ascii_graphic());
        let parts = text.rsplit_once(':').filter(|(task, _)| plain(task));
        let parts = parts.and_then(|(task, token)| Some((task.to_owned(), token.parse().ok()?)));
        let parts = parts.ok_or_else(|| {
            let message = format!("`{}` is not TASK:TOKEN", text.escape_debug());
            Report::new(ExitCode::Usage, message)
        })?;
        Ok(api.clone().under(Some(parts)))
    }
}
