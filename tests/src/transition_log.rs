//! The transition log of a whole store: runs and agents, in the order of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync::coordinator::AgentEvent;
use phisync::engine::{RunEvent, RunId, RunState, Transition, apply_traced, fold};
use phisync_state::{Record, Seq, Store, Timestamp};
use phisync_workflows::Machine;
use serde_json::Value;

use crate::compiled;

/// One line of the log, and the run it is about.
struct Line {
    run: Option<RunId>,
    text: String,
}

/// Every record of a store, in order.
///
/// # Panics
/// If the store cannot be read.
pub fn records(store: &dyn Store) -> Vec<Record> {
    let mut records = Vec::new();
    let mut visit = |record| {
        records.push(record);
        true
    };
    store
        .scan("", Seq(0), &mut visit)
        .expect("the store can be read");
    records
}

/// The log of everything in `store`, times counted from `start`. Lines begin with their run if
/// there are several.
///
/// # Panics
/// If a record is not one of ours.
pub fn render(store: &dyn Store, start: Timestamp) -> String {
    let mut replay = Replay::default();
    let mut lines = Vec::new();
    for record in &records(store) {
        let (run, transitions) = replay.transitions(record);
        lines.extend(transitions.iter().map(|transition| Line {
            run: run.clone(),
            text: transition.line(record.seq.0, record.at, start),
        }));
    }
    let ids = replay.runs.keys().map(|id| id.as_str().len());
    let width = ids.max().filter(|_| replay.runs.len() > 1);
    let margin = lines.iter().map(|line| margin(&line.text)).min();
    let texts = lines.iter().map(|line| {
        let text = &line.text[margin.unwrap_or(0)..];
        let run = line.run.as_ref().map_or("", RunId::as_str);
        match width {
            Some(width) => format!("{run:<width$} {text}"),
            None => text.to_owned(),
        }
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What changed, without sequence numbers and times: the same for two stores in which the same
/// happened, even if other records stand between. Opinions about agents are left out.
///
/// # Panics
/// If a record is not one of ours.
pub fn changes(store: &dyn Store) -> Vec<String> {
    let mut replay = Replay::default();
    let mut lines = Vec::new();
    for record in &records(store) {
        if let (Some(run), transitions) = replay.transitions(record) {
            lines.extend(transitions.iter().map(|t| format!("{run}: {t}")));
        }
    }
    lines
}

/// What is known after some of a store's records.
#[derive(Default)]
struct Replay {
    machines: BTreeMap<String, Arc<Machine>>,
    runs: BTreeMap<RunId, RunState>,
    facts: BTreeMap<RunId, Vec<RunEvent>>,
}

impl Replay {
    fn transitions(&mut self, record: &Record) -> (Option<RunId>, Vec<Transition>) {
        let stream = record.stream.as_str();
        if let Some(agent) = stream.strip_prefix("agent/") {
            let event = serde_json::from_str::<AgentEvent>(&record.event);
            let event = event.expect("a fact about an agent");
            return (None, event.transition(agent).into_iter().collect());
        }
        if !stream.starts_with("run/") && !stream.starts_with("workflow/") {
            return (None, Vec::new());
        }
        let Some(id) = stream.strip_prefix("run/").and_then(RunId::parse) else {
            let event = serde_json::from_str::<Value>(&record.event);
            let event = event.expect("a fact that is JSON");
            // Streams of events and schedules change no run by themselves.
            if let Some(source) = event["definition_registered"]["source"].as_str() {
                let machine = compiled(source);
                self.machines.insert(machine.hash().to_owned(), machine);
            }
            return (None, Vec::new());
        };
        let event = serde_json::from_str::<RunEvent>(&record.event);
        let event = event.expect("a fact about a run");
        if let RunEvent::RunStarted { definition, .. } = &event {
            let machine = self.machines.get(definition);
            let machine = Arc::clone(machine.expect("a registered definition"));
            self.runs
                .insert(id.clone(), RunState::new(machine, id.clone()));
        }
        let facts = self.facts.entry(id.clone()).or_default();
        let run = self.runs.get_mut(&id);
        let run = run.expect("a run begins with its start");
        let transitions = apply_traced(run, &event);
        facts.push(event);
        if let Some(RunEvent::RunRewound { .. }) = facts.last() {
            *run = fold(&Arc::clone(&run.machine), &id, facts);
        }
        (Some(id), transitions)
    }
}

fn margin(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
