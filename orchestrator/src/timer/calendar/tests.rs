//! The calendar of time zones against dates from real ones, and against a walk over every minute.

use chrono::{DateTime, Datelike as _, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use phisync_state::Timestamp;
use phisync_workflows::machine::{DstGap, DstOverlap};
use proptest::prelude::*;

use super::{Calendar, Dst};
use crate::timer::{Cron, Zone};

const AFTER_ONCE: (DstGap, DstOverlap) = (DstGap::RunAfter, DstOverlap::Once);
const SKIP_TWICE: (DstGap, DstOverlap) = (DstGap::Skip, DstOverlap::Twice);

/// What the clocks of `zone` show at the next `count` instants after `from`.
fn fires(
    expression: &str,
    zone: &str,
    (gap, overlap): (DstGap, DstOverlap),
    from: &str,
    count: usize,
) -> Vec<String> {
    let zone = Zone::parse(zone).expect("a zone");
    let cron = Cron::parse(expression).expect(expression);
    let calendar = Calendar::new(cron, zone, Dst { gap, overlap });
    let from = DateTime::parse_from_rfc3339(from).expect("RFC 3339");
    let mut at = Timestamp::from_micros(from.timestamp_micros());
    let mut shown = Vec::new();
    for _ in 0..count {
        at = calendar.next_after(at).expect("it fires again");
        shown.push(zone.show(at));
    }
    shown
}

#[test]
fn a_fixed_time_in_the_gap_fires_right_after_it_or_not_at_all() {
    let from = "2026-03-28T12:00:00+01:00";
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", AFTER_ONCE, from, 3),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00",
            "2026-03-31T02:30:00+02:00"
        ]
    );
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", SKIP_TWICE, from, 2),
        ["2026-03-30T02:30:00+02:00", "2026-03-31T02:30:00+02:00"]
    );
    // Several times of the same gap, and the end of the gap itself, are one instant.
    assert_eq!(
        fires("*/20 2,3 * * *", "Europe/Berlin", AFTER_ONCE, from, 3),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:20:00+02:00",
            "2026-03-29T03:40:00+02:00"
        ]
    );
}

#[test]
fn a_fixed_time_that_comes_twice_fires_once_or_twice() {
    let from = "2026-10-24T12:00:00+02:00";
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", AFTER_ONCE, from, 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", SKIP_TWICE, from, 3),
        [
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-26T02:30:00+01:00"
        ]
    );
}

#[test]
fn wildcard_hours_follow_elapsed_time() {
    assert_eq!(
        fires(
            "0 * * * *",
            "Europe/Berlin",
            AFTER_ONCE,
            "2026-03-29T00:30:00+01:00",
            3
        ),
        [
            "2026-03-29T01:00:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T04:00:00+02:00"
        ]
    );
    assert_eq!(
        fires(
            "0 * * * *",
            "Europe/Berlin",
            AFTER_ONCE,
            "2026-10-25T01:30:00+02:00",
            3
        ),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T03:00:00+01:00"
        ]
    );
}

#[test]
fn zones_whose_clocks_move_by_half_an_hour_or_a_day_are_no_exception() {
    assert_eq!(
        fires(
            "15 2 * * *",
            "Australia/Lord_Howe",
            AFTER_ONCE,
            "2026-10-03T12:00:00Z",
            1
        ),
        ["2026-10-04T02:30:00+11:00"]
    );
    // Samoa had no 30 December 2011.
    assert_eq!(
        fires(
            "0 10 * * *",
            "Pacific/Apia",
            AFTER_ONCE,
            "2011-12-29T22:00:00Z",
            3
        ),
        [
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T10:00:00+14:00",
            "2012-01-01T10:00:00+14:00"
        ]
    );
}

/// One expression as sets of numbers, walked minute by minute. It shares no code with the calendar.
#[derive(Clone, Debug)]
struct Plain {
    minutes: Vec<u32>,
    /// `None`: `*`.
    hours: Option<Vec<u32>>,
    weekdays: Option<Vec<u32>>,
}

impl Plain {
    fn text(&self) -> String {
        let list = |numbers: &Vec<u32>| {
            let words: Vec<_> = numbers.iter().map(u32::to_string).collect();
            words.join(",")
        };
        let all = |numbers: &Option<Vec<u32>>| numbers.as_ref().map_or("*".to_owned(), list);
        format!(
            "{} {} * * {}",
            list(&self.minutes),
            all(&self.hours),
            all(&self.weekdays)
        )
    }

    fn reads(&self, local: chrono::NaiveDateTime) -> bool {
        let within = |numbers: &Option<Vec<u32>>, number: u32| {
            numbers.as_ref().is_none_or(|all| all.contains(&number))
        };
        local.second() == 0
            && self.minutes.contains(&local.minute())
            && within(&self.hours, local.hour())
            && within(&self.weekdays, local.weekday().num_days_from_sunday())
    }

    /// Every instant from `from` to `to` at which it fires.
    fn walk(&self, zone: Tz, dst: Dst, from: i64, to: i64) -> Vec<i64> {
        let local = |at: i64| {
            let at = DateTime::from_timestamp(at, 0).expect("within the calendar");
            at.with_timezone(&zone).naive_local()
        };
        let minute = chrono::TimeDelta::minutes(1);
        let mut fired = Vec::new();
        let mut at = from;
        while at <= to {
            let now = local(at);
            let before = local(at - 60);
            let mut fires = self.reads(now);
            if self.hours.is_some() {
                if fires && dst.overlap == DstOverlap::Once {
                    // Shown before at an earlier instant: looked for as far back as clocks ever move.
                    let shown = (1..=180).any(|back| local(at - back * 60) == now);
                    fires = !shown;
                }
                if now > before + minute && dst.gap == DstGap::RunAfter {
                    let mut lost = before + minute;
                    while lost < now {
                        fires |= self.reads(lost);
                        lost += minute;
                    }
                }
            }
            if fires {
                fired.push(at);
            }
            at += 60;
        }
        fired
    }
}

/// Zones with large, small, southern, odd and no changes, and one that skipped a day.
const ZONES: [&str; 10] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Chatham",
    "America/St_Johns",
    "Asia/Gaza",
];

fn some_of(last: u32) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::btree_set(0..=last, 1..4).prop_map(|set| set.into_iter().collect())
}

prop_compose! {
    fn plain()(
        minutes in some_of(59),
        hours in prop::option::of(some_of(5)),
        weekdays in prop::option::of(some_of(6)),
    ) -> Plain {
        Plain { minutes, hours, weekdays }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Around every kind of change, the calendar names what a walk over every minute finds.
    #[test]
    fn the_calendar_is_what_a_walk_over_every_minute_finds(
        plain in plain(),
        zone in 0..ZONES.len(),
        year in 2005i32..2037,
        gap in any::<bool>(),
        twice in any::<bool>(),
        half in any::<bool>(),
    ) {
        let dst = Dst {
            gap: if gap { DstGap::RunAfter } else { DstGap::Skip },
            overlap: if twice { DstOverlap::Twice } else { DstOverlap::Once },
        };
        let named = Zone::parse(ZONES[zone]).expect("a zone");
        let tz: Tz = ZONES[zone].parse().expect("a zone");
        // A window of four days around a change of that half-year, or its middle without one.
        let start = tz.with_ymd_and_hms(year, if half { 7 } else { 1 }, 5, 12, 0, 0).earliest();
        let start = start.expect("noon is never in a gap").timestamp();
        let start = start.div_euclid(60) * 60;
        let change = named.next_change(start, start + 178 * 86_400).unwrap_or(start + 90 * 86_400);
        let (from, to) = (change - 2 * 86_400, change + 2 * 86_400);
        let walked = plain.walk(tz, dst, from + 60, to);
        let cron = Cron::parse(&plain.text()).expect("a sound expression");
        let calendar = Calendar::new(cron, named, dst);
        let mut found = Vec::new();
        let mut at = Timestamp::from_micros(from * 1_000_000);
        while let Some(next) = calendar.next_after(at) {
            prop_assert!(next > at, "strictly later");
            at = next;
            if at.as_micros() > to * 1_000_000 {
                break;
            }
            found.push(at.as_micros() / 1_000_000);
        }
        prop_assert_eq!(found, walked, "{} in {} around {}", plain.text(), ZONES[zone], change);
    }
}
