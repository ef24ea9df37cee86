//! The words for where runs, steps and tasks stand.

/// Where a run stands, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Open.
    Running,
    /// Closed well.
    Completed,
    /// Closed badly.
    Failed,
    /// Closed because somebody wanted it.
    Cancelled,
}

impl RunStatus {
    /// As users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an open run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Running its steps.
    Forward,
    /// Has failed; waits for what is still running.
    Failing,
    /// Was cancelled; waits for what is still running.
    Cancelling,
    /// Is to complete; waits for what is still running.
    Finishing,
    /// Has failed; runs its `on_failure`.
    Handling,
    /// Undoing its steps.
    Compensating,
    /// Runs its `finally`.
    Cleaning,
    /// Nothing any more.
    Closed,
}

impl Phase {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Failing => "failing",
            Self::Cancelling => "cancelling",
            Self::Finishing => "finishing",
            Self::Handling => "handling",
            Self::Compensating => "compensating",
            Self::Cleaning => "cleaning",
            Self::Closed => "closed",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// Its needs are open.
    Pending,
    /// Its task is in the queue.
    Ready,
    /// An agent works on it.
    Running,
    /// Waits for a person, or for a back-off to end.
    Waiting,
    /// Succeeded.
    Completed,
    /// Failed for good.
    Failed,
    /// Its condition was false.
    Skipped,
    /// Will not run, or not on.
    Cancelled,
    /// Is being undone.
    Compensating,
    /// Was undone.
    Compensated,
    /// Could not be undone.
    CompensationFailed,
}

impl StepStatus {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation_failed",
        }
    }

    /// Whether nothing can happen to it any more, undoing apart.
    #[must_use]
    pub fn has_outcome(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Ready | Self::Running | Self::Waiting
        )
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// In the queue.
    Ready,
    /// Held by an agent.
    Running,
    /// Waits for its next attempt.
    Backoff,
    /// Waits for the answer to a question of its last holder; nobody holds it.
    Asking,
    /// Succeeded.
    Completed,
    /// Failed for good.
    Failed,
    /// Taken back.
    Cancelled,
}

impl TaskStatus {
    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Asking => "asking",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
