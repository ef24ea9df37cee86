//! `phisync init [DIR]`: a project that works.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use phisync::DataPaths;
use phisync::identity::TokenStore;
use phisync::server::StartError;
use phisync_state::env::{Disk, OsDisk, OsEntropy};
use phisync_state::{FileOptions, FileStore, Store as _};
use phisync_workflows::{agents_schema, workflow_schema};
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::data_dir::{self, AGENTS_FILE, DataDir};
use super::exit_code::ExitCode;
use super::output::json_pretty;
use super::report::{Report, plain};
use crate::cli::config;

const SETTINGS: &str = include_str!("init/phisync.toml");
const AGENTS: &str = include_str!("init/agents.yaml");
const HELLO: &str = include_str!("init/hello.yaml");

/// What starts the first agent: Windows has no `sh`.
const GREETER: &str = if cfg!(windows) {
    r#"[cmd, /C, 'echo {"word": "Hello"}']"#
} else {
    r#"[sh, -c, 'echo "{\"word\": \"Hello\"}"']"#
};

/// Make a project: settings, a team, a first workflow and the data directory.
///
/// Files that are there are kept as they are, so it may be run again.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync init && phisync exec workflows/hello.yaml -i name=you")]
pub(super) struct Init {
    /// Where; made if it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
}

/// What was made and what was there.
#[derive(Debug, Default, Serialize)]
struct Made {
    created: Vec<String>,
    kept: Vec<String>,
}

/// A file of the project that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot create `{}`: {}", path.display(), plain(cause))]
struct CreateError {
    path: PathBuf,
    cause: io::Error,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut made = Made::default();
        let workflows = self.directory.join("workflows");
        make_directory(&workflows)?;
        let agents = AGENTS.replace("GREETER_COMMAND", GREETER);
        for (path, text) in [
            (config::FILE_NAME, SETTINGS),
            (AGENTS_FILE, agents.as_str()),
            ("workflows/hello.yaml", HELLO),
        ] {
            let new = create(&self.directory.join(path), text)?;
            made.note(path, new);
        }
        let data = DataDir::at(self.directory.join(data_dir::NAME));
        let new = data.create()?;
        made.note(data_dir::NAME, new);
        if new {
            make_store(&data)?;
        }
        let schemas = data.path().join("schema");
        make_directory(&schemas)?;
        for (name, schema) in [
            ("workflow.json", workflow_schema()),
            ("agents.json", agents_schema()),
        ] {
            write_schema(&schemas.join(name), &schema)?;
        }
        context.output.one(&made, Made::table)?;
        if !made.created.is_empty() {
            context.output.say(self.next())?;
        }
        Ok(ExitCode::Ok)
    }

    fn next(&self) -> String {
        let go = match self.directory.to_str() {
            Some(".") => String::new(),
            _ => format!("cd {} && ", self.directory.display()),
        };
        format!("now: {go}phisync exec workflows/hello.yaml -i name=you")
    }
}

impl Made {
    fn note(&mut self, path: &str, new: bool) {
        let list = if new {
            &mut self.created
        } else {
            &mut self.kept
        };
        list.push(path.to_owned());
    }

    fn table(&self) -> String {
        let created = self.created.iter().map(|path| format!("created  {path}\n"));
        let kept = self.kept.iter().map(|path| format!("kept     {path}\n"));
        created.chain(kept).collect()
    }
}

/// An empty journal and the owner's token.
fn make_store(data: &DataDir) -> Result<(), Report> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let opened = FileStore::open(Arc::clone(&disk), data.path(), FileOptions::default());
    let (store, _) = opened.map_err(StartError::from)?;
    let paths = DataPaths::new(data.path());
    TokenStore::open(disk, paths, &mut OsEntropy).map_err(StartError::from)?;
    store
        .close()
        .map_err(|unknown| Report::new(ExitCode::Stopped, unknown))
}

/// Writes what editors read. It follows from the program, so an older one is replaced.
fn write_schema(path: &Path, schema: &Value) -> Result<(), CreateError> {
    let mut text = json_pretty(schema);
    text.push('\n');
    std::fs::write(path, text).map_err(|cause| CreateError {
        path: path.to_owned(),
        cause,
    })
}

/// Writes a new file; false if there is one already.
fn create(path: &Path, text: &str) -> Result<bool, CreateError> {
    let failed = |cause| CreateError {
        path: path.to_owned(),
        cause,
    };
    match std::fs::File::create_new(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(failed(cause)),
    }
}

fn make_directory(path: &Path) -> Result<(), CreateError> {
    std::fs::create_dir_all(path).map_err(|cause| CreateError {
        path: path.to_owned(),
        cause,
    })
}

impl From<CreateError> for Report {
    fn from(error: CreateError) -> Self {
        Self::new(ExitCode::Unusable, error)
    }
}
