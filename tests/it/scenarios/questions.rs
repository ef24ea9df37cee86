//! Questions of agents: asked under a token, answered by people, and what becomes of the task.

use phisync::coordinator::{Decider, Refusal, Said};
use phisync::engine::{Rejection, RunStatus};
use phisync_tests::World;
use serde_json::{Value, json};

use super::TEAM;

const HOUR: u64 = 3600;

/// One task that any of two agents can do; `more` goes into the step.
fn writing(more: &str) -> World {
    let workflow = format!(
        "
workflow: writing
steps:
  - id: text
    task: text
    assign: {{ capabilities: [write] }}
    timeouts: {{ lease: 20s }}
{more}
"
    );
    let mut w = World::new(&workflow, TEAM);
    w.start();
    w
}

fn rejection<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> Rejection {
    match answer {
        Err(Refusal::Rejected(rejection)) => rejection,
        other => panic!("not refused by the engine: {other:?}"),
    }
}

fn answers(handoff: &Option<Value>) -> Value {
    handoff.as_ref().expect("there was somebody before")["answers"].clone()
}

#[test]
fn a_question_parks_the_task_and_its_answer_brings_it_back_to_the_same_agent() {
    let mut w = writing("");
    let first = w.take("webc", "text");
    w.ask(&first, "British or American?", None)
        .expect("it holds the task");
    // No lease runs out while people think.
    w.seconds(2 * HOUR);
    assert!(w.poll("dc", 1).is_empty(), "nobody gets it meanwhile");
    w.reply("text", "kim", "British").expect("a person may");
    assert!(
        w.poll("dc", 1).is_empty(),
        "whoever asked comes first: it knows most"
    );
    let second = w.take("webc", "text");
    assert!(second.task.token > first.task.token);
    assert_eq!(
        answers(&second.task.handoff),
        json!([{
            "question": "British or American?", "asked_by": "webc",
            "answer": "British", "by": "kim", "at": "2026-11-22T11:30:00.000Z",
        }])
    );
    w.complete(&second, json!({}));
    insta::assert_snapshot!(w.log());
}

#[test]
fn an_old_token_asks_nothing_and_the_same_question_twice_is_one() {
    let mut w = writing("");
    let first = w.take("webc", "text");
    w.ask(&first, "Which?", None).expect("it holds the task");
    let head = w.store().head().seq;
    w.ask(&first, "Which?", None)
        .expect("the first answer again");
    assert!(matches!(
        rejection(w.ask(&first, "Which then?", None)),
        Rejection::AlreadyEnded { .. }
    ));
    assert!(matches!(
        rejection(w.heartbeat(&first)),
        Rejection::StaleToken { .. }
    ));
    assert!(matches!(
        rejection(w.try_complete(&first, json!({}))),
        Rejection::StaleToken { .. }
    ));
    assert_eq!(w.store().head().seq, head, "nothing was written");
    w.reply("text", "dana", "This one").expect("a person may");
    let second = w.take("webc", "text");
    w.seconds(30);
    let third = w.take("dc", "text");
    let head = w.store().head().seq;
    for late in [&first, &second] {
        let refused = rejection(w.ask(late, "Late?", None));
        assert!(
            matches!(
                refused,
                Rejection::StaleToken { .. } | Rejection::AlreadyEnded { .. }
            ),
            "{refused:?}"
        );
    }
    assert_eq!(w.store().head().seq, head, "nothing was written");
    w.complete(&third, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn only_those_named_may_answer_and_never_the_one_who_asked() {
    let mut w = writing("    ask: { from: { roles: [lead], agents: [DC, WEBC] }, timeout: 1d }");
    let first = w.take("webc", "text");
    w.ask(&first, "May I?", None).expect("it holds the task");
    let asked = w.coordinator().approvals();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].roles, ["lead"]);
    assert!(matches!(
        rejection(w.reply("text", "kim", "yes")),
        Rejection::MayNotDecide { .. }
    ));
    let now = w.now();
    let itself = Decider::Agent("webc".to_owned());
    let said = Said {
        decision: "answer",
        comment: Some("yes"),
        form: None,
    };
    let own = w
        .coordinator()
        .decide_approval("r1.text", &said, &itself, None, now);
    assert!(matches!(rejection(own), Rejection::MayNotDecide { .. }));
    let other = Said {
        decision: "approve",
        ..said
    };
    let lead = Decider::Person("dana".to_owned());
    let wrong = w
        .coordinator()
        .decide_approval("r1.text", &other, &lead, None, now);
    assert!(matches!(rejection(wrong), Rejection::NoSuchOption { .. }));
    assert!(matches!(
        rejection(w.reply("text", "dana", " ")),
        Rejection::BadForm { .. }
    ));
    w.reply("text", "dana", "yes").expect("a lead may");
    w.reply("text", "dana", "yes")
        .expect("the same again is the same answer");
    assert!(matches!(
        rejection(w.reply("text", "dana", "no")),
        Rejection::AlreadyDecided { .. }
    ));
    assert!(matches!(
        rejection(w.reply("text", "robin", "no")),
        Rejection::NotInState { .. }
    ));
}

#[test]
fn a_form_is_filled_in_as_asked() {
    let mut w = writing("");
    let first = w.take("webc", "text");
    let form = json!({
        "type": "object", "required": ["pages"], "properties": { "pages": { "type": "integer" } },
    });
    let bad = w.ask(&first, "How long?", Some(json!({"type": "page"})));
    assert!(matches!(rejection(bad), Rejection::BadQuestion { .. }));
    w.ask(&first, "How long?", Some(form)).expect("a schema");
    let wrong = w.answer("text", "dana", "answer", Some(json!({"pages": "two"})));
    assert!(matches!(rejection(wrong), Rejection::BadForm { .. }));
    w.answer("text", "dana", "answer", Some(json!({"pages": 2})))
        .expect("as the form asks");
    let second = w.take("webc", "text");
    assert_eq!(
        answers(&second.task.handoff)[0]["form"],
        json!({"pages": 2})
    );
}

#[test]
fn a_question_that_nobody_answers_ends_the_attempt() {
    let mut w = writing(
        "    ask: { timeout: 1h }\n    retry: { max_attempts: 2, delay: 10s, jitter: none, errors: [approval] }",
    );
    let first = w.take("webc", "text");
    w.ask(&first, "Which?", None).expect("it holds the task");
    w.seconds(HOUR + 10);
    let second = w.take("dc", "text");
    w.ask(&second, "Which?", None).expect("it holds the task");
    w.seconds(HOUR);
    assert_eq!(w.status(), RunStatus::Failed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_run_that_ends_takes_its_questions_with_it_and_undoes_what_may_have_happened() {
    let mut w = writing("    compensate: { task: clean, assign: DC }");
    let first = w.take("webc", "text");
    w.ask(&first, "Which?", None).expect("it holds the task");
    w.cancel("not needed");
    assert!(w.coordinator().approvals().is_empty());
    assert!(matches!(
        rejection(w.reply("text", "dana", "this")),
        Rejection::NotInState { .. }
    ));
    let undo = w.take("dc", "text.undo");
    w.ask(&undo, "Really?", None).expect("an undo may ask too");
    w.reply("text.undo", "dana", "yes").expect("a person may");
    let undo = w.take("dc", "text.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
    insta::assert_snapshot!(w.log());
}

#[test]
fn whoever_is_asked_to_stop_asks_no_more() {
    let mut w = writing("");
    let first = w.take("webc", "text");
    w.cancel("not needed");
    assert!(matches!(
        rejection(w.ask(&first, "Why?", None)),
        Rejection::NotInState { .. }
    ));
    w.fail(&first, "cancelled", "stopped");
    assert_eq!(w.status(), RunStatus::Cancelled);
}

#[test]
fn a_question_outlives_the_server_and_a_pause_stops_its_clock() {
    let mut w = writing("    ask: { timeout: 1h }");
    let first = w.take("webc", "text");
    w.ask(&first, "Which?", None).expect("it holds the task");
    w.crash_and_reopen();
    let run = phisync::engine::RunId::parse("r1").expect("a sound id");
    let now = w.now();
    w.coordinator()
        .pause(&run, "dana", None, now)
        .expect("it is open");
    w.seconds(3 * HOUR);
    let now = w.now();
    w.coordinator()
        .resume_run(&run, "dana", now)
        .expect("it is paused");
    w.seconds(HOUR - 1);
    w.reply("text", "dana", "this").expect("just in time");
    let second = w.take("webc", "text");
    w.complete(&second, json!({}));
}

#[test]
fn somebody_else_goes_on_if_the_one_who_asked_is_dead_but_not_with_what_is_done_once_only() {
    let team = "\
agents:
  DC: { capabilities: [write], silence: 30d }
  WEBC: { capabilities: [write], silence: 1m }
people: { dana: { roles: [lead] } }
";
    for (effects, goes_on) in [("write", true), ("irreversible", false)] {
        let workflow = format!(
            "
workflow: one
steps:
  - {{ id: text, task: text, assign: {{ capabilities: [write] }}, effects: {effects} }}
"
        );
        let mut w = World::new(&workflow, team);
        w.start();
        let first = w.take("webc", "text");
        w.ask(&first, "Which?", None).expect("it holds the task");
        w.reply("text", "dana", "this").expect("a person may");
        w.seconds(30);
        assert!(w.poll("dc", 1).is_empty(), "it may still come");
        w.seconds(31);
        assert_eq!(w.poll("dc", 1).len() == 1, goes_on, "{effects}");
    }
}

#[test]
fn a_task_asks_a_bounded_number_of_times() {
    let mut w = writing("");
    for round in 0..16 {
        let claim = w.take("webc", "text");
        w.ask(&claim, &format!("And {round}?"), None)
            .expect("it holds the task");
        w.reply("text", "dana", "yes").expect("a person may");
    }
    let claim = w.take("webc", "text");
    let refused = rejection(w.ask(&claim, "And now?", None));
    assert!(matches!(refused, Rejection::BadQuestion { .. }));
    w.complete(&claim, json!({}));
}

#[test]
fn why_names_whom_a_question_waits_for() {
    let mut w = writing("    ask: { from: { roles: [lead] }, timeout: 1d }");
    let claim = w.take("webc", "text");
    w.ask(&claim, "British or American?", None)
        .expect("it holds the task");
    let run = phisync::engine::RunId::parse("r1").expect("a sound id");
    let now = w.now();
    let why = w.coordinator().why(&run, None, now).expect("it is there");
    let task = &why.because[0].because[0];
    assert_eq!(
        (task.state.as_str(), task.waker.as_str()),
        ("asking", "person")
    );
    assert_eq!(
        task.text,
        "waits for an answer of lead to webc: British or American?"
    );
}
