//! What happens to a run, told by its transition log: a few lines of story, then the log that a
//! user reads afterwards.

mod approvals;
mod attempts;
mod blocks;
mod bounds;
mod cancelling;
mod clocks;
mod dispatch;
mod expressions;
mod incidents;
mod joins;
mod leases;
mod pausing;
mod results;
mod sagas;
mod schedules;
mod starts;

/// A team that is never suspected within a story.
const TEAM: &str = "\
agents:
  DC: { capabilities: [plan, write], concurrency: 2, silence: 30d }
  WEBC: { capabilities: [web, write], concurrency: 3, silence: 30d }
  VSSC: { capabilities: [code], concurrency: 2, silence: 30d }
people:
  dana: { roles: [lead] }
  robin: { roles: [lead] }
  kim: { roles: [guest] }
";
