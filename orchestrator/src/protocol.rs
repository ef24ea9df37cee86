//! What crosses the wire between the server and people: the JSON of `/v1`, version 1.
//!
//! The wire of agents (tasks, polls, reports) stands in `phisync_agents::protocol`. Requests
//! refuse unknown fields; answers may gain fields. Times are RFC 3339 in UTC.

mod control;
mod people;
mod runs;
mod schedules;
mod shared;
mod snapshots;
mod system;
mod tasks;
mod team;
mod tokens;
mod workflows;

pub use control::{
    CancelRequest, ForkRequest, PauseRequest, Paused, ResumeRequest, RetryRequest, SignalRequest,
    Standing,
};
pub use people::{
    ApprovalList, ApprovalSummary, Asks, DecideRequest, IncidentList, IncidentSummary,
    ResolveRequest,
};
pub use runs::{
    EventList, EventRecord, Failure, OnClosed, OnOpen, RunDetail, RunList, RunSummary,
    StartRequest, Started, StepDetail, Why,
};
pub use schedules::{
    BackfillRequest, EventRequest, EventSent, ScheduleDetail, ScheduleList, SchedulePast,
    ScheduleSummary,
};
pub use shared::{
    AcquireRequest, Acquired, ChangedDocument, ChangedFile, DocumentDetail, DocumentList,
    DocumentSummary, DocumentTurn, DocumentWritten, KeptFile, LockList, LockSummary,
    LockTokenRequest, TransactionDetail, TransactionList, TransactionRequest, TransactionSummary,
    TurnReleaseRequest, TurnRequest,
};
pub use snapshots::{
    EffectLeft, RewindAnswer, RewindRequest, RewoundDocument, RewoundRun, RewoundTo, SnapshotList,
    SnapshotSummary, SnapshotTaken, TakenSummary,
};
pub use system::{AlarmList, AlarmSummary, Health, Me, NewestAlarm};
pub use tasks::{Asked, Progress, TaskDetail};
pub use team::{
    AgentDetail, AgentList, AgentRegistered, AgentRegistration, AgentRemoved, AgentSummary,
    AgentWork, DrainRequest, Drained, HeldTask, Judgement, RegisterAgentRequest,
    RemoveAgentRequest, Rhythm, UndrainRequest,
};
pub use tokens::{TokenCreated, TokenList, TokenRequest, TokenSummary};
pub use workflows::{Registered, WorkflowDetail, WorkflowList};
