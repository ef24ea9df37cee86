//! `phisync agent`: the team, and working as one of it. One verb per file.

mod drain;
mod list;
mod register;
mod show;
mod warden;
mod work;

use clap::Subcommand;

use super::Context;
use super::exit_code::ExitCode;
use super::mailbox;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Agent {
    List(list::List),
    Show(show::Show),
    Register(register::Register),
    Remove(register::Remove),
    Drain(drain::Drain),
    Undrain(drain::Undrain),
    Work(work::Work),
    Mailbox(mailbox::Carry),
    #[command(hide = true)]
    Warden(warden::Warden),
}

impl Agent {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Register(command) => command.run(context),
            Self::Remove(command) => command.run(context),
            Self::Drain(command) => command.run(context),
            Self::Undrain(command) => command.run(context),
            Self::Work(command) => command.run(context),
            Self::Mailbox(command) => command.run(context),
            Self::Warden(_) => Ok(warden::Warden::run()),
        }
    }
}
