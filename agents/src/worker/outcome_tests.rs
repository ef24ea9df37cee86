//! What an ending means, for every way in which a command can end.

use proptest::prelude::*;

use super::super::capture::Captured;
use super::{Ending, Exit, Failure, OutputFile, OutputLimits, Report, last_json, report};

fn ending(exit: Exit, stdout: &str, stderr: &str) -> Ending {
    Ending {
        exit,
        file: OutputFile::Empty,
        stdout: whole(stdout.as_bytes()),
        stderr: whole(stderr.as_bytes()),
        limits: OutputLimits::default(),
    }
}

fn whole(bytes: &[u8]) -> Captured {
    Captured {
        bytes: bytes.to_vec(),
        cut: false,
    }
}

fn completed(ending: &Ending) -> String {
    match report(ending) {
        Report::Complete(output) => output.get().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn failed(ending: &Ending) -> Failure {
    match report(ending) {
        Report::Fail(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_value_on_standard_output_is_the_result() {
    for (stdout, result) in [
        ("{\"a\":1}", "{\"a\":1}"),
        ("looking\n{\"a\":1}\n{\"a\":2}\n\n", "{\"a\":2}"),
        (
            "[1]\nlog: [2\n{\n  \"a\": [\n    1\n  ]\n}\n",
            "{\n  \"a\": [\n    1\n  ]\n}",
        ),
        ("{\"a\":\n1}\n42", "42"),
        ("null\r\n", "null"),
        ("{\"a\":1}\ndone in 3 s\n", "{\"a\":1}"),
        ("\"words\"", "\"words\""),
        ("12345678901234567890123.10", "12345678901234567890123.10"),
    ] {
        assert_eq!(
            completed(&ending(Exit::Code(0), stdout, "")),
            result,
            "of {stdout:?}"
        );
    }
}

#[test]
fn the_output_file_goes_before_standard_output() {
    let mut both = ending(Exit::Code(0), "1", "");
    both.file = OutputFile::Bytes(b" 2 \n".to_vec());
    assert_eq!(completed(&both).trim(), "2");
    both.file = OutputFile::Bytes(b"2 3".to_vec());
    assert!(
        failed(&both)
            .message
            .starts_with("the output file is no JSON: ")
    );
    both.file = OutputFile::Unreadable("it has 9 MiB".to_owned());
    assert_eq!(
        failed(&both).message,
        "the output file cannot be used: it has 9 MiB"
    );
}

#[test]
fn success_without_a_result_is_a_failure() {
    let silent = failed(&ending(Exit::Code(0), " \n", ""));
    assert_eq!(silent.code, "task.failed");
    assert_eq!(
        silent.message,
        "no result: the output file is empty, and nothing was printed"
    );
    let words = failed(&ending(Exit::Code(0), "all good", ""));
    assert_eq!(
        words.message,
        "no result: what was printed does not end in a JSON value"
    );
    let mut latin = ending(Exit::Code(0), "", "");
    latin.stdout = whole(b"\"caf\xe9\"");
    assert_eq!(
        failed(&latin).message,
        "no result: what was printed is not UTF-8"
    );
}

#[test]
fn what_was_cut_off_is_mentioned() {
    let mut long = ending(Exit::Code(0), "1]", "");
    long.stdout.cut = true;
    assert_eq!(
        failed(&long).message,
        "no result: the last 8388608 bytes printed do not end in a JSON value"
    );
    let mut loud = ending(Exit::Code(2), "", "end of it");
    loud.stderr.cut = true;
    assert_eq!(
        failed(&loud).message,
        "the command ended with exit code 2: ...end of it"
    );
}

#[test]
fn exit_codes_say_what_should_happen_next() {
    let kind = |exit| {
        let failure = failed(&ending(exit, "{\"ignored\": true}", "why\n"));
        (failure.code, failure.retryable, failure.message)
    };
    let expect =
        |code: &str, retryable, message: &str| (code.to_owned(), retryable, message.to_owned());
    assert_eq!(
        kind(Exit::Code(75)),
        expect(
            "transient.exit_75",
            Some(true),
            "the command asks for another attempt later: why"
        )
    );
    assert_eq!(
        kind(Exit::Code(76)),
        expect(
            "agent.rejected",
            Some(false),
            "the command asks for a person and no question: why"
        )
    );
    assert_eq!(
        kind(Exit::Code(1)),
        expect(
            "task.failed",
            None,
            "the command ended with exit code 1: why"
        )
    );
    assert_eq!(
        kind(Exit::Signal(9)),
        expect(
            "task.failed",
            None,
            "the command was ended by signal 9: why"
        )
    );
}

#[test]
fn a_failing_child_may_name_its_error_but_not_one_of_ours() {
    let named = failed(&ending(
        Exit::Code(1),
        r#"{"error": {"code": "app.no_such_page", "message": "404", "retryable": false, "retry_after_ms": 5}}"#,
        "noise",
    ));
    assert_eq!(named.code, "app.no_such_page");
    assert_eq!(
        (
            named.message.as_str(),
            named.retryable,
            named.retry_after_ms
        ),
        ("404", Some(false), Some(5))
    );
    for forged in [
        "agent.lost",
        "timeout.run",
        "cancelled",
        "app.",
        "app.X",
        "application.x",
        "app..x",
        "",
    ] {
        let stdout = format!(r#"{{"error": {{"code": "{forged}", "message": "m"}}}}"#);
        let failure = failed(&ending(Exit::Code(3), &stdout, ""));
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("task.failed", "m"),
            "{forged}"
        );
    }
    let later = failed(&ending(
        Exit::Code(75),
        r#"{"error": {"code": "app.busy"}}"#,
        "",
    ));
    assert_eq!(
        (later.code.as_str(), later.retryable),
        ("app.busy", Some(true))
    );
}

proptest! {
    #[test]
    fn whatever_stands_before_it_the_last_value_is_found(noise in "[ -~\n]{0,80}", numbers in prop::collection::vec(any::<i64>(), 0..6)) {
        let value = serde_json::json!({ "numbers": numbers, "inner": { "noise": noise } });
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        let found = last_json(&format!("{noise}\n{pretty}\n")).expect("a value");
        let found: serde_json::Value = serde_json::from_str(found.get()).expect("JSON");
        prop_assert_eq!(found, value);
    }

    #[test]
    fn arbitrary_output_never_panics(stdout: Vec<u8>, stderr: Vec<u8>, code: i32) {
        let left = Ending { exit: Exit::Code(code), file: OutputFile::Empty, stdout: whole(&stdout), stderr: whole(&stderr), limits: OutputLimits::default() };
        if let Report::Complete(output) = report(&left) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(output.get()).is_ok() || output.get().len() > 127);
        }
    }
}

#[test]
fn words_too_long_for_a_report_are_cut() {
    // Bug: the server refused the report, and the task counted as lost with its agent.
    let long = "\u{e9}".repeat(1 << 20);
    let stdout = format!(r#"{{"error": {{"code": "app.x", "message": "{long}"}}}}"#);
    let failure = failed(&ending(Exit::Code(1), &stdout, ""));
    assert_eq!(failure.code, "app.x");
    assert!(failure.message.len() <= super::MESSAGE_BYTES_MAX + 3);
    assert!(failure.message.starts_with('\u{e9}'));
    assert!(failure.message.ends_with("\u{e9}..."));
}
