//! What expressions read at run time is what the checker promised.

use phisync_tests::World;
use serde_json::json;

use super::TEAM;

/// An undo that tells everything that `error` and `self` hold.
const TELLTALE: &str = "
workflow: telltale
steps:
  - id: book
    task: book
    assign: WEBC
    compensate:
      task: cancel
      assign: WEBC
      input:
        code: '${{ error.code }}'
        message: '${{ error.message }}'
        attempt: '${{ error.attempt }}'
        step: '${{ error.?step.orValue(\"the run\") }}'
        data: '${{ error.data }}'
        booking: '${{ self.?output.?booking.orValue(\"none\") }}'
  - { id: pay, needs: book, task: pay, assign: DC }
";

#[test]
fn an_undo_reads_every_field_of_the_error_that_caused_it() {
    let mut w = World::new(TELLTALE, TEAM);
    w.start();
    let book = w.take("webc", "book");
    w.complete(&book, json!({"booking": "B1"}));
    let pay = w.take("dc", "pay");
    w.fail(&pay, "app.declined", "no money");
    let undo = w.take("webc", "book.undo");
    assert_eq!(
        undo.task.input.get(),
        r#"{"code":"app.declined","message":"no money","attempt":1,"step":"pay","data":null,"booking":"B1"}"#
    );
}

#[test]
fn an_undo_of_a_cancelled_run_reads_an_error_without_a_step() {
    let mut w = World::new(TELLTALE, TEAM);
    w.start();
    let book = w.take("webc", "book");
    w.complete(&book, json!({}));
    w.cancel("changed my mind");
    let undo = w.take("webc", "book.undo");
    assert_eq!(
        undo.task.input.get(),
        r#"{"code":"cancelled","message":"the run was cancelled","attempt":1,"step":"the run","data":null,"booking":"none"}"#
    );
}

#[test]
fn a_step_reads_the_error_of_one_that_may_fail_and_an_approval_without_words() {
    let mut w = World::new(
        "
workflow: reads
steps:
  - { id: try, task: try, assign: WEBC, on_failure: continue }
  - id: ask
    needs: try
    approval: { from: { roles: [lead] }, prompt: 'Go on?', timeout: 1h }
  - id: tell
    needs: [try, ask]
    if: steps.try.outcome == 'failed'
    task: tell
    assign: DC
    input:
      step: '${{ steps.try.?error.?step.orValue(\"\") }}'
      attempt: '${{ steps.try.?error.?attempt.orValue(0) }}'
      said: '${{ steps.ask.output.?comment.orValue(\"nothing\") }}'
",
        TEAM,
    );
    w.start();
    let attempt = w.take("webc", "try");
    w.fail(&attempt, "app.no", "no");
    w.decide("ask", "dana", true).expect("dana is a lead");
    let tell = w.take("dc", "tell");
    assert_eq!(
        tell.task.input.get(),
        r#"{"step":"try","attempt":1,"said":"nothing"}"#
    );
}
