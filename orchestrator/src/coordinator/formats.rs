//! The facts that runs are started by, as version 1 wrote them: read by every later version. These lines are
//! written once and never again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::RunEvent;
use crate::schedule::ScheduleEvent;

use super::events::EventFact;
use super::keys::{CallEvent, KeyEvent};
use super::limits::LimitEvent;
use super::notices::StoreEvent;
use super::slots::SlotEvent;
use super::team::AgentEvent;
use super::triggers::TriggerFact;

fn check<F: Serialize + DeserializeOwned>(lines: &str) {
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let fact: F = serde_json::from_str(line).expect(line);
        assert_eq!(serde_json::to_string(&fact).expect("a fact prints"), line);
    }
}

#[test]
fn facts_of_version_1_are_read_and_written_as_they_were() {
    check::<ScheduleEvent>(
        r#"
{"schedule_set":{"definition":"7f3a","anchor":1795339800000000,"after":1795339800000000,"at":1795339800000000}}
{"schedule_withdrawn":{"at":1795339800000000}}
{"schedule_paused":{"by":"dana","reason":"holiday","at":1795339800000000}}
{"schedule_resumed":{"by":"dana","at":1795339800000000}}
{"schedule_fired":{"instant":1795339800000000,"run":"r1","at":1795339800000001}}
{"schedule_fired":{"run":"r2","by":"dana","at":1795339800000001}}
{"schedule_queued":{"instant":1795339800000000,"at":1795339800000001}}
{"schedule_skipped":{"instant":1795339800000000,"reason":{"overlap":{"run":"r1"}},"at":1795339800000001}}
{"schedule_skipped":{"instant":1795339800000000,"reason":{"bad_inputs":{"message":"inputs.day: missing"}},"at":1}}
{"schedule_passed":{"after":1795339800000000,"until":1795343400000000,"count":6,"reason":"missed","at":1795343400000001}}
{"schedule_summed":{"definition":"7f3a","anchor":1795339800000000,"cursor":1795339800000000,"taken":[[1795339800000000,1795339800000000]],"queue":[],"paused":{"by":"dana","reason":null,"at":1795339800000000},"runs":["r1"],"past":[{"instant":1795339800000000,"at":1795339800000001,"run":"r1","skipped":null}],"at":1795339800000002}}
{"backfill_requested":{"instants":[1795339800000000],"by":"dana","at":1795343400000001}}
"#,
    );
    check::<KeyEvent>(r#"{"key_taken":{"key":"order-7","run":"r1","at":1795339800000000}}"#);
    check::<CallEvent>(r#"{"call_answered":{"body":"7f3a","run":"r1","at":1795339800000000}}"#);
    check::<SlotEvent>(
        r#"
{"slot_taken":{"run":"r1","at":1795339800000000}}
{"slot_awaited":{"run":"r2","at":1795339800000000}}
{"slot_freed":{"run":"r1","at":1795339800000000}}
"#,
    );
    check::<LimitEvent>(
        r#"
{"task_taken":{"run":"r1","full_at":1795339860000000,"at":1795339800000000}}
{"task_taken":{"run":"r1","at":1795339800000000}}
"#,
    );
    check::<AgentEvent>(
        r#"
{"task_taken":{"run":"r1","full_at":1795339860000000,"at":1795339800000000}}
{"task_taken":{"run":"r1","at":1795339800000000}}
"#,
    );
    check::<RunEvent>(
        r#"{"run_rewound":{"to":7,"by":"dana","reason":"a bad deployment","at":1795339800000000}}"#,
    );
    check::<StoreEvent>(
        r#"{"store_rewound":{"to":40,"since":1795339700000000,"by":"dana","reason":"why","runs":2,"documents":1,"at":1795339800000000}}
{"alarm_raised":{"kind":"tail_cut","about":"journal/1.jsonl","says":"words","at":1795339800000000}}"#,
    );
    check::<EventFact>(
        r#"{"event_received":{"data":{"sha":"7f3"},"key":"k","by":"dana","at":1795339800000000}}"#,
    );
    check::<TriggerFact>(
        r#"
{"triggers_set":{"definition":"7f3a","at":1795339800000000}}
{"trigger_fired":{"trigger":0,"event":"push.done","number":1,"run":"r1","dedupe":"\"7f3\"","at":1795339800000000}}
{"trigger_skipped":{"trigger":0,"event":"push.done","number":2,"reason":"enough","at":1795339800000000}}
"#,
    );
}

#[test]
fn a_lost_signal_is_read_and_written_as_it_was() {
    check::<RunEvent>(
        r#"{"signal_lost":{"step":"call","signal":"go","to":"r9","why":"there is no run `r9`","at":1795339800000000}}"#,
    );
}

#[test]
fn facts_of_questions_progress_and_proof_are_read_and_written_as_they_were() {
    check::<RunEvent>(
        r#"
{"task_asked":{"step":"text","token":4,"question":"Which?","shown_hash":"7f3a","at":1795339800000000,"deadline":1795944600000000}}
{"task_asked":{"step":"text","undo":true,"token":9,"question":"How many?","form":{"type":"object"},"shown_hash":"7f3a","at":1,"deadline":2}}
{"task_answered":{"step":"text","by":"dana","text":"This one.","at":1795339800000001,"queue_deadline":1795426200000001}}
{"task_answered":{"step":"text","undo":true,"by":"owner","form":{"pages": 2},"at":1,"queue_deadline":2}}
{"task_progressed":{"step":"text","token":4,"progress":{"page":3},"said_at":1795339800000000,"at":1795339860000000}}
{"task_wrote":{"step":"text","token":4,"transaction":"tx-1","documents":[{"name":"plan","version":3}],"files":[{"in":"here","path":"src/a.rs"}],"at":1795339800000000}}
{"task_wrote":{"step":"text","undo":true,"token":9,"transaction":"tx-2","at":1}}
{"task_unproven":{"step":"text","token":4,"unmet":[{"what":"out/report.md","why":"there is no such file"}],"at":1795339800000000}}
"#,
    );
}
