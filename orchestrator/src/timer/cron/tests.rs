//! The calendar against dates from real ones, and against a scan that knows neither crate.

mod scan;

use chrono::{DateTime, Utc};
use phisync_state::Timestamp;

use super::{Cron, CronError};

fn instant(text: &str) -> Timestamp {
    let parsed = DateTime::parse_from_rfc3339(text).expect("the table holds RFC 3339");
    Timestamp::from_micros(parsed.timestamp_micros())
}

/// The next `count` instants after `from`, to the second.
fn fires(expression: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression).expect(expression);
    cron.upcoming(instant(from))
        .take(count)
        .map(|at| at.to_string().replace(".000Z", "Z"))
        .collect()
}

fn days(expression: &str, from: &str, count: usize) -> Vec<String> {
    fires(expression, &format!("{from}T00:00:00Z"), count)
        .into_iter()
        .map(|at| at.replace("T00:00:00Z", ""))
        .collect()
}

#[test]
fn days_are_those_of_the_calendar_on_the_wall() {
    // 1 November 2026 is a Sunday.
    let table: [(&str, &str, &[&str]); 15] = [
        ("0 0 29 2 *", "2026-11-01", &["2028-02-29", "2032-02-29"]),
        ("0 0 29 2 *", "2096-01-01", &["2096-02-29"]),
        ("0 0 29 2 *", "1999-01-01", &["2000-02-29", "2004-02-29"]),
        (
            "0 0 31 * *",
            "2026-01-31",
            &["2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"],
        ),
        ("0 0 * * 0", "2026-11-01", &["2026-11-08", "2026-11-15"]),
        ("0 0 * * 7", "2026-11-01", &["2026-11-08", "2026-11-15"]),
        ("0 0 * * 1", "2026-11-01", &["2026-11-02", "2026-11-09"]),
        (
            "0 0 * * sunday",
            "2026-11-01",
            &["2026-11-08", "2026-11-15"],
        ),
        (
            "0 0 * * 5-7",
            "2026-11-01",
            &["2026-11-06", "2026-11-07", "2026-11-08", "2026-11-13"],
        ),
        (
            "0 0 * * 7/3",
            "2026-11-01",
            &["2026-11-04", "2026-11-07", "2026-11-08", "2026-11-11"],
        ),
        (
            "0 0 * * FRI-MON",
            "2026-11-02",
            &[
                "2026-11-06",
                "2026-11-07",
                "2026-11-08",
                "2026-11-09",
                "2026-11-13",
            ],
        ),
        (
            "0 0 1 NOV-FEB ?",
            "2026-11-01",
            &["2026-12-01", "2027-01-01", "2027-02-01", "2027-11-01"],
        ),
        (
            "0 0 30-2/2 * *",
            "2026-11-01",
            &["2026-11-30", "2026-12-01", "2026-12-30", "2027-01-01"],
        ),
        ("@weekly", "2026-11-01", &["2026-11-08"]),
        ("@annually", "2026-11-01", &["2027-01-01", "2028-01-01"]),
    ];
    for (expression, from, expected) in table {
        assert_eq!(
            days(expression, from, expected.len()),
            expected,
            "{expression} from {from}"
        );
    }
}

#[test]
fn either_day_field_matches_if_both_are_restricted() {
    // Fridays, and the 13th, which is a Friday in November and a Sunday in December.
    assert_eq!(
        days("0 0 13 * FRI", "2026-11-07", 6),
        [
            "2026-11-13",
            "2026-11-20",
            "2026-11-27",
            "2026-12-04",
            "2026-12-11",
            "2026-12-13"
        ]
    );
    assert_eq!(
        days("0 0 30 2 MON", "2026-11-07", 2),
        ["2027-02-01", "2027-02-08"]
    );
}

#[test]
fn a_day_field_that_starts_with_an_asterisk_must_match_as_well() {
    // Mondays with an odd date.
    let odd_mondays = ["2026-11-09", "2026-11-23", "2026-12-07", "2026-12-21"];
    assert_eq!(days("0 0 */2 * MON", "2026-11-01", 4), odd_mondays);
    assert_eq!(days("0 0 ?/2 * MON", "2026-11-01", 4), odd_mondays);
    // Sundays on the first of a month.
    assert_eq!(
        days("0 0 1 * */7", "2026-11-01", 2),
        ["2027-08-01", "2028-10-01"]
    );
}

#[test]
fn times_of_day_are_those_of_the_clock() {
    let table: [(&str, &str, &[&str]); 9] = [
        (
            "30 2 * * MON-FRI",
            "2026-11-20T02:30:00Z",
            &["2026-11-23T02:30:00Z"],
        ),
        (
            "30 2 * * MON-FRI",
            "2026-11-20T02:29:59.999Z",
            &["2026-11-20T02:30:00Z"],
        ),
        (
            "0 22-2 * * *",
            "2026-12-31T21:00:00Z",
            &[
                "2026-12-31T22:00:00Z",
                "2026-12-31T23:00:00Z",
                "2027-01-01T00:00:00Z",
                "2027-01-01T01:00:00Z",
                "2027-01-01T02:00:00Z",
                "2027-01-01T22:00:00Z",
            ],
        ),
        (
            "*/20 * * * *",
            "2026-12-31T23:40:00Z",
            &["2027-01-01T00:00:00Z", "2027-01-01T00:20:00Z"],
        ),
        (
            "50/4 3 * * *",
            "2026-11-01T00:00:00Z",
            &[
                "2026-11-01T03:50:00Z",
                "2026-11-01T03:54:00Z",
                "2026-11-01T03:58:00Z",
                "2026-11-02T03:50:00Z",
            ],
        ),
        (
            "*/25 59 23 * * *",
            "2026-11-01T23:59:25Z",
            &["2026-11-01T23:59:50Z", "2026-11-02T23:59:00Z"],
        ),
        (
            "  0   12\t* * *\n",
            "2026-11-01T00:00:00+02:00",
            &["2026-11-01T12:00:00Z"],
        ),
        ("@hourly", "2026-11-01T00:00:00Z", &["2026-11-01T01:00:00Z"]),
        (
            "@midnight",
            "2026-11-01T00:00:00Z",
            &["2026-11-02T00:00:00Z"],
        ),
    ];
    for (expression, from, expected) in table {
        assert_eq!(
            fires(expression, from, expected.len()),
            expected,
            "{expression} from {from}"
        );
    }
}

#[test]
fn the_calendar_reaches_from_1970_to_the_end_of_2100() {
    let cron = Cron::parse("59 59 23 * * *").expect("an expression");
    let last = instant("2100-12-31T23:59:59Z");
    assert_eq!(cron.next_after(instant("2100-12-31T00:00:00Z")), Some(last));
    for after in [
        last,
        instant("2101-01-01T00:00:00Z"),
        Timestamp::from_micros(DateTime::<Utc>::MAX_UTC.timestamp_micros()),
        Timestamp::from_micros(i64::MAX),
    ] {
        assert_eq!(cron.next_after(after), None, "{after}");
    }
    let midnight = Cron::parse("@daily").expect("an expression");
    for after in [
        instant("1969-12-31T23:59:59.5Z"),
        instant("1066-10-14T09:00:00Z"),
        Timestamp::from_micros(i64::MIN),
    ] {
        assert_eq!(
            midnight.next_after(after),
            Some(Timestamp::default()),
            "{after:?}"
        );
    }
}

#[test]
fn a_wrong_expression_is_refused_with_its_field_and_reason() {
    let expressions = [
        "",
        "* * * *",
        "* * * * * * *",
        "@fortnightly",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "x * * * *",
        "* * * FOO *",
        "* * * * MONTAG",
        "1,,2 * * * *",
        "5- * * * *",
        "-5 * * * *",
        "*/0 * * * *",
        "*/90 * * * *",
        "*/+5 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "256 * * * *",
        "99999999999999999999 * * * *",
        "0 0 L * *",
        "0 0 15w * *",
        "0 0 LW * *",
        "0 0 L-3 * *",
        "0 0 * * 5L",
        "0 0 * * fril",
        "0 0 * * MON#2",
        "0 L * * *",
        "0 0 30 2 *",
        "0 0 31 SEP,APR *",
        "0 0 30 2 */2",
        "\u{0661} * * * *",
    ];
    let refusals: Vec<String> = expressions
        .iter()
        .map(|expression| {
            let refusal: CronError = Cron::parse(expression).expect_err(expression);
            format!("{expression:20} -> {refusal}")
        })
        .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}
