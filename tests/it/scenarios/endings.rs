//! How runs and blocks end: handlers of the run, `finally`, `finish`, sagas of blocks.

use phisync::engine::{Resolution, RunStatus, Undo};
use phisync_tests::World;
use serde_json::json;

use super::{TEAM, error, outputs, play, started};

fn handled(recover: &str) -> String {
    format!(
        "
workflow: handled
outputs: {{ how: plain }}
steps:
  - {{ id: one, task: a, assign: DC, compensate: {{ task: undo, assign: DC }} }}
  - {{ id: two, needs: one, task: a, assign: DC }}
on_failure:
  - {{ id: tell, task: a, assign: DC, input: {{ why: '${{{{ error.code }}}}', at: '${{{{ error.?step.orValue(\"\") }}}}' }} }}
{recover}
finally:
  - {{ id: tidy, task: a, assign: DC }}
"
    )
}

#[test]
fn a_run_that_failed_is_handled_undone_and_tidied_up() {
    let (mut w, run) = started(&handled(""), json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        if claim.what() == "tell" {
            assert_eq!(
                claim.task.input.get(),
                "{\"why\":\"app.no\",\"at\":\"two\"}"
            );
        }
        match claim.what() {
            "two" => Err("app.no"),
            _ => Ok(json!(null)),
        }
    });
    assert_eq!(seen, ["one", "two", "tell", "one.undo", "tidy"]);
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_run_that_recovers_completes_and_is_not_undone() {
    let recover = "  - recover: { outputs: { how: '${{ error.code }}' } }";
    let (mut w, run) = started(&handled(recover), json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        match claim.what() {
            "two" => Err("app.no"),
            _ => Ok(json!(null)),
        }
    });
    assert_eq!(seen, ["one", "two", "tell", "tidy"]);
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Completed, Undo::None));
    assert_eq!(outputs(&run), json!({ "how": "app.no" }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn finally_runs_after_success_and_cancellation_and_changes_nothing() {
    let (mut w, run) = started(&handled(""), json!({}));
    play(&mut w, |claim| match claim.what() {
        "tidy" => Err("app.untidy"),
        _ => Ok(json!(null)),
    });
    assert_eq!(outputs(&w.run(&run)), json!({ "how": "plain" }));
    assert_eq!(w.run(&run).status, RunStatus::Completed);

    let (mut w, run) = started(&handled(""), json!({}));
    let one = w.take("dc", "one");
    w.cancel("enough");
    w.complete(&one, json!(null));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        Ok(json!(null))
    });
    assert_eq!(seen, ["one.undo", "tidy"]);
    assert_eq!(w.run(&run).status, RunStatus::Cancelled);
}

#[test]
fn a_step_may_finish_the_run_whatever_is_open() {
    let workflow = "
workflow: finish
inputs: { items: 'int[]' }
outputs: { found: '${{ 0 }}' }
steps:
  - id: search
    foreach:
      in: inputs.items
      do:
        - { id: look, task: a, assign: DC, output: int }
        - { id: found, if: 'steps.look.output == 7', finish: { outputs: { found: '${{ item }}' } } }
  - { id: beside, task: a, assign: WEBC }
";
    let (mut w, run) = started(workflow, json!({ "items": [3, 4, 5] }));
    let beside = w.take("webc", "beside");
    let first = w.take("dc", "look.0");
    let second = w.take("dc", "look.1");
    w.complete(&first, json!(1));
    w.complete(&second, json!(7));
    assert!(w.heartbeat(&beside).expect("it holds it").cancel_requested);
    w.complete(&beside, json!(null));
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(outputs(&run), json!({ "found": 4 }));
    insta::assert_snapshot!(w.log());
}

fn saga(rules: &str) -> String {
    format!(
        "
workflow: saga
steps:
  - {{ id: before, task: a, assign: DC, compensate: {{ task: undo, assign: DC }} }}
  - id: booking
    needs: before
    try:
      do:
        - {{ id: flight, task: a, assign: DC, compensate: {{ task: undo, assign: DC, input: {{ why: '${{{{ error.code }}}}' }}, retry: {{ max_attempts: 1 }} }} }}
        - {{ id: hotel, task: a, assign: DC, compensate: {{ task: undo, assign: DC }} }}
        - {{ id: pay, task: a, assign: DC }}
      finally: [ {{ id: tidy, task: a, assign: DC }} ]
      saga: {rules}
    on_failure: continue
  - {{ id: after, needs: booking, task: a, assign: DC }}
"
    )
}

#[test]
fn a_block_with_a_saga_undoes_its_own_steps_only() {
    let (mut w, run) = started(&saga("auto"), json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        match claim.what() {
            "pay" => Err("app.broke"),
            "flight.undo" => {
                assert_eq!(claim.task.input.get(), "{\"why\":\"app.broke\"}");
                Ok(json!(null))
            }
            _ => Ok(json!(null)),
        }
    });
    assert_eq!(
        seen,
        [
            "before",
            "flight",
            "hotel",
            "pay",
            "hotel.undo",
            "flight.undo",
            "tidy",
            "after"
        ]
    );
    assert_eq!(w.run(&run).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn an_undo_of_a_block_that_fails_parks_the_block_alone() {
    let (mut w, run) = started(&saga("auto"), json!({}));
    let refuse = |what: &str| matches!(what, "pay" | "flight.undo");
    play(&mut w, |claim| match claim.what() {
        what if refuse(what) => Err("app.broke"),
        _ => Ok(json!(null)),
    });
    assert_eq!(w.run(&run).status, RunStatus::Running);
    let incidents = w.coordinator().incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].step, "flight");
    w.resolve("flight", Resolution::Skip, "the airline did it")
        .expect("the incident is open");
    play(&mut w, |_| Ok(json!(null)));
    let run = w.run(&run);
    assert_eq!(
        (run.status, run.undo),
        (RunStatus::Completed, Undo::Partial)
    );
    insta::assert_snapshot!(w.log());
}

#[test]
fn an_undo_that_fails_may_be_passed_over() {
    let rules = "{ mode: auto, on_compensation_failure: continue }";
    let (mut w, run) = started(&saga(rules), json!({}));
    play(&mut w, |claim| match claim.what() {
        "pay" | "flight.undo" => Err("app.broke"),
        _ => Ok(json!(null)),
    });
    let run = w.run(&run);
    assert_eq!(
        (run.status, run.undo),
        (RunStatus::Completed, Undo::Partial)
    );
}

#[test]
fn a_saga_undoes_only_what_triggers_it() {
    let rules = "{ mode: auto, triggers: [cancel] }";
    let (mut w, _) = started(&saga(rules), json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        match claim.what() {
            "pay" => Err("app.broke"),
            _ => Ok(json!(null)),
        }
    });
    assert_eq!(seen, ["before", "flight", "hotel", "pay", "tidy", "after"]);
}

#[test]
fn the_saga_of_a_run_undoes_each_item_and_what_blocks_have_done() {
    let workflow = "
workflow: items
steps:
  - id: each
    foreach:
      in: '[1, 2]'
      concurrency: 1
      do: [ { id: book, task: a, assign: DC, compensate: { task: undo, assign: DC, input: { item: '${{ item }}' } } } ]
  - { id: fail, needs: each, fail: { code: app.no, message: no } }
";
    let (mut w, _) = started(workflow, json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(format!("{} {}", claim.what(), claim.task.input.get()));
        Ok(json!(null))
    });
    assert_eq!(
        seen,
        [
            "book.0 {}",
            "book.1 {}",
            "book.1.undo {\"item\":2}",
            "book.0.undo {\"item\":1}"
        ]
    );
}

#[test]
fn a_relaxed_saga_undoes_at_once_what_has_no_order() {
    let workflow = "
workflow: relaxed
saga: { mode: auto, order: relaxed }
steps:
  - { id: first, task: a, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: left, needs: first, task: a, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: right, needs: first, task: a, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: fail, needs: [left, right], fail: { code: app.no, message: no } }
";
    let (mut w, run) = started(workflow, json!({}));
    for step in ["first", "left", "right"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!(null));
    }
    let mut undos = w.poll("dc", 9);
    undos.sort_by(|a, b| a.what().cmp(b.what()));
    let names: Vec<_> = undos.iter().map(|claim| claim.what()).collect();
    assert_eq!(names, ["left.undo", "right.undo"]);
    w.complete(&undos[0], json!(null));
    assert!(w.poll("dc", 1).is_empty(), "first waits for both");
    w.complete(&undos[1], json!(null));
    let last = w.take("dc", "first.undo");
    w.complete(&last, json!(null));
    assert_eq!(w.run(&run).undo, Undo::Done);
}

#[test]
fn timers_and_variables_need_no_agent() {
    let workflow = "
workflow: quiet
vars: { n: { type: integer, default: 1 }, word: { type: string, default: none } }
outputs: { n: '${{ vars.n }}', word: '${{ vars.word }}' }
steps:
  - { id: write, set: { n: '${{ vars.n + 1 }}', word: some } }
  - { id: pause, needs: write, wait: 90s }
  - { id: again, needs: pause, set: { n: '${{ vars.n * 10 }}' } }
  - { id: past, needs: again, wait: { until: '2020-01-01T00:00:00Z' } }
";
    let (mut w, run) = started(workflow, json!({}));
    assert_eq!(w.run(&run).status, RunStatus::Running);
    w.crash_and_reopen();
    w.seconds(90);
    assert_eq!(outputs(&w.run(&run)), json!({ "n": 20, "word": "some" }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_run_whose_handler_fails_stays_failed_by_its_first_error() {
    let (mut w, run) = started(&handled("  - recover: { outputs: { how: x } }"), json!({}));
    play(&mut w, |claim| match claim.what() {
        "two" => Err("app.no"),
        "tell" => Err("app.worse"),
        _ => Ok(json!(null)),
    });
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(error(&run), "app.no: as told");
}

#[test]
fn everything_goes_on_after_a_crash_between_any_two_steps_of_a_block() {
    let mut ends = Vec::new();
    for crash_at in 0..12 {
        let mut w = World::new(&saga("auto"), TEAM);
        w.start();
        let mut tasks = 0;
        loop {
            if tasks == crash_at {
                w.crash_and_reopen();
            }
            let Some(claim) = w.poll("dc", 1).pop() else {
                break;
            };
            tasks += 1;
            match claim.what() {
                "pay" => w.fail(&claim, "app.broke", "no"),
                _ => w.complete(&claim, json!(null)),
            }
        }
        ends.push(w.changes());
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
}
