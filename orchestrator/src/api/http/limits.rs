//! How much may be asked for at once. What single requests may be stands where they are read.

/// Bounds on callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of everybody together; more wait in the system's own queue.
    pub connections: u32,
    /// Requests that one token may have open, each waiting one of them. The owner's may have any number: a
    /// whole team of child processes works in its name.
    pub requests_per_token: u32,
    /// Wrong tokens that one address may send within a minute before it must wait.
    pub wrong_tokens: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            requests_per_token: 256,
            wrong_tokens: 30,
        }
    }
}
