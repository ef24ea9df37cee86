//! `phisync agent mailbox`: tasks and reports as files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use phisync_agents::client::Client;
use phisync_agents::mailbox::{Mailbox, MailboxError};
use phisync_agents::worker::StopFlag;
use phisync_state::env::{Disk as _, OsClock, OsDisk};

use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::report::Report;
use super::task::seconds;
use super::{Context, crew, signals};

/// Carry tasks and reports between the server and a directory, for scripts that know only files.
///
/// A task is put into inbox/LETTER.json. The script answers by moving its report to outbox/LETTER.json:
/// {"output": ...}, {"error": {"code", "message", "retryable"}} or {"release": true}. A report that is not taken
/// goes to refused/ with the reason beside it. The file inbox/LETTER.stop appears when the result is not
/// wanted any more.
#[derive(Debug, Args)]
pub(super) struct Carry {
    /// The agent
    #[arg(long = "as", value_name = "NAME")]
    name: String,

    /// The directory [default: mailbox/NAME in the data directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Only tasks that need this; may be repeated [default: all that the agent can do]
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// Tasks in the inbox at once
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,

    /// Give a task up when the script does not change inbox/LETTER.alive for this long [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    touch: Option<Duration>,
}

impl Carry {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let (url, token) = context.place.running_server()?;
        let client = Client::new(&url, &token, Some(&self.name));
        let client = client.map_err(|error| Report::new(ExitCode::Usage, error))?;
        let root = match self.dir {
            Some(dir) => dir,
            None => {
                let boxes = DataDir::find(context.place.data.as_deref())?
                    .path()
                    .join("mailbox");
                let made = OsDisk.make_dir(&boxes);
                made.or_else(|error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => Ok(()),
                    _ => Err(error),
                })?;
                boxes.join(self.name.to_lowercase())
            }
        };
        let mailbox = Mailbox {
            root,
            client,
            room: self.concurrency,
            capabilities: (!self.capabilities.is_empty()).then_some(self.capabilities),
            touch: self.touch,
            disk: Arc::new(OsDisk),
            clock: Arc::new(OsClock::new()),
        };
        let stop = StopFlag::new();
        let asked = stop.clone();
        signals::on_first(move || asked.request())?;
        let place = mailbox.root.display();
        context
            .output
            .say(format!("{} gets its mail in {place}", self.name))?;
        let carried = mailbox.carry(&stop).map_err(|error| {
            let exit = match &error {
                MailboxError::Files { .. } => ExitCode::Unusable,
                MailboxError::Refused(cause) => {
                    cause.problem().map_or(ExitCode::NoServer, |problem| {
                        ExitCode::of_status(problem.status)
                    })
                }
            };
            Report::new(exit, crew::chain(&error))
        })?;
        context.output.say(format!(
            "{} delivered, {} reported, {} refused, {} lost",
            carried.delivered, carried.reported, carried.refused, carried.lost
        ))?;
        Ok(ExitCode::Ok)
    }
}
