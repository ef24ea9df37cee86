//! The way from the protocol to the API.

use std::time::Duration;

use phisync_agents::client::push_escaped;
use rmcp::model::Extensions;
use serde_json::Value;

/// One request to `/v1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The path's segments behind `/v1`, not yet escaped.
    pub path: Vec<String>,
    /// The query, not yet escaped.
    pub query: Vec<(&'static str, String)>,
    /// The body of a `POST` or `PUT`.
    pub body: Option<Value>,
    /// Headers that say on what the request relies, and by what right it is made.
    pub headers: Vec<(&'static str, String)>,
    /// How long the server itself may wait before it answers.
    pub wait: Duration,
}

impl Ask {
    pub(super) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self {
            method: "GET",
            path: path.map(str::to_owned).to_vec(),
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
            wait: Duration::ZERO,
        }
    }

    pub(super) fn post<const N: usize>(path: [&str; N], body: Value) -> Self {
        Self {
            method: "POST",
            body: Some(body),
            ..Self::get(path)
        }
    }

    pub(super) fn put<const N: usize>(path: [&str; N], body: Value) -> Self {
        Self {
            method: "PUT",
            body: Some(body),
            ..Self::get(path)
        }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn with_query(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    pub(super) fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The address, escaped, from `/v1` on.
    #[must_use]
    pub fn target(&self) -> String {
        let mut target = "/v1".to_owned();
        for segment in &self.path {
            target.push('/');
            push_escaped(&mut target, segment);
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            push_escaped(&mut target, value);
        }
        target
    }
}

/// What the API said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if there was none.
    pub body: Value,
}

/// Nobody answered: whether the request had an effect is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DoorError(pub String);

/// On whose behalf requests are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The role's word, as `agent`.
    pub role: String,
    /// The agent or person, if the token belongs to somebody or the owner acts as somebody.
    pub name: Option<String>,
}

/// Carries requests to the API on behalf of whoever opened the conversation.
pub trait Door: Send + Sync + 'static {
    /// Who that is. `context` is what the transport knows of this message.
    fn identity(&self, context: &Extensions) -> Option<Identity>;

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`DoorError`] if there was none.
    fn ask(
        &self,
        ask: Ask,
        context: &Extensions,
    ) -> impl Future<Output = Result<Answer, DoorError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::Ask;

    #[test]
    fn a_name_with_a_slash_stays_one_segment() {
        let ask = Ask::get(["runs", "../tokens"]).with_query("label", Some("a&b=c d".to_owned()));
        assert_eq!(ask.target(), "/v1/runs/..%2Ftokens?label=a%26b%3Dc%20d");
    }
}
