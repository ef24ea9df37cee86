//! `phisync token`: access for agents and people other than the owner.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use phisync::protocol::{TokenCreated, TokenList, TokenRequest};
use serde_json::{Value, json};

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;
use super::task::seconds;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    Create(Create),
    List(List),
    Rotate(Rotate),
    Revoke(Revoke),
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

    /// How long it is good for [default: until it is revoked]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    expires_in: Option<Duration>,
}

/// Put a new token in the place of another, at once: the old one is good no more.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The token's public part, as phs_1a2b3c4d
    id: String,
}

/// End a token, at once.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The token's public part, as phs_1a2b3c4d
    id: String,
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
            Self::Rotate(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = TokenRequest {
            role: self.role.word().to_owned(),
            name: self.name,
            expires_in_s: self.expires_in.map(|lifetime| lifetime.as_secs()),
        };
        let created: TokenCreated = context
            .place
            .with_server(None, |api| Ok(api.post(&["v1", "tokens"], &request)?))?;
        show(&created, context)
    }
}

impl Rotate {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let path = ["v1", "tokens", &self.id, "rotate"];
        let created: TokenCreated = context
            .place
            .with_server(None, |api| Ok(api.post(&path, &json!({}))?))?;
        show(&created, context)
    }
}

impl Revoke {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let path = ["v1", "tokens", &self.id, "revoke"];
        let _nothing: Option<Value> = context.place.with_server(None, |api| {
            Ok(api.post_waiting(&path, &json!({}), Duration::ZERO)?)
        })?;
        context.output.say(format!("{} is good no more", self.id))?;
        Ok(ExitCode::Ok)
    }
}

fn show(created: &TokenCreated, context: &Context) -> Result<ExitCode, Report> {
    context
        .output
        .one(created, |created| created.token.clone())?;
    context.output.say("keep it: it is not shown again")?;
    Ok(ExitCode::Ok)
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: TokenList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "tokens"], &[])?))?;
    context.output.many(&list, &list.tokens, |tokens| {
        let mut table = Table::new(["ID", "ROLE", "NAME", "CREATED", "EXPIRES"]);
        for token in tokens {
            table.row([
                token.id.clone(),
                token.role.clone(),
                token.name.clone().unwrap_or_default(),
                token.created_at.clone(),
                token.expires_at.clone().unwrap_or_default(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}
