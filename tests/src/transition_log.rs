//! The transition log of a whole store: runs and agents, in the order of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync::coordinator::AgentEvent;
use phisync::engine::{RunEvent, RunId, RunState, Transition, apply_traced};
use phisync_state::{Record, Seq, Store, Timestamp};
use phisync_workflows::Machine;

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

/// The log of everything in `store`, times counted from `start`. Lines name their run if there
/// are several.
///
/// # Panics
/// If a record is not one of ours.
pub fn render(store: &dyn Store, machines: &[Arc<Machine>], start: Timestamp) -> String {
    let records = records(store);
    let mut runs: BTreeMap<RunId, RunState> = BTreeMap::new();
    let mut lines = Vec::new();
    for record in &records {
        let (run, transitions) = transitions(record, machines, &mut runs);
        lines.extend(transitions.iter().map(|transition| Line {
            run: run.clone(),
            text: transition.line(record.seq.0, record.at, start),
        }));
    }
    let several = runs.len() > 1;
    let widest = lines.iter().map(|line| seq_indent(&line.text)).min();
    let texts = lines.iter().map(|line| {
        let text = &line.text[widest.unwrap_or(0)..];
        match &line.run {
            Some(run) if several => format!("{text}  [{run}]"),
            _ => text.to_owned(),
        }
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What changed, without sequence numbers and times: the same for two stores in which the same
/// happened, even if other records stand between. Opinions about agents are left out.
///
/// # Panics
/// If a record is not one of ours.
pub fn changes(store: &dyn Store, machines: &[Arc<Machine>]) -> Vec<String> {
    let mut runs = BTreeMap::new();
    let mut lines = Vec::new();
    for record in &records(store) {
        if let (Some(run), transitions) = transitions(record, machines, &mut runs) {
            lines.extend(transitions.iter().map(|t| format!("{run}: {t}")));
        }
    }
    lines
}

fn transitions(
    record: &Record,
    machines: &[Arc<Machine>],
    runs: &mut BTreeMap<RunId, RunState>,
) -> (Option<RunId>, Vec<Transition>) {
    let stream = record.stream.as_str();
    if let Some(agent) = stream.strip_prefix("agent/") {
        let event: AgentEvent = serde_json::from_str(&record.event).expect("a fact about an agent");
        return (None, vec![event.transition(agent)]);
    }
    let Some(id) = stream.strip_prefix("run/").and_then(RunId::parse) else {
        return (None, Vec::new());
    };
    let event: RunEvent = serde_json::from_str(&record.event).expect("a fact about a run");
    let run = runs.entry(id.clone()).or_insert_with(|| {
        let RunEvent::RunStarted { definition, .. } = &event else {
            panic!("run `{id}` does not begin with its start");
        };
        let machine = machines.iter().find(|machine| machine.hash() == definition);
        RunState::new(Arc::clone(machine.expect("a known definition")), id.clone())
    });
    (Some(id), apply_traced(run, &event))
}

fn seq_indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
