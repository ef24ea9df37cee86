//! An undo that fails for good: a person decides, and nothing moves before.

use phisync::coordinator::Refusal;
use phisync::engine::{Rejection, Resolution, RunId, RunStatus, Undo};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

/// Two steps that can be undone and one that fails.
const TRIP: &str = "
workflow: trip
steps:
  - id: flight
    task: book
    assign: WEBC
    compensate: { task: cancel, assign: WEBC }
  - id: hotel
    needs: flight
    task: book
    assign: WEBC
    compensate: { task: cancel, assign: WEBC, retry: { max_attempts: 2, backoff: fixed, delay: 5s, jitter: none, errors: [app] } }
  - { id: car, needs: hotel, task: book, assign: WEBC }
";

/// The trip, with the hotel's undo failed for good.
fn parked() -> (World, RunId) {
    let mut w = World::new(TRIP, TEAM);
    let run = w.start();
    for step in ["flight", "hotel"] {
        let claim = w.take("webc", step);
        w.complete(&claim, json!({}));
    }
    let car = w.take("webc", "car");
    w.fail(&car, "app.no_cars", "all rented");
    let undo = w.take("webc", "hotel.undo");
    w.fail(&undo, "app.desk_closed", "nobody answers");
    w.seconds(5);
    let undo = w.take("webc", "hotel.undo");
    w.fail(&undo, "app.desk_closed", "nobody answers");
    (w, run)
}

#[test]
fn a_parked_run_waits_for_a_person_and_for_nobody_else() {
    let (mut w, run) = parked();
    w.advance(std::time::Duration::from_secs(90 * 86_400));
    assert!(w.poll("webc", 1).is_empty());
    assert_eq!(w.coordinator().next_due().0, None);
    let incidents = w.coordinator().incidents();
    assert_eq!(incidents[0].id, "r1.hotel");
    let now = w.now();
    let why = w.coordinator().why(&run, None, now);
    let why = why.expect("it is there");
    assert_eq!(
        (why.waker.as_str(), why.until),
        ("incident", None),
        "{}",
        why.text
    );
    insta::assert_snapshot!(why.text, @"waits for a person: `hotel` could not be undone (retry, skip or abandon)");
}

#[test]
fn an_undo_is_tried_again_when_a_person_says_so() {
    let (mut w, run) = parked();
    w.resolve("hotel", Resolution::Retry, "the desk is open again")
        .expect("the incident is open");
    let undo = w.take("webc", "hotel.undo");
    assert_eq!(undo.task.attempt, 3, "attempts are numbered on");
    w.complete(&undo, json!({}));
    let undo = w.take("webc", "flight.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.run(&run).undo, Undo::Done);
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
    12      0.000  step car                 running -> failed
    13      0.000  run                      running -> failing         car: app.no_cars: all rented
    14      0.000  run                      failing -> compensating    undoes hotel, flight
    15      0.000  undo hotel#1             new -> ready               to be undone
    15      0.000  step hotel               completed -> compensating
    16      0.000  undo hotel#1             ready -> running           taken by webc
    17      0.000  undo hotel#1             running -> failed          app.desk_closed: nobody answers
    17      0.000  undo hotel#2             new -> backoff             retry in 5.000s
    18      5.000  undo hotel#2             backoff -> ready           back-off over
    19      5.000  undo hotel#2             ready -> running           taken by webc
    20      5.000  undo hotel#2             running -> failed          app.desk_closed: nobody answers
    21      5.000  step hotel               compensating -> compensation_failed incident: app.desk_closed: nobody answers
    22      5.000  step hotel               compensation_failed -> compensation_failed to be tried again, says dana: the desk is open again
    23      5.000  undo hotel#3             new -> ready               to be undone
    23      5.000  step hotel               compensation_failed -> compensating
    24      5.000  undo hotel#3             ready -> running           taken by webc
    25      5.000  undo hotel#3             running -> completed       result of webc accepted
    25      5.000  step hotel               compensating -> compensated
    26      5.000  undo flight#1            new -> ready               to be undone
    26      5.000  step flight              completed -> compensating
    27      5.000  undo flight#1            ready -> running           taken by webc
    28      5.000  undo flight#1            running -> completed       result of webc accepted
    28      5.000  step flight              compensating -> compensated
    29      5.000  run                      compensating -> failed     app.no_cars, undone
    ");
}

#[test]
fn an_undo_is_skipped_and_the_others_go_on() {
    let (mut w, run) = parked();
    w.resolve("hotel", Resolution::Skip, "the deposit is lost")
        .expect("the incident is open");
    let undo = w.take("webc", "flight.undo");
    w.complete(&undo, json!({}));
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Partial));
    let log = w.log();
    let tail: Vec<_> = log.lines().rev().take(8).collect();
    insta::assert_snapshot!(tail.into_iter().rev().collect::<Vec<_>>().join("\n"), @r"
    21      5.000  step hotel               compensating -> compensation_failed incident: app.desk_closed: nobody answers
    22      5.000  step hotel               compensation_failed -> compensation_failed to be skipped, says dana: the deposit is lost
    23      5.000  undo flight#1            new -> ready               to be undone
    23      5.000  step flight              completed -> compensating
    24      5.000  undo flight#1            ready -> running           taken by webc
    25      5.000  undo flight#1            running -> completed       result of webc accepted
    25      5.000  step flight              compensating -> compensated
    26      5.000  run                      compensating -> failed     app.no_cars, undone in part
    ");
}

#[test]
fn the_undoing_is_abandoned() {
    let (mut w, run) = parked();
    w.resolve("hotel", Resolution::Abandon, "we keep it all")
        .expect("the incident is open");
    assert!(w.poll("webc", 1).is_empty());
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Abandoned));
    let last = w.log().lines().last().map(str::to_owned);
    insta::assert_snapshot!(last.expect("a line"), @"23      5.000  run                      compensating -> failed     app.no_cars, undoing abandoned");
}

#[test]
fn an_incident_is_resolved_once() {
    let (mut w, _) = parked();
    w.resolve("hotel", Resolution::Retry, "again")
        .expect("the incident is open");
    let twice = w.resolve("hotel", Resolution::Skip, "no");
    let other = w.resolve("flight", Resolution::Skip, "no");
    for refusal in [twice, other] {
        assert!(
            matches!(
                refusal,
                Err(Refusal::Rejected(Rejection::NotInState { .. }))
            ),
            "{refusal:?}"
        );
    }
}
