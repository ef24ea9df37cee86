//! `phisync mcp`: the Model Context Protocol on standard input and output.

use std::io::Write as _;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use phisync::api::mcp::{Answer, Ask, Door, DoorError, Identity, Server};
use phisync::protocol::Me;
use rmcp::ServiceExt as _;
use rmcp::model::Extensions;
use serde_json::{Value, json};

use super::Context;
use super::api::{Api, CallError};
use super::exit_code::ExitCode;
use super::report::Report;

/// Speak the Model Context Protocol on stdin and stdout, for an assistant that starts this as its
/// server.
///
/// With --as the assistant is that agent: it gets the tools to take tasks and report on them. Without it
/// the token's role decides: operators may start and end runs, everybody may look. Needs a running
/// server. Use --config to print what goes into an assistant's settings.
#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// Work as this agent [default: the token's own identity]
    #[arg(long = "as", value_name = "NAME")]
    act_as: Option<String>,

    /// Print the settings that make this assistant start phisync, and end
    #[arg(long, value_enum, value_name = "ASSISTANT")]
    config: Option<Assistant>,
}

/// Assistants whose settings are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Assistant {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
}

impl Assistant {
    /// The file that the settings belong in, and the key above the servers.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::ClaudeCode => (".mcp.json in the project", "mcpServers"),
            Self::ClaudeDesktop => ("claude_desktop_config.json", "mcpServers"),
            Self::Cursor => (".cursor/mcp.json in the project", "mcpServers"),
            Self::Vscode => (".vscode/mcp.json in the project", "servers"),
        }
    }
}

impl Mcp {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        if let Some(assistant) = self.config {
            return self.print_settings(assistant, context);
        }
        let (url, token) = context.place.running_server()?;
        let api = Api::new(&url, Some(&token))?.acting_as(self.act_as.as_deref())?;
        let me: Me = api.get(&["v1", "me"], &[])?;
        let door = Remote {
            api: Arc::new(api),
            identity: Identity {
                role: me.role,
                name: me.name,
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let failed = |error: &dyn std::fmt::Display| {
                Report::new(
                    ExitCode::Usage,
                    format!("the conversation ended badly: {error}"),
                )
            };
            let serving = Server::new(door).serve(rmcp::transport::stdio()).await;
            let serving = serving.map_err(|error| failed(&error))?;
            serving.waiting().await.map_err(|error| failed(&error))?;
            Ok(ExitCode::Ok)
        })
    }

    fn print_settings(&self, assistant: Assistant, context: &Context) -> Result<ExitCode, Report> {
        let (file, key) = assistant.place();
        let mut arguments = vec!["mcp".to_owned()];
        if let Some(name) = &self.act_as {
            arguments.extend(["--as".to_owned(), name.clone()]);
        }
        if let Some(server) = &context.place.server {
            arguments.extend(["--server".to_owned(), server.clone()]);
        } else {
            let data = super::data_dir::DataDir::find(context.place.data.as_deref())?;
            let data = std::path::absolute(data.path())?;
            arguments.extend(["--data".to_owned(), data.display().to_string()]);
        }
        let program = std::env::current_exe()?;
        let entry = json!({ "command": program.display().to_string(), "args": arguments });
        let name = self.act_as.as_ref().map_or_else(
            || "phisync".to_owned(),
            |name| format!("phisync-{}", name.to_lowercase()),
        );
        let settings = json!({ key: { name: entry } });
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &settings).map_err(std::io::Error::from)?;
        writeln!(out)?;
        writeln!(std::io::stderr().lock(), "put this into {file}")?;
        Ok(ExitCode::Ok)
    }
}

/// A running server, over HTTP.
struct Remote {
    api: Arc<Api>,
    identity: Identity,
}

impl Door for Remote {
    fn identity(&self, _context: &Extensions) -> Option<Identity> {
        Some(self.identity.clone())
    }

    async fn ask(&self, ask: Ask, _context: &Extensions) -> Result<Answer, DoorError> {
        let api = Arc::clone(&self.api);
        let asked = tokio::task::spawn_blocking(move || ask_blocking(&api, &ask)).await;
        asked.map_err(|error| DoorError(error.to_string()))?
    }
}

/// A refusal is an answer too; only silence is an error.
fn ask_blocking(api: &Api, ask: &Ask) -> Result<Answer, DoorError> {
    let path: Vec<&str> = std::iter::once("v1")
        .chain(ask.path.iter().map(String::as_str))
        .collect();
    let query: Vec<_> = ask
        .query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answered = match &ask.body {
        Some(body) if ask.method == "PUT" => {
            let headers = ask.headers.iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            api.put::<_, Value>(&path, &query, &headers, body, ask.wait)
                .map(Some)
        }
        Some(body) => api.post_waiting::<_, Value>(&path, body, ask.wait),
        None => api.get_waiting::<Value>(&path, &query, ask.wait).map(Some),
    };
    match answered {
        Ok(Some(body)) => Ok(Answer { status: 200, body }),
        Ok(None) => Ok(Answer {
            status: 204,
            body: Value::Null,
        }),
        Err(CallError::Refused(problem)) => Ok(Answer {
            status: problem.status,
            body: serde_json::to_value(&problem).expect("problems have string keys only"),
        }),
        Err(error) => Err(DoorError(error.to_string())),
    }
}
