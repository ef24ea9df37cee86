//! Steps that run bodies: sequences, cases, branches, items, iterations, handlers.

use phisync::engine::{RunId, RunStatus};
use phisync_tests::World;
use serde_json::{Value, json};

use super::{error, outputs, play, started};

#[test]
fn a_sequence_runs_in_order_and_yields() {
    let workflow = "
workflow: sequence
outputs: { both: '${{ steps.pair.output }}' }
steps:
  - id: pair
    do:
      - { id: one, task: count, assign: DC }
      - { id: two, task: count, assign: DC, input: { before: '${{ steps.one.output }}' } }
    yield: ['${{ steps.one.output }}', '${{ steps.two.output }}']
  - { id: last, needs: pair, task: count, assign: DC }
";
    let (mut w, run) = started(workflow, json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        Ok(json!(seen.len()))
    });
    assert_eq!(seen, ["one", "two", "last"]);
    assert_eq!(outputs(&w.run(&run)), json!({ "both": [1, 2] }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_failure_inside_fails_the_block_with_its_own_code() {
    let workflow = "
workflow: inner
steps:
  - id: block
    do:
      - { id: one, task: a, assign: DC }
      - { id: two, task: a, assign: DC }
  - { id: last, needs: block, task: a, assign: DC }
";
    let (mut w, run) = started(workflow, json!({}));
    play(&mut w, |claim| match claim.what() {
        "one" => Err("app.broken"),
        _ => Ok(json!(null)),
    });
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(error(&run), "app.broken: as told");
    assert_eq!(run.failed_step.as_deref(), Some("block"));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_block_is_tried_again_from_its_beginning() {
    let workflow = "
workflow: again
steps:
  - id: block
    do:
      - { id: one, task: a, assign: DC }
      - { id: two, task: a, assign: DC }
    retry: { max_attempts: 3, backoff: fixed, delay: 10s, jitter: none, errors: [app.flaky] }
";
    let (mut w, run) = started(workflow, json!({}));
    let mut seen = Vec::new();
    for _ in 0..3 {
        play(&mut w, |claim| {
            seen.push(claim.what().to_owned());
            match claim.what() {
                "two" | "two~2" => Err("app.flaky"),
                _ => Ok(json!(null)),
            }
        });
        w.seconds(10);
    }
    assert_eq!(seen, ["one", "two", "one~2", "two~2", "one~3", "two~3"]);
    assert_eq!(w.run(&run).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

const SWITCH: &str = "
workflow: route
inputs: { n: int }
outputs: { way: '${{ steps.way.output.case }}' }
steps:
  - id: way
    switch:
      cases:
        - { id: low, when: 'inputs.n < 10', do: [ { id: small, task: a, assign: DC } ] }
        - { id: none, when: 'inputs.n == 10', do: [] }
        - { id: odd, when: 'inputs.n == 11', do: [ { id: eleven, task: a, assign: DC } ], yield: '${{ steps.eleven.output }}' }
      default:
        - { id: big, task: a, assign: DC }
  - { id: last, needs: way, task: a, assign: DC }
";

#[test]
fn a_switch_takes_the_first_case_that_is_true() {
    for (n, case, wanted) in [
        (1, "low", "small"),
        (10, "none", "last"),
        (11, "odd", "eleven"),
        (12, "default", "big"),
    ] {
        let (mut w, run) = started(SWITCH, json!({ "n": n }));
        let mut seen = Vec::new();
        play(&mut w, |claim| {
            seen.push(claim.what().to_owned());
            Ok(json!({ "n": n }))
        });
        assert_eq!(seen.first().map(String::as_str), Some(wanted));
        assert_eq!(outputs(&w.run(&run)), json!({ "way": case }));
        if n == 11 {
            insta::assert_snapshot!(w.log());
        }
    }
}

#[test]
fn a_switch_without_a_true_case_fails_or_is_skipped() {
    for (default, status) in [("fail", RunStatus::Failed), ("skip", RunStatus::Completed)] {
        let workflow = format!(
            "
workflow: route
steps:
  - id: way
    switch:
      cases: [ {{ id: low, when: 'run.attempt > 1', do: [ {{ id: small, task: a, assign: DC }} ] }} ]
      default: {default}
  - {{ id: last, needs: way, task: a, assign: DC }}
"
        );
        let (mut w, run) = started(&workflow, json!({}));
        play(&mut w, |_| Ok(json!(null)));
        assert_eq!(w.run(&run).status, status);
    }
}

fn fork(join: &str, more: &str) -> String {
    format!(
        "
workflow: fork
outputs: {{ all: '${{{{ steps.fork.output }}}}' }}
steps:
  - id: fork
    parallel:
      branches:
        left: [ {{ id: l1, task: a, assign: DC }}, {{ id: l2, task: a, assign: DC }} ]
        right: [ {{ id: r1, task: a, assign: WEBC }} ]
      join: {join}
{more}"
    )
}

#[test]
fn branches_run_at_once_and_are_joined() {
    let (mut w, run) = started(&fork("all", ""), json!({}));
    let right = w.take("webc", "r1");
    play(&mut w, |claim| Ok(json!(claim.what())));
    assert_eq!(w.run(&run).status, RunStatus::Running);
    w.complete(&right, json!("r"));
    assert_eq!(
        outputs(&w.run(&run)),
        json!({ "all": { "left": "l2", "right": "r" } })
    );
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_branch_that_fails_stops_the_others() {
    let (mut w, run) = started(&fork("all", ""), json!({}));
    let right = w.take("webc", "r1");
    let left = w.take("dc", "l1");
    w.fail(&right, "app.right", "no");
    assert!(w.heartbeat(&left).expect("it holds it").cancel_requested);
    w.complete(&left, json!(1));
    let run = w.run(&run);
    assert_eq!(error(&run), "app.right: branch `right`: no");
    insta::assert_snapshot!(w.log());
}

#[test]
fn without_fail_fast_the_others_run_to_their_end() {
    let (mut w, run) = started(&fork("all", "      fail_fast: false\n"), json!({}));
    let right = w.take("webc", "r1");
    w.fail(&right, "app.right", "no");
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        Ok(json!(null))
    });
    assert_eq!(seen, ["l1", "l2"]);
    assert_eq!(error(&w.run(&run)), "app.right: branch `right`: no");
}

#[test]
fn the_first_branch_stops_the_slower_ones() {
    let (mut w, run) = started(&fork("first", ""), json!({}));
    let right = w.take("webc", "r1");
    let left = w.take("dc", "l1");
    w.complete(&right, json!("r"));
    assert!(w.heartbeat(&left).expect("it holds it").cancel_requested);
    w.fail(&left, "cancelled", "stopped");
    assert_eq!(outputs(&w.run(&run)), json!({ "all": { "right": "r" } }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_branch_may_fail_while_enough_others_can_succeed() {
    let (mut w, run) = started(&fork("any", ""), json!({}));
    let right = w.take("webc", "r1");
    w.fail(&right, "app.right", "no");
    play(&mut w, |claim| Ok(json!(claim.what())));
    assert_eq!(outputs(&w.run(&run)), json!({ "all": { "left": "l2" } }));
}

fn each(more: &str) -> String {
    format!(
        "
workflow: each
inputs: {{ items: any }}
outputs: {{ all: '${{{{ steps.each.output }}}}' }}
steps:
  - id: each
    foreach:
      in: inputs.items
{more}
      do:
        - {{ id: scan, task: scan, assign: DC, input: {{ item: '${{{{ item }}}}', at: '${{{{ index }}}}' }} }}
        - {{ id: note, task: note, assign: DC, if: 'item != 2' }}
    yield: '${{{{ steps.scan.output }}}}'
"
    )
}

#[test]
fn each_item_gets_its_own_steps() {
    let (mut w, run) = started(&each("      concurrency: 2"), json!({ "items": [1, 2, 3] }));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        Ok(json!({ "got": claim.task.input.get() }))
    });
    assert_eq!(seen, ["scan.0", "note.0", "scan.1", "scan.2", "note.2"]);
    let output = outputs(&w.run(&run));
    assert_eq!(output["all"]["succeeded"], json!(3));
    assert_eq!(
        output["all"]["items"][2],
        json!({ "index": 2, "outcome": "succeeded", "output": { "got": "{\"item\":3,\"at\":2}" } })
    );
    insta::assert_snapshot!(w.log());
}

#[test]
fn no_items_succeed_at_once_and_a_map_gives_pairs() {
    let (w, run) = started(&each(""), json!({ "items": [] }));
    assert_eq!(
        outputs(&w.run(&run)),
        json!({ "all": { "items": [], "succeeded": 0, "failed": 0 } })
    );
    let (mut w, _) = started(&each(""), json!({ "items": { "a": 1 } }));
    let claim = w.take("dc", "scan.0");
    assert_eq!(
        claim.task.input.get(),
        "{\"item\":{\"key\":\"a\",\"value\":1},\"at\":0}"
    );
}

#[test]
fn batches_are_lists_and_too_many_items_are_refused() {
    let batched = each("      batch: 2").replace("item != 2", "index != 2");
    let (mut w, _) = started(&batched, json!({ "items": [1, 2, 3] }));
    let claim = w.take("dc", "scan.0");
    assert_eq!(claim.task.input.get(), "{\"item\":[1,2],\"at\":0}");
    let (w, run) = started(&each("      max_items: 2"), json!({ "items": [1, 2, 3] }));
    assert_eq!(
        error(&w.run(&run)),
        "foreach.too_many: 3 items, at most 2 are taken"
    );
}

#[test]
fn an_item_that_fails_is_borne_up_to_the_tolerance() {
    for (tolerate, error_of_run) in [
        ("count: 0", "app.no: item 1: as told"),
        ("count: 1", ""),
        (
            "percent: 20",
            "foreach.tolerance: 1 of 3 items failed, at most 20% may; item 1: app.no: as told",
        ),
        ("percent: 40", ""),
    ] {
        let more = format!("      concurrency: 3\n      tolerate: {{ {tolerate} }}");
        let (mut w, run) = started(&each(&more), json!({ "items": [1, 3, 3] }));
        play(&mut w, |claim| match claim.what() {
            "scan.1" => Err("app.no"),
            _ => Ok(json!(null)),
        });
        let run = w.run(&run);
        assert_eq!(error(&run), error_of_run, "{tolerate}");
        if tolerate == "count: 1" {
            let items = &outputs(&run)["all"];
            assert_eq!(
                (&items["succeeded"], &items["failed"]),
                (&json!(2), &json!(1))
            );
            assert_eq!(items["items"][1]["outcome"], json!("failed"));
            assert_eq!(items["items"][1]["error"]["code"], json!("app.no"));
        }
        if tolerate == "count: 0" {
            insta::assert_snapshot!(w.log());
        }
    }
}

#[test]
fn results_stand_in_the_order_of_completion_if_wanted() {
    let more = "      concurrency: 3\n      order: any";
    let (mut w, run) = started(&each(more), json!({ "items": [2, 2, 2] }));
    let mut claims = w.poll("dc", 3);
    claims.extend(w.poll("webc", 3));
    claims.reverse();
    for claim in &claims {
        w.complete(claim, json!(claim.what()));
    }
    play(&mut w, |claim| Ok(json!(claim.what())));
    let output = outputs(&w.run(&run));
    let items = output["all"]["items"].as_array().expect("a list");
    let order: Vec<_> = items.iter().map(|item| item["index"].clone()).collect();
    assert_eq!(order.len(), 3);
    assert_ne!(order, [json!(0), json!(1), json!(2)]);
}

/// Bytes and records of the journal of a run over so many items.
fn journal_of(items: usize) -> (usize, usize) {
    let more = "      concurrency: 256\n      max_items: 10000";
    let list: Vec<_> = (0..items).collect();
    let workflow = each(more).replace("each.output }}", "each.output.succeeded }}");
    let (mut w, run) = started(&workflow, json!({ "items": list }));
    play(&mut w, |_| Ok(json!({ "ok": true })));
    let run = w.run(&run);
    assert_eq!(error(&run), "");
    assert_eq!(outputs(&run), json!({ "all": items }));
    let records = phisync_tests::transition_log::records(&**w.store());
    let own = records.iter().filter(|r| r.stream == run.id.stream());
    own.fold((0, 0), |(bytes, records), record| {
        (bytes + record.event.len(), records + 1)
    })
}

#[test]
fn ten_thousand_items_are_ten_thousand_times_one() {
    let (few, many) = (journal_of(10), journal_of(10_000));
    let each = |(bytes, records): (usize, usize)| bytes / records;
    // P4: what a transition costs does not grow with the number of items.
    assert!(2 * each(many) <= 3 * each(few), "{few:?} and {many:?}");
    assert!(many.0 / 10_000 < 2_000, "{many:?}");
}

const LOOP: &str = "
workflow: loop
outputs: { n: '${{ steps.again.output.n }}', rounds: '${{ steps.again.output.iterations }}' }
steps:
  - id: again
    loop:
      max: 3
      carry: { n: 0 }
      do:
        - { id: add, task: add, assign: DC, input: { n: '${{ iter.carry.n }}', last: '${{ iter.is_last }}' }, output: { type: object, required: [n], properties: { n: { type: integer } } } }
      next: { n: '${{ steps.add.output.n }}' }
      until: steps.add.output.n >= 2
    yield: { n: '${{ steps.add.output.n }}' }
";

#[test]
fn a_loop_carries_values_until_its_condition_holds() {
    let (mut w, run) = started(LOOP, json!({}));
    play(&mut w, |claim| {
        let input: Value = serde_json::from_str(claim.task.input.get()).expect("JSON");
        Ok(json!({ "n": input["n"].as_i64().expect("a number") + 1 }))
    });
    assert_eq!(outputs(&w.run(&run)), json!({ "n": 2, "rounds": 2 }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_loop_that_needs_more_than_it_may_fails_or_says_so() {
    let (mut w, run) = started(LOOP, json!({}));
    play(&mut w, |_| Ok(json!({ "n": 0 })));
    assert_eq!(
        error(&w.run(&run)),
        "loop.exhausted: 3 iterations were not enough"
    );
    let lenient = LOOP.replace("      next:", "      on_exhausted: continue\n      next:");
    let (mut w, run) = started(&lenient, json!({}));
    play(&mut w, |_| Ok(json!({ "n": 0 })));
    assert_eq!(outputs(&w.run(&run)), json!({ "n": 0, "rounds": 3 }));
}

#[test]
fn a_while_loop_is_tested_before_each_iteration_and_waits_between_them() {
    let workflow = "
workflow: poll
inputs: { max: int }
outputs: { rounds: '${{ steps.poll.output.iterations }}' }
steps:
  - id: poll
    loop:
      max: 5
      while: iter.index <= inputs.max
      delay: 10s
      backoff: 2
      do: [ { id: look, task: look, assign: DC } ]
";
    let (w, run) = started(workflow, json!({ "max": 0 }));
    assert_eq!(outputs(&w.run(&run)), json!({ "rounds": 0 }));
    let (mut w, run) = started(workflow, json!({ "max": 3 }));
    for wait in [10, 20, 0] {
        play(&mut w, |_| Ok(json!(null)));
        assert!(w.poll("dc", 1).is_empty());
        w.seconds(wait);
    }
    assert_eq!(outputs(&w.run(&run)), json!({ "rounds": 3 }));
    insta::assert_snapshot!(w.log());
}

fn attempt(catch: &str, more: &str) -> String {
    format!(
        "
workflow: attempt
steps:
  - id: risky
    try:
      do:
        - {{ id: one, task: a, assign: DC }}
        - {{ id: two, task: a, assign: DC }}
      catch: [ {catch} ]
      finally: [ {{ id: tidy, task: a, assign: DC }} ]
{more}
  - {{ id: last, needs: risky, task: a, assign: DC }}
"
    )
}

fn tries(catch: &str, more: &str) -> (World, RunId, Vec<String>) {
    let (mut w, run) = started(&attempt(catch, more), json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        match claim.what() {
            "one" => Err("app.first"),
            _ => Ok(json!(null)),
        }
    });
    (w, run, seen)
}

#[test]
fn an_error_that_is_caught_is_none() {
    let catch = "{ errors: [timeout], do: [] }, { errors: [app], when: 'error.code == \"app.first\"', do: [ { id: mend, task: a, assign: DC, input: { why: '${{ error.message }}' } } ] }";
    let (w, run, seen) = tries(catch, "");
    assert_eq!(seen, ["one", "mend", "tidy", "last"]);
    assert_eq!(w.run(&run).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn an_error_that_nobody_catches_goes_on_after_finally() {
    let (w, run, seen) = tries("{ errors: [timeout], do: [] }", "");
    assert_eq!(seen, ["one", "tidy"]);
    assert_eq!(error(&w.run(&run)), "app.first: as told");
}

#[test]
fn a_handler_may_fail_all_the_same_or_try_again() {
    let (w, run, seen) = tries(
        "{ do: [ { id: mend, task: a, assign: DC } ], then: fail }",
        "",
    );
    assert_eq!(seen, ["one", "mend", "tidy"]);
    assert_eq!(error(&w.run(&run)), "app.first: as told");
    let (w, run, seen) = tries(
        "{ do: [ { id: mend, task: a, assign: DC } ], then: retry }",
        "    retry: { max_attempts: 2, backoff: none, errors: [timeout] }",
    );
    assert_eq!(
        seen,
        ["one", "mend", "tidy", "one~2", "two~2", "tidy~2", "last"]
    );
    assert_eq!(w.run(&run).status, RunStatus::Completed);
}

#[test]
fn the_failure_of_a_step_may_be_handled_before_others_go_on() {
    for (then, status) in [
        ("continue", RunStatus::Completed),
        ("fail", RunStatus::Failed),
    ] {
        let workflow = format!(
            "
workflow: handled
steps:
  - id: one
    task: a
    assign: DC
    on_failure:
      do: [ {{ id: mend, task: a, assign: DC, input: {{ why: '${{{{ error.code }}}}' }} }} ]
      then: {then}
  - {{ id: two, needs: one, task: a, assign: DC }}
"
        );
        let (mut w, run) = started(&workflow, json!({}));
        let mut seen = Vec::new();
        play(&mut w, |claim| {
            seen.push(claim.what().to_owned());
            match claim.what() {
                "one" => Err("app.first"),
                "mend" => {
                    assert_eq!(claim.task.input.get(), "{\"why\":\"app.first\"}");
                    Ok(json!(null))
                }
                _ => Ok(json!(null)),
            }
        });
        assert_eq!(seen[..2], ["one", "mend"]);
        assert_eq!(w.run(&run).status, status, "{then}");
        if then == "continue" {
            assert_eq!(seen, ["one", "mend", "two"]);
            insta::assert_snapshot!(w.log());
        }
    }
}

#[test]
fn cancelling_a_run_stops_everything_inside_its_blocks() {
    let (mut w, run) = started(&each("      concurrency: 2"), json!({ "items": [1, 2, 3] }));
    let held = w.take("dc", "scan.0");
    w.cancel("enough");
    assert_eq!(w.run(&run).status, RunStatus::Running);
    assert!(w.heartbeat(&held).expect("it holds it").cancel_requested);
    w.fail(&held, "cancelled", "stopped");
    assert_eq!(w.run(&run).status, RunStatus::Cancelled);
    insta::assert_snapshot!(w.log());
}
