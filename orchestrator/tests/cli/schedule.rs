//! Schedules: what a cron expression means, before anything is started by it.

use insta::assert_snapshot;

use crate::project::Project;

/// `phisync schedule next` with flags separated by spaces.
fn next(expression: &str, flags: &str) -> String {
    let mut arguments = vec!["schedule", "next", expression];
    arguments.extend(flags.split_whitespace());
    Project::empty().transcript(&arguments)
}

#[test]
fn the_next_instants_are_listed_with_their_weekday() {
    assert_snapshot!(next("30 2 * * MON-FRI", "-n 6 --from 2026-11-22T23:30:00Z"));
}

#[test]
fn ten_instants_after_now_are_listed_unless_told_otherwise() {
    let answer = Project::empty().json(&["schedule", "next", "* * * * * *"]);
    assert_eq!(answer["next"].as_array().map(Vec::len), Some(10));
    let from = answer["from"].as_str().expect("a point in time");
    let first = answer["next"][0]["at"].as_str().expect("a point in time");
    assert!(from < first, "{first} is not after {from}");
}

#[test]
fn instants_are_written_for_programs_too() {
    for form in ["json", "jsonl", "yaml"] {
        let flags = format!("-n 2 --from 2026-11-22T23:30:00Z -o {form}");
        assert_snapshot!(format!("schedule_next_{form}"), next("@weekly", &flags));
    }
}

#[test]
fn an_offset_of_the_start_is_taken_off() {
    assert_snapshot!(next("@daily", "-n 1 --from 2026-11-23T00:30:00+01:00"));
}

#[test]
fn the_end_of_the_calendar_is_told() {
    assert_snapshot!(next("0 0 29 2 *", "-n 3 --from 2092-01-01T00:00:00Z"));
}

#[test]
fn a_wrong_expression_is_invalid_and_names_its_field() {
    for (name, expression) in [
        ("a_number_out_of_range", "0 24 * * *"),
        ("a_step_out_of_range", "*/90 * * * *"),
        ("an_extension", "0 0 L * *"),
        ("too_few_fields", "0 0"),
        ("an_unknown_shorthand", "@reboot"),
        ("a_date_that_does_not_exist", "0 0 30 2 *"),
    ] {
        assert_snapshot!(name, next(expression, ""));
    }
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    assert_snapshot!(next("@daily", "--from tomorrow"));
    assert_snapshot!(next("@daily", "-n 1001"));
}

#[test]
fn changes_of_the_clocks_are_shown_on_the_clocks_themselves() {
    let berlin = "-n 3 --from 2026-03-28T12:00:00Z --timezone Europe/Berlin";
    assert_snapshot!(next("30 2 * * *", berlin));
    let skipping = format!("{berlin} --gap skip");
    assert_snapshot!(next("30 2 * * *", &skipping));
    let autumn =
        "-n 3 --from 2026-10-24T12:00:00Z --timezone Europe/Berlin --overlap twice -o jsonl";
    assert_snapshot!(next("30 2 * * *", autumn));
}

#[test]
fn an_unknown_time_zone_is_invalid_and_the_nearest_is_named() {
    assert_snapshot!(next("@daily", "--timezone Berlin"));
}
