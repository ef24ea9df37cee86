//! Access tokens on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// `agent person viewer operator admin`.
    #[schemars(extend("enum" = ["agent", "person", "viewer", "operator", "admin", "approver"]))]
    pub role: String,
    /// The agent's or person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it is good for, in seconds; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `POST /v1/tokens` and `POST /v1/tokens/{id}/rotate`, the answer: the only time that the secret is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenCreated {
    /// Public part.
    pub id: String,
    /// The whole token.
    pub token: String,
}

/// One line of `GET /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenSummary {
    /// Public part.
    pub id: String,
    /// Its role.
    pub role: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Until when it is good, if not until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// `GET /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenList {
    /// By id.
    pub tokens: Vec<TokenSummary>,
}
