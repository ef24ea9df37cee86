//! The agent's side of `/v1/tasks/*`: one blocking call per method.
//!
//! A client is shared by threads and keeps connections open between calls. It never repeats a call
//! by itself: whether to, and for how long, is the caller's decision ([`CallError::may_retry`]).
//! Proxies of the environment are not used, and redirects are not followed: the token goes to the
//! server it was made for and nowhere else.

mod error;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

pub use error::{CallError, ClientError};

use crate::AgentName;
use crate::protocol::{
    AskRequest, AskResponse, CompleteRequest, CompleteResponse, FailRequest, HeartbeatRequest,
    HeartbeatResponse, PollRequest, PollResponse, Problem, ReleaseRequest, SeqResponse, Task,
};

/// Longest wait for an answer, beyond the time that a poll asked to wait.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Largest answer, in bytes: a few tasks with inputs.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Idle connections kept: enough for every slot of a big worker to poll and beat at once.
const IDLE_CONNECTIONS: usize = 64;

/// A connection to one server, on behalf of one agent.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    authorization: String,
    act_as: Option<String>,
}

impl fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base)
            .field("act_as", &self.act_as)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Speaks to `server_url` (`http://host:port`) with `token`; `act_as` names the agent when the
    /// token is the admin's. Nothing is sent yet.
    ///
    /// # Errors
    /// When an argument cannot be part of a request.
    pub fn new(server_url: &str, token: &str, act_as: Option<&str>) -> Result<Self, ClientError> {
        let base = server_url.trim_end_matches('/');
        let host = base.strip_prefix("http://").unwrap_or_default();
        let plain = |c: char| c.is_ascii_graphic() && !"/?#@\\".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            let url = server_url.escape_debug().to_string();
            return Err(ClientError::Url { url });
        }
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ClientError::Token);
        }
        let act_as = act_as.map(AgentName::parse).transpose()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_WITHIN))
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("phisync/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().into(),
            base: base.to_owned(),
            authorization: format!("Bearer {token}"),
            act_as: act_as.map(|name| name.key().to_owned()),
        })
    }

    /// Asks for tasks; none when none came within the asked wait.
    ///
    /// # Errors
    /// See [`CallError`]. When the outcome is unknown, tasks may have been claimed: their leases end.
    pub fn poll(&self, request: &PollRequest) -> Result<Vec<Task>, CallError> {
        let wait = request
            .wait_s
            .map_or(Ok(Duration::ZERO), Duration::try_from_secs_f64);
        let within = ANSWER_WITHIN.saturating_add(wait.unwrap_or_default());
        let answer: Option<PollResponse> = self.call("/v1/tasks/poll", request, within)?;
        Ok(answer.map_or_else(Vec::new, |answer| answer.tasks))
    }

    /// Renews the lease of the task with id `task`, waiting for the answer no longer than `within`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn heartbeat(
        &self,
        task: &str,
        request: &HeartbeatRequest,
        within: Duration,
    ) -> Result<HeartbeatResponse, CallError> {
        self.about(task, "heartbeat", request, within)
    }

    /// Reports a result, and may claim the next tasks in the same round trip, if they are there.
    ///
    /// # Errors
    /// See [`CallError`]. When the outcome is unknown, send the same result again.
    pub fn complete(
        &self,
        task: &str,
        request: &CompleteRequest,
    ) -> Result<CompleteResponse, CallError> {
        self.about(task, "complete", request, ANSWER_WITHIN)
    }

    /// Reports an error.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn fail(&self, task: &str, request: &FailRequest) -> Result<SeqResponse, CallError> {
        self.about(task, "fail", request, ANSWER_WITHIN)
    }

    /// Asks people; the task is not ours any more, and comes back with the answer.
    ///
    /// # Errors
    /// See [`CallError`]. When the outcome is unknown, ask the same again.
    pub fn ask(&self, task: &str, request: &AskRequest) -> Result<AskResponse, CallError> {
        self.about(task, "ask", request, ANSWER_WITHIN)
    }

    /// Gives a task back, for others to take at once.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn release(&self, task: &str, request: &ReleaseRequest) -> Result<SeqResponse, CallError> {
        self.about(task, "release", request, ANSWER_WITHIN)
    }

    fn about<Q: Serialize, A: DeserializeOwned>(
        &self,
        task: &str,
        verb: &str,
        request: &Q,
        within: Duration,
    ) -> Result<A, CallError> {
        let mut path = "/v1/tasks/".to_owned();
        push_escaped(&mut path, task);
        path.push('/');
        path.push_str(verb);
        let answer = self.call(&path, request, within)?;
        answer.ok_or_else(|| CallError::Garbled {
            status: 204,
            cause: "no content where some is due".to_owned(),
        })
    }

    /// Posts `request`; `None` for an answer without content.
    fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        request: &Q,
        within: Duration,
    ) -> Result<Option<A>, CallError> {
        let unreachable = |cause: ureq::Error| CallError::Unreachable {
            cause: cause.to_string(),
        };
        let body = serde_json::to_vec(request).map_err(|cause| CallError::Garbled {
            status: 0,
            cause: cause.to_string(),
        })?;
        let mut post = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        if let Some(name) = &self.act_as {
            post = post.header("phisync-agent", name);
        }
        let post = post.config().timeout_global(Some(within)).build();
        let mut response = post.send(&body[..]).map_err(unreachable)?;
        let status = response.status().as_u16();
        let content = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let content = content.read_to_vec().map_err(unreachable)?;
        match status {
            204 => Ok(None),
            200..=299 => match serde_json::from_slice(&content) {
                Ok(answer) => Ok(Some(answer)),
                Err(cause) => Err(CallError::Garbled {
                    status,
                    cause: cause.to_string(),
                }),
            },
            _ => Err(refusal(status, &content)),
        }
    }
}

/// Sorts an answer that is no success.
fn refusal(status: u16, content: &[u8]) -> CallError {
    let problem: Result<Problem, _> = serde_json::from_slice(content);
    let problem = Box::new(problem.unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: format!("status {status}"),
        status,
        code: "unknown".to_owned(),
        detail: excerpt(content),
        hint: None,
        diagnostics: None,
        turn: None,
    }));
    match status {
        409 => CallError::Stale(problem),
        401 => CallError::Unauthorized(problem),
        429 | 500..=599 => CallError::Unavailable(problem),
        400..=499 => CallError::Rejected(problem),
        _ => CallError::Garbled {
            status,
            cause: problem.detail,
        },
    }
}

/// The beginning of a body that is no problem document, safe to show.
fn excerpt(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    text.chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

/// Appends `text` to `url` so that it stays one segment of a path or one value of a query, whatever
/// characters it holds: what RFC 3986 calls unreserved stays, every other byte becomes `%XX`.
pub fn push_escaped(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CallError, Client, push_escaped, refusal};

    #[test]
    fn a_client_is_refused_what_it_could_not_send() {
        for url in [
            "",
            "127.0.0.1:1",
            "https://h",
            "http://",
            "http://u@h",
            "http://h/p",
            "http://h\r\n",
        ] {
            assert!(Client::new(url, "t", None).is_err(), "{url:?} passed");
        }
        for token in ["", "a b", "a\n", "\u{e4}"] {
            assert!(
                Client::new("http://h:1/", token, None).is_err(),
                "{token:?} passed"
            );
        }
        assert!(Client::new("http://h:1/", "t", Some("a/b")).is_err());
        assert!(Client::new("http://[::1]:80", "t", Some("DC")).is_ok());
    }

    #[test]
    fn a_token_is_not_part_of_what_is_printed() {
        let client = Client::new("http://h:1", "phs_secret", Some("DC")).expect("a client");
        assert!(!format!("{client:?}").contains("secret"));
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        let path_segment = |text: &str| {
            let mut segment = String::new();
            push_escaped(&mut segment, text);
            segment
        };
        assert_eq!(path_segment("tsk_1.a-b~"), "tsk_1.a-b~");
        assert_eq!(path_segment("../x?y#z/%"), "..%2Fx%3Fy%23z%2F%25");
    }

    #[test]
    fn what_follows_from_a_status_is_decided_once() {
        let retried: Vec<u16> = (300..=599)
            .filter(|status| refusal(*status, b"").may_retry())
            .collect();
        let mut expected = vec![429];
        expected.extend(500..=599);
        assert_eq!(retried, expected);
        assert!(matches!(refusal(409, b"{}"), CallError::Stale(_)));
        assert!(matches!(refusal(401, b""), CallError::Unauthorized(_)));
    }
}
