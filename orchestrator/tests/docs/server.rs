//! A server on a data directory of its own, and calls to it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test, deaf to the environment of whoever runs the tests.
pub(crate) fn phisync() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phisync"));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("PHISYNC_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A server that ends with the value.
pub(crate) struct Server {
    child: Child,
    url: String,
    project: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, null if there is none.
    pub(crate) body: Value,
}

impl Server {
    /// Starts one on the team `agents`.
    pub(crate) fn start(agents: &str) -> Self {
        let project = tempfile::tempdir().expect("a directory");
        std::fs::write(project.path().join("agents.yaml"), agents).expect("a file");
        let mut child = phisync()
            .current_dir(project.path())
            .args([
                "serve",
                "--data",
                ".phisync",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "off",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let stdout = child.stdout.take().expect("a pipe");
        let mut ready = String::new();
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("a line of the server");
        let ready: Value = serde_json::from_str(&ready).expect("what the server says is JSON");
        let url = ready["url"].as_str().expect("its address").to_owned();
        Self {
            child,
            url,
            project,
        }
    }

    /// Where the project is.
    pub(crate) fn project(&self) -> &Path {
        self.project.path()
    }

    /// The owner's token.
    pub(crate) fn admin_token(&self) -> String {
        let path = self.project().join(".phisync/admin.token");
        let token = std::fs::read_to_string(path).expect("the owner's token");
        token.trim().to_owned()
    }

    /// Calls `path` with the headers given and, for a POST, a body.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let url = format!("{}{path}", self.url);
        let answer = match method {
            "GET" => headers
                .iter()
                .fold(agent.get(url), |request, (name, value)| {
                    request.header(*name, *value)
                })
                .call(),
            _ => headers
                .iter()
                .fold(agent.post(url), |request, (name, value)| {
                    request.header(*name, *value)
                })
                .content_type("application/json")
                .send(body.unwrap_or_default()),
        };
        let mut answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().expect("a body");
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("answers are JSON"),
        };
        Reply { status, body }
    }

    /// A new token of `role`.
    pub(crate) fn token(&self, role: &str, name: Option<&str>) -> String {
        let bearer = format!("Bearer {}", self.admin_token());
        let body = serde_json::json!({ "role": role, "name": name }).to_string();
        let reply = self.call(
            "POST",
            "/v1/tokens",
            &[("Authorization", &bearer)],
            Some(&body),
        );
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
