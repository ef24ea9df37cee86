//! How a call to the server can end badly, sorted by what the caller should do next.

use crate::protocol::Problem;

/// Why a [`Client`](super::Client) could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not an address of a server.
    #[error("`{url}` is no server: an address such as `http://127.0.0.1:7070` is needed")]
    Url {
        /// What was given.
        url: String,
    },
    /// Not a token that can be sent. The token itself stays out of the message.
    #[error("the token is empty or holds a character that no token has")]
    Token,
    /// Not a name to act as.
    #[error(transparent)]
    Name(#[from] crate::NameError),
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// 409: the claim is not ours any more, or another result stands. Nothing we say about the task
    /// has any effect: stop.
    #[error("the claim is over: {}", .0.detail)]
    Stale(Box<Problem>),
    /// 401: the token is not known to the server.
    #[error("the token is not accepted: {}", .0.detail)]
    Unauthorized(Box<Problem>),
    /// Any other refusal: no effect, and the same call will be refused again.
    #[error("refused with {} `{}`: {}", .0.status, .0.code, .0.detail)]
    Rejected(Box<Problem>),
    /// 429 or 5xx: whether it had an effect is unknown; the same call may succeed later.
    #[error("the server is not able to now, {} `{}`: {}", .0.status, .0.code, .0.detail)]
    Unavailable(Box<Problem>),
    /// No connection, or no answer: whether it had an effect is unknown.
    #[error("the server cannot be reached: {cause}")]
    Unreachable {
        /// What the connection said.
        cause: String,
    },
    /// An answer that is none of ours: not a phisync server, or another version of it.
    #[error("an answer that cannot be read, status {status}: {cause}")]
    Garbled {
        /// The HTTP status.
        status: u16,
        /// What is wrong with the body.
        cause: String,
    },
}

impl CallError {
    /// Whether the very same call may be made again and then succeed. True where the outcome is
    /// unknown: every call of this protocol can be repeated, the server answers a repeated
    /// completion with the first outcome.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unavailable(_) => true,
            Self::Stale(_) | Self::Unauthorized(_) | Self::Rejected(_) | Self::Garbled { .. } => {
                false
            }
        }
    }

    /// What the server said, where it said something.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Stale(problem)
            | Self::Unauthorized(problem)
            | Self::Rejected(problem)
            | Self::Unavailable(problem) => Some(problem),
            Self::Unreachable { .. } | Self::Garbled { .. } => None,
        }
    }
}
