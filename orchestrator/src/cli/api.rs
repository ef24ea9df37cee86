//! The command line's side of `/v1`: one blocking call per method.
//!
//! Speaks JSON, knows no command. What the server refuses comes back as its problem document, and
//! what that means for the exit code is decided here, once. Redirects are not followed and proxies
//! not used: the token goes to the server it was made for and nowhere else.

use std::fmt;
use std::time::Duration;

use phisync_agents::client::push_escaped;
use phisync_agents::protocol::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use super::exit_code::ExitCode;
use super::report::Report;

/// Longest wait for an answer, beyond the time that the call itself asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One server, on behalf of one caller.
#[derive(Clone)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
    authorization: Option<String>,
    act_as: Option<String>,
    /// Task and token, if it writes under one.
    under: Option<(String, u64)>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server said no.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// No connection.
    #[error("no server answers at {url}: {cause}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the connection said.
        cause: String,
    },
    /// No answer in time; whether the call had an effect is unknown.
    #[error("the server at {url} did not answer in time")]
    TimedOut {
        /// Where it is.
        url: String,
    },
    /// An answer that is none of ours.
    #[error("the server at {url} gave an answer that cannot be read: {cause}")]
    Garbled {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// An address, a token or a name that cannot be part of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No address of a server.
    #[error("`{0}` is no server: an address such as `http://127.0.0.1:7070` is needed")]
    Url(String),
    /// The token itself stays out of the message.
    #[error("the token is empty or holds a character that no token has")]
    Token,
    /// No name to act as.
    #[error(transparent)]
    Name(#[from] phisync_agents::NameError),
}

impl fmt::Debug for Api {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .field("act_as", &self.act_as)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Speaks to `url` (`http://host:port`); nothing is sent yet. Without a token only the server's
    /// health can be asked.
    ///
    /// # Errors
    /// When an argument cannot be part of a request.
    pub(crate) fn new(url: &str, token: Option<&str>) -> Result<Self, ApiError> {
        let base = url.trim_end_matches('/');
        let host = base.strip_prefix("http://").unwrap_or_default();
        let plain = |c: char| c.is_ascii_graphic() && !"/?#@\\".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return Err(ApiError::Url(url.escape_debug().to_string()));
        }
        let graphic = |token: &str| token.chars().all(|c| c.is_ascii_graphic());
        if token.is_some_and(|token| token.is_empty() || !graphic(token)) {
            return Err(ApiError::Token);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_WITHIN))
            .user_agent(concat!("phisync/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().into(),
            base: base.to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
            act_as: None,
            under: None,
        })
    }

    /// The same, for writing under a task: refused once `token` does not open that any more.
    pub(crate) fn under(mut self, task: Option<(String, u64)>) -> Self {
        self.under = task;
        self
    }

    /// The same, on behalf of the agent or person `name`.
    ///
    /// # Errors
    /// When `name` is no name.
    pub(crate) fn acting_as(mut self, name: Option<&str>) -> Result<Self, ApiError> {
        self.act_as = match name {
            Some(name) => Some(phisync_agents::AgentName::parse(name)?.key().to_owned()),
            None => None,
        };
        Ok(self)
    }

    /// Asks for the thing at `path`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn get<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<A, CallError> {
        self.get_within(path, query, ANSWER_WITHIN)
    }

    /// As [`Self::get`], where the server itself waits up to `wait` before it answers.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn get_waiting<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        wait: Duration,
    ) -> Result<A, CallError> {
        self.get_within(path, query, ANSWER_WITHIN.saturating_add(wait))
    }

    /// As [`Self::get`], but gives up after `within`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn get_within<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        within: Duration,
    ) -> Result<A, CallError> {
        let request = self.agent.get(self.url(path, query));
        let request = self.headers(request).config().timeout_global(Some(within));
        let answer = request.build().call().map_err(|cause| self.failed(cause))?;
        let answer = self.read(answer)?;
        answer.ok_or_else(|| self.garbled("no content where some is due"))
    }

    /// Asks the server to do something.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        request: &Q,
    ) -> Result<A, CallError> {
        let answer = self.post_waiting(path, request, Duration::ZERO)?;
        answer.ok_or_else(|| self.garbled("no content where some is due"))
    }

    /// As [`Self::post`], where what is sent is a text: the definition of a workflow.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post_text<A: DeserializeOwned>(
        &self,
        path: &[&str],
        text: &str,
    ) -> Result<A, CallError> {
        let post = self.agent.post(self.url(path, &[]));
        let post = self
            .headers(post)
            .header("content-type", "application/yaml");
        let post = post.config().timeout_global(Some(ANSWER_WITHIN)).build();
        let answer = post.send(text).map_err(|cause| self.failed(cause))?;
        let answer = self.read(answer)?;
        answer.ok_or_else(|| self.garbled("no content where some is due"))
    }

    /// As [`Self::post`], with a key by which the server knows the same call again.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post_once<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        request: &Q,
        key: Option<&str>,
    ) -> Result<A, CallError> {
        let answer = self.send(path, request, Duration::ZERO, key)?;
        answer.ok_or_else(|| self.garbled("no content where some is due"))
    }

    /// As [`Self::post`], where the server itself waits up to `wait`; `None` if it has nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post_waiting<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        request: &Q,
        wait: Duration,
    ) -> Result<Option<A>, CallError> {
        self.send(path, request, wait, None)
    }

    /// Puts `request` in the place of what is at `path`, where the server itself waits up to `wait`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn put<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        request: &Q,
        wait: Duration,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(request).expect("requests have string keys only");
        let put = self.agent.put(self.url(path, query));
        let mut put = self.headers(put).header("content-type", "application/json");
        for (name, value) in headers {
            put = put.header(*name, *value);
        }
        let within = ANSWER_WITHIN.saturating_add(wait);
        let put = put.config().timeout_global(Some(within)).build();
        let answer = put.send(&body[..]).map_err(|cause| self.failed(cause))?;
        let answer = self.read(answer)?;
        answer.ok_or_else(|| self.garbled("no content where some is due"))
    }

    fn send<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        request: &Q,
        wait: Duration,
        key: Option<&str>,
    ) -> Result<Option<A>, CallError> {
        let body = serde_json::to_vec(request).expect("requests have string keys only");
        let within = ANSWER_WITHIN.saturating_add(wait);
        let post = self.agent.post(self.url(path, &[]));
        let mut post = self
            .headers(post)
            .header("content-type", "application/json");
        if let Some(key) = key {
            post = post.header("idempotency-key", key);
        }
        let post = post.config().timeout_global(Some(within)).build();
        let answer = post.send(&body[..]).map_err(|cause| self.failed(cause))?;
        self.read(answer)
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let mut url = self.base.clone();
        for segment in path {
            url.push('/');
            push_escaped(&mut url, segment);
        }
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            push_escaped(&mut url, name);
            url.push('=');
            push_escaped(&mut url, value);
        }
        url
    }

    fn headers<B>(&self, mut request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(name) = &self.act_as {
            request = request.header("phisync-agent", name);
        }
        if let Some((task, token)) = &self.under {
            request = request.header("phisync-task", task);
            request = request.header("phisync-task-token", token.to_string());
        }
        request
    }

    /// The content of an answer; `None` without any.
    fn read<A: DeserializeOwned>(
        &self,
        mut answer: ureq::http::Response<ureq::Body>,
    ) -> Result<Option<A>, CallError> {
        let status = answer.status().as_u16();
        let content = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let content = content.read_to_vec().map_err(|cause| self.failed(cause))?;
        match status {
            204 => Ok(None),
            200..=299 => match serde_json::from_slice(&content) {
                Ok(answer) => Ok(Some(answer)),
                Err(cause) => Err(self.garbled(cause)),
            },
            _ => match serde_json::from_slice::<Problem>(&content) {
                Ok(problem) => Err(CallError::Refused(Box::new(problem))),
                Err(_) => Err(self.garbled(format!("status {status} without a reason"))),
            },
        }
    }

    fn failed(&self, cause: ureq::Error) -> CallError {
        let url = self.base.clone();
        match cause {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                let cause = "the connection takes too long".to_owned();
                CallError::Unreachable { url, cause }
            }
            ureq::Error::Timeout(_) => CallError::TimedOut { url },
            ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
                let cause = "connection refused".to_owned();
                CallError::Unreachable { url, cause }
            }
            other => {
                let cause = other.to_string();
                CallError::Unreachable { url, cause }
            }
        }
    }

    fn garbled(&self, cause: impl ToString) -> CallError {
        CallError::Garbled {
            url: self.base.clone(),
            cause: cause.to_string(),
        }
    }
}

impl From<CallError> for Report {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Refused(problem) => {
                // The detail tells everything already: diagnostics are the same for programs.
                let exit = ExitCode::of_status(problem.status);
                Self::new(exit, message.trim_end()).maybe_hint(problem.hint)
            }
            CallError::Unreachable { .. } => {
                Self::new(ExitCode::NoServer, message).hint("start one with `phisync serve`")
            }
            CallError::TimedOut { .. } => Self::new(ExitCode::TimedOut, message)
                .hint("whether it had an effect is unknown: look before repeating it"),
            CallError::Garbled { .. } => Self::new(ExitCode::NoServer, message)
                .hint("is that a phisync server, and of this version?"),
        }
    }
}

impl From<ApiError> for Report {
    fn from(error: ApiError) -> Self {
        Self::new(ExitCode::Usage, error)
    }
}

#[cfg(test)]
mod tests {
    use super::Api;

    #[test]
    fn nothing_leaves_its_place_in_the_address() {
        let api = Api::new("http://h:1/", Some("t")).expect("a server");
        assert_eq!(
            api.url(&["v1", "runs", "../x?y#"], &[("a", "1&b=2"), ("c", "d")]),
            "http://h:1/v1/runs/..%2Fx%3Fy%23?a=1%26b%3D2&c=d"
        );
    }

    #[test]
    fn what_could_not_be_sent_is_refused_before() {
        for url in [
            "",
            "h:1",
            "https://h",
            "http://u@h",
            "http://h/p",
            "http://h\n",
        ] {
            assert!(Api::new(url, None).is_err(), "{url:?} passed");
        }
        for token in ["", "a b", "a\n"] {
            assert!(
                Api::new("http://h:1", Some(token)).is_err(),
                "{token:?} passed"
            );
        }
        let api = Api::new("http://[::1]:80", Some("phs_secret")).expect("a server");
        assert!(!format!("{api:?}").contains("secret"));
        assert!(api.acting_as(Some("a/b")).is_err());
    }
}
