//! Undoing: in which order, what is undone and what stays.

use phisync::engine::{RunStatus, Undo};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

/// Three bookings in a row; the first two can be undone.
const TRIP: &str = "
workflow: trip
steps:
  - id: flight
    task: book
    assign: WEBC
    idempotent: true
    compensate: { task: cancel, assign: WEBC, input: { booking: '${{ self.output.booking }}', because: '${{ error.code }}' } }
  - id: hotel
    needs: flight
    task: book
    assign: WEBC
    idempotent: true
    compensate: { task: cancel, assign: WEBC, input: { booking: '${{ self.output.booking }}' } }
  - id: car
    needs: hotel
    task: book
    assign: WEBC
    retry: { max_attempts: 2, backoff: fixed, delay: 10s, jitter: none, errors: [app] }
";

#[test]
fn exhausted_retries_undo_what_was_done_in_reverse_order() {
    let mut w = World::new(TRIP, TEAM);
    let run = w.start();
    let flight = w.take("webc", "flight");
    w.complete(&flight, json!({"booking": "F1"}));
    let hotel = w.take("webc", "hotel");
    w.complete(&hotel, json!({"booking": "H1"}));
    let car = w.take("webc", "car");
    w.fail(&car, "app.no_cars", "all rented");
    w.seconds(10);
    let car = w.take("webc", "car");
    w.fail(&car, "app.no_cars", "all rented");
    let undo = w.take("webc", "hotel.undo");
    assert_eq!(undo.task.input.get(), r#"{"booking":"H1"}"#);
    assert!(w.poll("webc", 1).is_empty(), "one undo at a time");
    w.complete(&undo, json!(null));
    let undo = w.take("webc", "flight.undo");
    assert_eq!(
        undo.task.input.get(),
        r#"{"booking":"F1","because":"app.no_cars"}"#
    );
    w.complete(&undo, json!(null));
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    assert_eq!(run.failed_step.as_deref(), Some("car"));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task flight#1            new -> ready               it needs nothing
     3      0.000  step flight              pending -> ready
     4      0.000  agent webc               unseen -> alive            first heard of
     5      0.000  task flight#1            ready -> running           taken by webc
     5      0.000  step flight              ready -> running
     6      0.000  task flight#1            running -> completed       result of webc accepted
     6      0.000  step flight              running -> completed
     7      0.000  task hotel#1             new -> ready               its needs are met
     7      0.000  step hotel               pending -> ready
     8      0.000  task hotel#1             ready -> running           taken by webc
     8      0.000  step hotel               ready -> running
     9      0.000  task hotel#1             running -> completed       result of webc accepted
     9      0.000  step hotel               running -> completed
    10      0.000  task car#1               new -> ready               its needs are met
    10      0.000  step car                 pending -> ready
    11      0.000  task car#1               ready -> running           taken by webc
    11      0.000  step car                 ready -> running
    12      0.000  task car#1               running -> failed          app.no_cars: all rented
    12      0.000  task car#2               new -> backoff             retry in 10.000s
    12      0.000  step car                 running -> waiting
    13     10.000  task car#2               backoff -> ready           back-off over
    13     10.000  step car                 waiting -> ready
    14     10.000  task car#2               ready -> running           taken by webc
    14     10.000  step car                 ready -> running
    15     10.000  task car#2               running -> failed          app.no_cars: all rented
    15     10.000  step car                 running -> failed
    16     10.000  run                      running -> failing         car: app.no_cars: all rented
    17     10.000  run                      failing -> compensating    undoes hotel, flight
    18     10.000  undo hotel#1             new -> ready               to be undone
    18     10.000  step hotel               completed -> compensating
    19     10.000  undo hotel#1             ready -> running           taken by webc
    20     10.000  undo hotel#1             running -> completed       result of webc accepted
    20     10.000  step hotel               compensating -> compensated
    21     10.000  undo flight#1            new -> ready               to be undone
    21     10.000  step flight              completed -> compensating
    22     10.000  undo flight#1            ready -> running           taken by webc
    23     10.000  undo flight#1            running -> completed       result of webc accepted
    23     10.000  step flight              compensating -> compensated
    24     10.000  run                      compensating -> failed     app.no_cars, undone
    ");
}

#[test]
fn parallel_steps_are_undone_last_completed_first() {
    let mut w = World::new(
        "
workflow: pair
steps:
  - { id: left, task: do, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: right, task: do, assign: WEBC, compensate: { task: undo, assign: WEBC } }
  - { id: check, needs: [left, right], task: check, assign: VSSC }
",
        TEAM,
    );
    w.start();
    let left = w.take("dc", "left");
    let right = w.take("webc", "right");
    w.complete(&right, json!({}));
    w.complete(&left, json!({}));
    let check = w.take("vssc", "check");
    w.fail(&check, "app.bad", "they do not fit");
    let undo = w.take("dc", "left.undo");
    w.complete(&undo, json!({}));
    let undo = w.take("webc", "right.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn a_failure_waits_for_what_still_runs_before_it_undoes() {
    let mut w = World::new(
        "
workflow: pair
steps:
  - { id: slow, task: do, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: fast, task: do, assign: WEBC }
  - { id: after, needs: slow, task: do, assign: VSSC }
",
        TEAM,
    );
    w.start();
    let slow = w.take("dc", "slow");
    let fast = w.take("webc", "fast");
    w.fail(&fast, "app.bad", "it cannot be done");
    assert!(w.heartbeat(&slow).expect("it holds it").cancel_requested);
    w.seconds(1);
    w.complete(&slow, json!({}));
    let undo = w.take("dc", "slow.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task slow#1              new -> ready               it needs nothing
     3      0.000  step slow                pending -> ready
     4      0.000  task fast#1              new -> ready               it needs nothing
     4      0.000  step fast                pending -> ready
     5      0.000  agent dc                 unseen -> alive            first heard of
     6      0.000  task slow#1              ready -> running           taken by dc
     6      0.000  step slow                ready -> running
     7      0.000  agent webc               unseen -> alive            first heard of
     8      0.000  task fast#1              ready -> running           taken by webc
     8      0.000  step fast                ready -> running
     9      0.000  task fast#1              running -> failed          app.bad: it cannot be done
     9      0.000  step fast                running -> failed
    10      0.000  run                      running -> failing         fast: app.bad: it cannot be done
    11      0.000  task slow#1              running -> running         dc is asked to stop: the run failed
    12      0.000  step after               pending -> cancelled       the run failed
    13      1.000  task slow#1              running -> completed       result of dc accepted
    13      1.000  step slow                running -> completed
    14      1.000  run                      failing -> compensating    undoes slow
    15      1.000  undo slow#1              new -> ready               to be undone
    15      1.000  step slow                completed -> compensating
    16      1.000  undo slow#1              ready -> running           taken by dc
    17      1.000  undo slow#1              running -> completed       result of dc accepted
    17      1.000  step slow                compensating -> compensated
    18      1.000  run                      compensating -> failed     app.bad, undone
    ");
}

#[test]
fn what_stands_before_an_irreversible_step_stays() {
    let mut w = World::new(
        "
workflow: pivot
steps:
  - { id: ask, task: do, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: reserve, needs: ask, task: do, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: note, task: do, assign: WEBC, compensate: { task: undo, assign: WEBC } }
  - { id: pay, needs: reserve, task: do, assign: DC, effects: irreversible }
  - { id: send, needs: [pay, note], task: do, assign: VSSC }
",
        TEAM,
    );
    w.start();
    let ask = w.take("dc", "ask");
    w.complete(&ask, json!({}));
    let reserve = w.take("dc", "reserve");
    w.complete(&reserve, json!({}));
    let note = w.take("webc", "note");
    w.complete(&note, json!({}));
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!({}));
    let send = w.take("vssc", "send");
    w.fail(&send, "app.no_post", "strike");
    let undo = w.take("webc", "note.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task ask#1               new -> ready               it needs nothing
     3      0.000  step ask                 pending -> ready
     4      0.000  task note#1              new -> ready               it needs nothing
     4      0.000  step note                pending -> ready
     5      0.000  agent dc                 unseen -> alive            first heard of
     6      0.000  task ask#1               ready -> running           taken by dc
     6      0.000  step ask                 ready -> running
     7      0.000  task ask#1               running -> completed       result of dc accepted
     7      0.000  step ask                 running -> completed
     8      0.000  task reserve#1           new -> ready               its needs are met
     8      0.000  step reserve             pending -> ready
     9      0.000  task reserve#1           ready -> running           taken by dc
     9      0.000  step reserve             ready -> running
    10      0.000  task reserve#1           running -> completed       result of dc accepted
    10      0.000  step reserve             running -> completed
    11      0.000  task pay#1               new -> ready               its needs are met
    11      0.000  step pay                 pending -> ready
    12      0.000  agent webc               unseen -> alive            first heard of
    13      0.000  task note#1              ready -> running           taken by webc
    13      0.000  step note                ready -> running
    14      0.000  task note#1              running -> completed       result of webc accepted
    14      0.000  step note                running -> completed
    15      0.000  task pay#1               ready -> running           taken by dc
    15      0.000  step pay                 ready -> running
    16      0.000  task pay#1               running -> completed       result of dc accepted
    16      0.000  step pay                 running -> completed
    17      0.000  task send#1              new -> ready               its needs are met
    17      0.000  step send                pending -> ready
    18      0.000  agent vssc               unseen -> alive            first heard of
    19      0.000  task send#1              ready -> running           taken by vssc
    19      0.000  step send                ready -> running
    20      0.000  task send#1              running -> failed          app.no_post: strike
    20      0.000  step send                running -> failed
    21      0.000  run                      running -> failing         send: app.no_post: strike
    22      0.000  run                      failing -> compensating    undoes note
    23      0.000  undo note#1              new -> ready               to be undone
    23      0.000  step note                completed -> compensating
    24      0.000  undo note#1              ready -> running           taken by webc
    25      0.000  undo note#1              running -> completed       result of webc accepted
    25      0.000  step note                compensating -> compensated
    26      0.000  run                      compensating -> failed     app.no_post, undone
    ");
}

#[test]
fn an_attempt_that_ended_in_silence_is_undone_even_if_the_next_one_answered() {
    // Bug: only the step's last error was looked at, so the first agent's unknown effect stayed.
    let mut w = World::new(
        "
workflow: order
steps:
  - id: buy
    task: buy
    assign: { capabilities: [write] }
    compensate: { task: refund, assign: DC, input: { output: '${{ self.?output.orValue(null) }}' } }
",
        TEAM,
    );
    w.start();
    w.take("dc", "buy");
    w.seconds(60);
    let second = w.take("webc", "buy");
    w.fail(&second, "app.no_money", "declined");
    let undo = w.take("dc", "buy.undo");
    assert_eq!(undo.task.input.get(), r#"{"output":null}"#);
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task buy#1               new -> ready               it needs nothing
     3      0.000  step buy                 pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task buy#1               ready -> running           taken by dc
     5      0.000  step buy                 ready -> running
     6     60.000  task buy#1               running -> lost            agent.lost: dc sent no heartbeat within its lease
     6     60.000  task buy#2               new -> ready               reassigned
     6     60.000  step buy                 running -> ready
     7     60.000  agent webc               unseen -> alive            first heard of
     8     60.000  task buy#2               ready -> running           taken by webc
     8     60.000  step buy                 ready -> running
     9     60.000  task buy#2               running -> failed          app.no_money: declined
     9     60.000  step buy                 running -> failed
    10     60.000  run                      running -> failing         buy: app.no_money: declined
    11     60.000  run                      failing -> compensating    undoes buy
    12     60.000  undo buy#1               new -> ready               to be undone
    12     60.000  step buy                 failed -> compensating
    13     60.000  undo buy#1               ready -> running           taken by dc
    14     60.000  undo buy#1               running -> completed       result of dc accepted
    14     60.000  step buy                 compensating -> compensated
    15     60.000  run                      compensating -> failed     app.no_money, undone
    ");
}

#[test]
fn an_idempotent_step_of_unknown_effect_is_left_alone() {
    let mut w = World::new(
        "
workflow: order
steps:
  - id: buy
    task: buy
    assign: { agent: DC, reassignments: 0 }
    idempotent: true
    compensate: { task: refund, assign: DC }
",
        TEAM,
    );
    let run = w.start();
    w.take("dc", "buy");
    w.seconds(60);
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::None));
}
