//! A journal that version 1 wrote is replayed for ever. The fixture is never regenerated: a change
//! that makes its log differ is a change of the format, or of the words that people know.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Coordinator, ListFilter, Now};
use phisync_agents::registry::Registry;
use phisync_state::env::{OsDisk, SeededEntropy};
use phisync_state::{Entry, Expected, MemoryStore, Store, StreamName, Timestamp, dump};
use phisync_tests::{BEGINNING, transition_log};
use serde_json::Value;

/// The fixture's records, in memory.
fn fixture() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-v1/endings");
    let mut copy = |record: phisync_state::Record| {
        let entry = Entry {
            stream: record.stream,
            expected: Expected::Version(record.version - 1),
            events: vec![record.event],
        };
        store
            .append(record.at, vec![entry])
            .expect("the fixture is in order");
    };
    dump(&OsDisk, &data, &mut copy).expect("the fixture is sound");
    store
}

#[test]
fn the_journal_of_version_1_tells_the_same_as_ever() {
    let log = transition_log::render(&*fixture(), BEGINNING);
    insta::assert_snapshot!("endings_v1", log);
}

#[test]
fn the_runs_of_version_1_stand_where_they_stood() {
    insta::assert_snapshot!(standing(fixture(), 600), @r"
    r13 running forward (undo: none): waits for its open steps
        step first: waits for DC to take it
    r12 running forward (undo: none): waits for its open steps
        step second: waits for its back-off to end
    r11 running forward (undo: none): waits for its open steps
        step second: waits for a result from webc, or the end of its lease
    r10 running compensating (undo: none): waits for a person: `first` could not be undone (retry, skip or abandon)
    r9 running forward (undo: none): waits for its open steps
        step sign: waits for a decision by lead
    r8 cancelled closed (undo: none): it is closed
    r7 cancelled closed (undo: done): it is closed
    r6 failed closed (undo: done): it is closed: app.no: it cannot be done
    r5 failed closed (undo: abandoned): it is closed: app.no: it cannot be done
    r4 failed closed (undo: partial): it is closed: app.no: it cannot be done
    r3 failed closed (undo: done): it is closed: approval.rejected: rejected by dana
    r2 failed closed (undo: none): it is closed: app.no: it cannot be done
    r1 completed closed (undo: none): it is closed
    ");
}

/// Where the runs and schedules of a store stand, so many seconds after the beginning.
fn standing(store: Arc<MemoryStore>, seconds: u64) -> String {
    let now = Now {
        wall: BEGINNING.saturating_add(Duration::from_secs(seconds)),
        mono: Duration::ZERO,
    };
    let dice = Box::new(SeededEntropy::new(1));
    let team = "agents: { DC: , WEBC: }\npeople: { dana: { roles: [lead] } }";
    let registry = Registry::parse("agents.yaml", team).expect("a sound team");
    let coordinator = Coordinator::open(store, 1, registry, dice, None, now);
    let coordinator = coordinator.expect("the fixture can be read");
    let filter = ListFilter {
        limit: 99,
        ..ListFilter::default()
    };
    let mut lines = Vec::new();
    for row in coordinator.list(&filter) {
        let run = row.summary;
        let id = phisync::engine::RunId::parse(&run.id).expect("a sound id");
        let why = coordinator.why(&id, None, now).expect("it is there");
        let (undo, text) = (&run.undo, &why.text);
        lines.push(format!(
            "{} {} {} (undo: {undo}): {text}",
            run.id, run.status, run.phase
        ));
        let because = why.because.iter();
        lines.extend(because.map(|below| format!("    {}: {}", below.subject, below.text)));
    }
    for schedule in coordinator.schedules(now) {
        let schedule = serde_json::to_string(&schedule).expect("it prints");
        lines.push(format!("schedule {schedule}"));
    }
    lines.join("\n")
}

/// A journal of version 1 as a list of records, in memory.
fn listed(name: &str) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-v1");
    let text = std::fs::read_to_string(fixtures.join(name)).expect("the fixture is there");
    assert!(!text.is_empty());
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("the fixture is JSON");
        let stream = StreamName::new(line["stream"].as_str().expect("a stream"));
        let entry = Entry {
            expected: Expected::Version(store.version(&stream)),
            stream,
            events: vec![line["event"].to_string()],
        };
        let at = Timestamp::from_micros(line["at"].as_i64().expect("a time"));
        store.append(at, vec![entry]).expect("in order");
    }
    store
}

#[test]
fn blocks_of_version_1_tell_the_same_as_ever() {
    let log = transition_log::render(&*listed("blocks.jsonl"), BEGINNING);
    insta::assert_snapshot!("blocks_v1", log);
}

#[test]
fn states_of_version_1_tell_the_same_as_ever() {
    let log = transition_log::render(&*listed("states.jsonl"), BEGINNING);
    insta::assert_snapshot!("states_v1", log);
}

/// What a journal tells, and where its runs and schedules stand an hour after its last record.
fn told(name: &str) -> String {
    let store = listed(name);
    let log = transition_log::render(&*store, BEGINNING);
    let last = transition_log::records(&*store)
        .last()
        .map(|record| record.at);
    let last = last.expect("the fixture has records").since(BEGINNING);
    format!("{log}\n\n{}", standing(store, last.as_secs() + 3600))
}

#[test]
fn files_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("files_v1", told("files.jsonl"));
}

#[test]
fn calls_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("calls_v1", told("calls.jsonl"));
}

#[test]
fn sagas_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("sagas_v1", told("sagas.jsonl"));
}

#[test]
fn events_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("events_v1", told("events.jsonl"));
}

#[test]
fn schedules_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("schedules_v1", told("schedules.jsonl"));
}

#[test]
fn questions_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("questions_v1", told("questions.jsonl"));
}

#[test]
fn settings_of_version_1_stand_as_ever() {
    insta::assert_snapshot!("settings_v1", told("settings.jsonl"));
}

#[test]
fn calls_of_version_1_that_were_undone_twice_stand_as_ever() {
    insta::assert_snapshot!("again_v1", told("again.jsonl"));
}

#[test]
fn what_was_heard_in_version_1_stands_as_ever() {
    insta::assert_snapshot!("heard_v1", told("heard.jsonl"));
}
