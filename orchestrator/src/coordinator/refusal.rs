//! Why an operation was refused, and which kind of refusal that is.

use std::sync::Arc;

use phisync_agents::registry::BadDescription;
use phisync_state::transaction::TransactionId;
use phisync_state::{FileId, NotYourTurn, ReadError, StaleLock, Unknown};
use phisync_workflows::schema::Violation;

use crate::engine::{BadTaskId, ForkRefusal, Rejection};
use crate::schedule::{BadSchedule, ScheduleRejection};

use super::rewind::RewindRefusal;

/// What a caller can do about a refusal. HTTP status, exit code and retry policy follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalClass {
    /// It does not exist.
    NotFound,
    /// It existed once.
    Gone,
    /// It is not this caller's to do.
    Forbidden,
    /// The caller lost a race, or is late: trying the same again will not help.
    Conflict,
    /// What came breaks a rule; nothing happened.
    Invalid,
    /// Nobody knows whether it happened.
    Unknown,
    /// Too many at once: later.
    Busy,
    /// The disk has no room; nothing happened. Later.
    Full,
}

/// Why an operation had no effect (or, for `Unknown`, may have had one).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The engine's own reason.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No such thing.
    #[error("no {what} `{id}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// A prefix that several runs share.
    #[error("`{prefix}` is the beginning of several runs: {}", .candidates.join(", "))]
    Ambiguous {
        /// What came.
        prefix: String,
        /// Some of them.
        candidates: Vec<String>,
    },
    /// A closed run that retention dropped.
    #[error(
        "run `{0}` was dropped by retention: it was closed longer ago than closed runs are kept"
    )]
    Gone(String),
    /// A run of that name exists.
    #[error("run `{0}` exists already")]
    Exists(String),
    /// Not this caller's.
    #[error("{0}")]
    Forbidden(String),
    /// A name that breaks its grammar.
    #[error("`{text}` is not a {what}: {rule}")]
    BadName {
        /// What it should be.
        what: &'static str,
        /// What came.
        text: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Not a task id.
    #[error(transparent)]
    BadTask(#[from] BadTaskId),
    /// Inputs that the workflow does not take.
    #[error("the inputs do not fit workflow `{workflow}`")]
    BadInputs {
        /// The workflow.
        workflow: String,
        /// Everything that is wrong.
        violations: Vec<Violation>,
    },
    /// Settings of the deployment that the workflow does not take.
    #[error("the settings of the deployment do not fit the `config` of workflow `{workflow}`")]
    BadSettings {
        /// The workflow.
        workflow: String,
        /// Everything that is wrong.
        violations: Vec<Violation>,
    },
    /// An idempotency key that came with another body before.
    #[error("the idempotency key `{key}` was used for another request, which started run `{run}`")]
    OtherBody {
        /// The key.
        key: String,
        /// What it started.
        run: String,
    },
    /// A key that another run has.
    #[error("key `{key}` is taken by run `{run}`, which is {state}")]
    KeyTaken {
        /// The key.
        key: String,
        /// Who has it.
        run: String,
        /// `open` or `closed`.
        state: &'static str,
    },
    /// A concurrency key that cannot be evaluated.
    #[error("the concurrency key of workflow `{workflow}` cannot be evaluated: {reason}")]
    BadKey {
        /// The workflow.
        workflow: String,
        /// Why not.
        reason: String,
    },
    /// As many runs of a concurrency key as there may be.
    #[error("workflow `{workflow}`, concurrency key {key}: {reason} ({})", .runs.join(", "))]
    NoSlot {
        /// The workflow.
        workflow: String,
        /// The key, as JSON.
        key: String,
        /// What is full.
        reason: &'static str,
        /// Some of the runs that hold a slot.
        runs: Vec<String>,
    },
    /// A run that cannot be gone on from there.
    #[error(transparent)]
    Fork(#[from] ForkRefusal),
    /// A moment that nothing goes back to.
    #[error(transparent)]
    Rewind(#[from] RewindRefusal),
    /// A schedule of a workflow that cannot be used.
    #[error(transparent)]
    BadSchedule(BadSchedule),
    /// What a schedule does not do.
    #[error(transparent)]
    Schedule(#[from] ScheduleRejection),
    /// Several orchestrators share the store and this one lost every race for it.
    #[error("other writers of the store were faster every time")]
    LostRace,
    /// The store failed.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The store cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The store does not take what was to be written.
    #[error("the store refused the record: {0}")]
    Unstorable(&'static str),
    /// The server has more to do than it can hold.
    #[error("the server is busy")]
    Busy,
    /// The disk has no room: only reads are answered.
    #[error("nothing can be written: {0}")]
    Full(Arc<str>),
    /// Somebody else has the lock.
    #[error("the lock `{name}` is held by `{by}`")]
    Locked {
        /// Which.
        name: FileId,
        /// By whom.
        by: String,
    },
    /// A token that does not hold its lock, or not any more.
    #[error("the lock `{name}`: {source}")]
    StaleLock {
        /// Which.
        name: FileId,
        /// Who does.
        source: StaleLock,
    },
    /// Somebody else has the turn at a document, or waits for it.
    #[error("the document `{name}`: {source}")]
    NotYourTurn {
        /// Which.
        name: FileId,
        /// Whose turn it is.
        source: NotYourTurn,
    },
    /// Another transaction is changing the same file.
    #[error("`{path}` is being changed by the transaction `{by}`")]
    FilesTaken {
        /// The file.
        path: String,
        /// The transaction.
        by: TransactionId,
    },
    /// A name that `agents.yaml` gives to somebody.
    #[error("`{name}` is declared in agents.yaml as {what}")]
    Declared {
        /// The name.
        name: String,
        /// As what.
        what: &'static str,
    },
    /// A description that describes no agent.
    #[error(transparent)]
    BadAgent(BadDescription),
    /// An agent that cannot be removed yet.
    #[error("`{agent}` holds {}", .tasks.join(", "))]
    HoldsTasks {
        /// Which.
        agent: String,
        /// What it holds.
        tasks: Vec<String>,
    },
    /// As many registered agents as there may be.
    #[error("{0} agents are registered, and no more may be")]
    CrewFull(usize),
    /// More progress than is kept.
    #[error("the progress of `{task}` has {bytes} bytes, and {max} are kept")]
    LongProgress {
        /// The task.
        task: String,
        /// What came.
        bytes: usize,
        /// What is kept.
        max: usize,
    },
    /// A document is not as the change expects.
    #[error("the document `{name}` has version {found}, and {expected} was expected")]
    OtherVersion {
        /// Which.
        name: FileId,
        /// What it has; 0 was never written.
        found: u64,
        /// What was relied on.
        expected: String,
    },
}

impl Refusal {
    /// The kind of refusal.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::Rejected(rejection) => match rejection {
                Rejection::NoSuchStep { .. } => RefusalClass::NotFound,
                Rejection::MayNotDecide { .. } => RefusalClass::Forbidden,
                Rejection::BadOutput { .. }
                | Rejection::BadForm { .. }
                | Rejection::BadQuestion { .. }
                | Rejection::ProofWanted { .. }
                | Rejection::Unproven { .. }
                | Rejection::NoSuchOption { .. } => RefusalClass::Invalid,
                Rejection::NotInState { .. }
                | Rejection::StaleToken { .. }
                | Rejection::AlreadyEnded { .. }
                | Rejection::OtherContent { .. }
                | Rejection::AlreadyDecided { .. }
                | Rejection::Paused { .. }
                | Rejection::RunClosed { .. } => RefusalClass::Conflict,
            },
            Self::NotFound { .. } | Self::Schedule(ScheduleRejection::Withdrawn) => {
                RefusalClass::NotFound
            }
            Self::Gone(_)
            | Self::Rewind(RewindRefusal::Archived { .. } | RewindRefusal::Trimmed { .. }) => {
                RefusalClass::Gone
            }
            Self::Forbidden(_) => RefusalClass::Forbidden,
            Self::Ambiguous { .. }
            | Self::Exists(_)
            | Self::KeyTaken { .. }
            | Self::Fork(_)
            | Self::NoSlot { .. }
            | Self::Locked { .. }
            | Self::StaleLock { .. }
            | Self::NotYourTurn { .. }
            | Self::FilesTaken { .. }
            | Self::Declared { .. }
            | Self::HoldsTasks { .. }
            | Self::CrewFull(_)
            | Self::OtherVersion { .. } => RefusalClass::Conflict,
            Self::BadName { .. }
            | Self::BadTask(_)
            | Self::BadInputs { .. }
            | Self::BadSettings { .. }
            | Self::BadSchedule(_)
            | Self::BadKey { .. }
            | Self::OtherBody { .. }
            | Self::Rewind(_)
            | Self::Schedule(_)
            | Self::LongProgress { .. }
            | Self::BadAgent(_)
            | Self::Unstorable(_) => RefusalClass::Invalid,
            Self::LostRace | Self::Busy => RefusalClass::Busy,
            Self::Full(_) => RefusalClass::Full,
            Self::Unknown(_) | Self::Unreadable(_) => RefusalClass::Unknown,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => match rejection {
                Rejection::NoSuchStep { .. } => "no_such_step",
                Rejection::NotInState { .. } => "not_in_state",
                Rejection::StaleToken { .. } => "stale_token",
                Rejection::AlreadyEnded { .. } => "already_ended",
                Rejection::BadOutput { .. } => "schema.output",
                Rejection::OtherContent { .. } => "other_content",
                Rejection::NoSuchOption { .. } => "no_such_option",
                Rejection::BadForm { .. } => "schema.form",
                Rejection::BadQuestion { .. } => "bad_question",
                // One that comes to light: nobody here can look at files.
                Rejection::ProofWanted { .. } | Rejection::Unproven { .. } => "acceptance",
                Rejection::AlreadyDecided { .. } => "already_decided",
                Rejection::MayNotDecide { .. } => "may_not_decide",
                Rejection::Paused { .. } => "paused",
                Rejection::RunClosed { .. } => "run_closed",
            },
            Self::NotFound { .. } | Self::Schedule(ScheduleRejection::Withdrawn) => "not_found",
            Self::Gone(_)
            | Self::Rewind(RewindRefusal::Archived { .. } | RewindRefusal::Trimmed { .. }) => {
                "gone"
            }
            Self::Rewind(_) => "bad_moment",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Exists(_) => "exists",
            Self::Forbidden(_) => "forbidden",
            Self::BadName { .. } | Self::BadTask(_) => "bad_name",
            Self::BadInputs { .. } => "schema.input",
            Self::BadSettings { .. } => "schema.config",
            Self::BadSchedule(_) | Self::Schedule(_) => "bad_schedule",
            Self::Fork(ForkRefusal::Irreversible { .. }) => "irreversible",
            Self::Fork(_) => "cannot_fork",
            Self::OtherBody { .. } => "other_body",
            Self::KeyTaken { .. } => "key_taken",
            Self::BadKey { .. } => "expr",
            Self::NoSlot { .. } => "no_slot",
            Self::LostRace => "lost_race",
            Self::Unknown(_) => "unknown_outcome",
            Self::Unreadable(_) => "unreadable",
            Self::Unstorable(_) => "unstorable",
            Self::Busy => "busy",
            Self::Full(_) => "disk_full",
            Self::Locked { .. } => "locked",
            Self::StaleLock { .. } => "stale_token",
            Self::NotYourTurn { .. } => "turn",
            Self::FilesTaken { .. } => "files.taken",
            Self::OtherVersion { .. } => "version",
            Self::LongProgress { .. } => "progress_too_long",
            Self::Declared { .. } => "declared",
            Self::BadAgent(_) => "bad_agent",
            Self::HoldsTasks { .. } => "holds_tasks",
            Self::CrewFull(_) => "crew_full",
        }
    }

    /// What the values were that broke a schema, one line each.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Rejected(
                Rejection::BadOutput { violations, .. }
                | Rejection::BadForm { violations, .. }
                | Rejection::Unproven {
                    unmet: violations, ..
                },
            )
            | Self::BadInputs { violations, .. }
            | Self::BadSettings { violations, .. } => violations,
            _ => &[],
        }
    }

    /// What was wrong, with every value that broke a schema, for a fact that keeps it.
    pub(super) fn in_words(&self) -> String {
        let line = |v: &Violation| format!("{}: {}", v.path, v.message);
        let lines: Vec<_> = self.violations().iter().map(line).collect();
        match lines.is_empty() {
            true => self.to_string(),
            false => format!("{self}: {}", lines.join("; ")),
        }
    }

    pub(super) fn no_run(id: &str) -> Self {
        Self::NotFound {
            what: "run",
            id: id.to_owned(),
        }
    }
}
