//! Who does a step, how long it may take, and what happens when it fails.

use std::time::Duration;

use super::StepIndex;

/// Queue order among tasks: higher first, then age. 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub u8);

impl Default for Priority {
    fn default() -> Self {
        Self(50)
    }
}

/// Who may do a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assign {
    /// Exactly this agent.
    pub agent: Option<String>,
    /// All of these are needed. Sorted.
    pub capabilities: Vec<String>,
    /// Offered to these first, in this order.
    pub prefer: Vec<String>,
    /// Never offered to these.
    pub exclude: Vec<String>,
    /// The group of agents; `None`: any.
    pub pool: Option<String>,
    /// The same agent as did this step, if it is alive within `timeouts.queue`.
    pub sticky: Option<StepIndex>,
    /// Never whoever did one of these steps.
    pub not_same_as: Vec<StepIndex>,
    /// Queue order.
    pub priority: Priority,
    /// How often a lost lease puts the task back.
    pub reassignments: u32,
}

/// The four clocks of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Ready until taken by an agent.
    pub queue: Duration,
    /// Longest silence of the agent that holds the task.
    pub lease: Duration,
    /// Taken until the result, one attempt.
    pub run: Duration,
    /// First ready until the final result, all attempts and back-offs. `None`: bounded by the run.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            queue: Duration::from_secs(3600),
            lease: Duration::from_secs(60),
            run: Duration::from_secs(1800),
            total: None,
        }
    }
}

/// How the wait before another attempt grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// No wait.
    None,
    /// Always `delay`.
    Fixed,
    /// `delay` times the number of the attempt that failed.
    Linear,
    /// `delay` times `factor` to the power of the attempts before.
    Exponential,
}

/// How the wait is spread, after the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Uniform from 0 to the wait.
    Full,
    /// Half the wait plus uniform from 0 to the other half.
    Equal,
}

/// Which agent gets the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassign {
    /// Whoever asks.
    Any,
    /// The one that failed.
    Same,
    /// Anyone else.
    Other,
}

/// An error code, or a prefix of codes: `timeout` and `app.*` match every code below them,
/// `all` matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPattern(pub String);

impl ErrorPattern {
    /// Whether `code` is this code or stands below it.
    #[must_use]
    pub fn matches(&self, code: &str) -> bool {
        let pattern = self.0.strip_suffix(".*").unwrap_or(&self.0);
        pattern == "all"
            || code == pattern
            || code
                .strip_prefix(pattern)
                .is_some_and(|rest| rest.starts_with('.'))
    }
}

/// When and how an attempt that ended with an error is repeated.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts in total, the first included. 1: never repeated.
    pub max_attempts: u32,
    /// Growth of the wait.
    pub backoff: Backoff,
    /// The first wait.
    pub delay: Duration,
    /// Growth factor of [`Backoff::Exponential`].
    pub factor: f64,
    /// Longest wait, before jitter.
    pub max_delay: Duration,
    /// Spread of the wait.
    pub jitter: Jitter,
    /// No attempt starts later than this after the first.
    pub max_elapsed: Option<Duration>,
    /// Codes that are repeated.
    pub errors: Vec<ErrorPattern>,
    /// Codes that are not; these win.
    pub except: Vec<ErrorPattern>,
    /// A condition over `error`.
    pub when: Option<crate::expr::Expr>,
    /// Which agent is next.
    pub reassign: Reassign,
}
