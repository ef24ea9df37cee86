//! What happens to a run, told by its transition log: a few lines of story, then the log that a
//! user reads afterwards.

mod again;
mod approvals;
mod assigning;
mod attempts;
mod blocks;
mod bounds;
mod calls;
mod cancelling;
mod clocks;
mod dispatch;
mod draining;
mod endings;
mod events;
mod expressions;
mod files;
mod handoffs;
mod incidents;
mod joins;
mod keeping;
mod leases;
mod limits;
mod pausing;
mod policies;
mod proofs;
mod questions;
mod results;
mod rewinding;
mod sagas;
mod schedules;
mod settings;
mod starts;
mod states;
mod undo_steps;
mod watchdog;
mod why;

use phisync::engine::{RunId, RunState};
use phisync_tests::{Claim, World};
use serde_json::Value;

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

/// What an agent answers to a task.
type Answer = Result<Value, &'static str>;

/// Lets `dc` do everything that it is offered, one task at a time.
fn play(w: &mut World, mut answer: impl FnMut(&Claim) -> Answer) {
    for _ in 0..100_000 {
        let Some(claim) = w.poll("dc", 1).pop() else {
            return;
        };
        match answer(&claim) {
            Ok(output) => w.complete(&claim, output),
            Err(code) => w.fail(&claim, code, "as told"),
        }
    }
    panic!("the work does not end");
}

fn started(workflow: &str, inputs: Value) -> (World, RunId) {
    let mut w = World::new(workflow, TEAM);
    let run = w.start_with(inputs);
    (w, run)
}

fn outputs(run: &RunState) -> Value {
    run.outputs
        .as_ref()
        .map_or(Value::Null, |outputs| outputs.parse())
}

fn error(run: &RunState) -> String {
    let error = run.error.as_ref();
    error.map_or_else(String::new, |error| {
        format!("{}: {}", error.code, error.message)
    })
}
