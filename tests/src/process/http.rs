//! An HTTP client that says exactly what it is told to say, and shows exactly what came back.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use super::contract;

/// Longer than the server lets anything wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// A server, and how we speak to it.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: String,
    /// The witness, `seq:hash`.
    pub head: Option<String>,
    /// The body; null when there is none.
    pub body: Value,
}

impl Http {
    /// Speaks to `base` with the bearer token `token`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(ANSWER_WITHIN))
            .build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
            headers: Vec::new(),
        }
        .with("authorization", &format!("Bearer {token}"))
    }

    /// The same with a header set; an empty value leaves it out.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same, acting as the agent or person `name`.
    #[must_use]
    pub fn acting_as(self, name: &str) -> Self {
        self.with("phisync-agent", name)
    }

    /// Asks.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, b"")
    }

    /// Sends JSON.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "POST",
            path,
            Some("application/json"),
            body.to_string().as_bytes(),
        )
    }

    /// Sends any bytes.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Reply {
        let reply = self.try_send(method, path, content_type, body);
        reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends any bytes; an error means that nobody knows what became of it.
    ///
    /// # Errors
    /// When no whole answer came.
    ///
    /// # Panics
    /// When the answer is not what it says it is, or not what the API's description says it can be.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Reply, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let mut response = if method == "GET" {
            self.agent.run(request.body(()).expect("a request"))?
        } else {
            self.agent.run(request.body(body).expect("a request"))?
        };
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().expect("a header of ASCII").to_owned())
        };
        let (content_type, head) = (
            header("content-type").unwrap_or_default(),
            header("phisync-head"),
        );
        let status = response.status().as_u16();
        let bytes = response.body_mut().read_to_vec()?;
        let body = match bytes.as_slice() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).expect("every body is JSON"),
        };
        let reply = Reply {
            status,
            content_type,
            head,
            body,
        };
        contract::check(method, path, &reply);
        Ok(reply)
    }
}

impl Reply {
    /// The body of an answer with `status`.
    ///
    /// # Panics
    /// When it has another.
    #[must_use]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// What a refusal says: its status and its `code`.
    ///
    /// # Panics
    /// When it is no problem document.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        assert_eq!(
            self.content_type, "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], self.status, "{}", self.body);
        let detail = self.body["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "a refusal says why: {}", self.body);
        (self.status, self.body["code"].as_str().expect("a code"))
    }
}
