//! `phisync token`: access for agents and people other than the owner.

use clap::{Args, Subcommand, ValueEnum};
use phisync::protocol::{TokenCreated, TokenList, TokenRequest};

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    Create(Create),
    List(List),
}

/// Make a token. It is printed this once and kept as a hash only.
///
/// An agent's or a person's token carries their name: `phisync token create --role agent --name WEBC`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// What its bearer may do
    #[arg(long, value_enum)]
    role: Role,

    /// The agent's or person's name
    #[arg(long)]
    name: Option<String>,
}

/// List the tokens, without their secrets.
#[derive(Debug, Args)]
pub(super) struct List {}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Takes tasks under its name.
    Agent,
    /// Decides approvals under their name.
    Person,
    /// Reads everything.
    Viewer,
    /// Starts and ends runs.
    Operator,
    /// Everything, tokens included.
    Admin,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Person => "person",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl Token {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Create(command) => command.run(context),
            Self::List(_) => list(context),
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = TokenRequest {
            role: self.role.word().to_owned(),
            name: self.name,
        };
        let created: TokenCreated = context
            .place
            .with_server(None, |api| Ok(api.post(&["v1", "tokens"], &request)?))?;
        context
            .output
            .one(&created, |created| created.token.clone())?;
        context.output.say("keep it: it is not shown again")?;
        Ok(ExitCode::Ok)
    }
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: TokenList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "tokens"], &[])?))?;
    context.output.many(&list, &list.tokens, |tokens| {
        let mut table = Table::new(["ID", "ROLE", "NAME", "CREATED"]);
        for token in tokens {
            table.row([
                token.id.clone(),
                token.role.clone(),
                token.name.clone().unwrap_or_default(),
                token.created_at.clone(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}
