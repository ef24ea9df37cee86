//! Time zones: which there are, and which times of day their clocks leave out or repeat.

use chrono::{
    Datelike as _, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _, Timelike as _,
};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::cron::{CronFields, Selection};

/// The year whose changes are shown: rules are known for the future, dates of the past help nobody.
const YEAR: i32 = 2030;

/// More times of a day than this mean that every hour is fired at, and nothing is lost.
const TIMES_MAX: usize = 64;

/// Whether there is a zone of this name.
pub(super) fn exists(name: &str) -> bool {
    name.parse::<Tz>().is_ok()
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// The first time of the expression that a clock change leaves out or repeats, as a sentence.
/// Expressions that fire every hour follow the time that passes and have none.
pub(super) fn change(zone: &str, fields: &CronFields) -> Option<String> {
    let zone: Tz = zone.parse().ok()?;
    if fields.hour.numbers().count() == 24 {
        return None;
    }
    let times: Vec<NaiveTime> = times(fields).take(TIMES_MAX).collect();
    let days = NaiveDate::from_ymd_opt(YEAR, 1, 1)?.iter_days();
    for day in days.take_while(|day| day.year() == YEAR) {
        if !matches(fields, day) {
            continue;
        }
        for time in &times {
            let what = match zone.from_local_datetime(&NaiveDateTime::new(day, *time)) {
                LocalResult::Single(_) => continue,
                LocalResult::None => "skipped",
                LocalResult::Ambiguous(..) => "doubled",
            };
            let (hour, minute) = (time.hour(), time.minute());
            return Some(format!(
                "{hour:02}:{minute:02} is {what} when clocks change in {zone}, as on {day}"
            ));
        }
    }
    None
}

/// How many days lie between two dates of the expression at least, a leap year seen.
pub(super) fn days_between(fields: &CronFields) -> Option<u64> {
    const YEARS: i32 = 9;
    let first = NaiveDate::from_ymd_opt(YEAR, 1, 1)?;
    let all = first
        .iter_days()
        .take_while(|day| day.year() < YEAR + YEARS);
    let days: Vec<NaiveDate> = all.filter(|day| matches(fields, *day)).collect();
    let between = days.windows(2).map(|pair| (pair[1] - pair[0]).num_days());
    between.min().and_then(|days| u64::try_from(days).ok())
}

fn times(fields: &CronFields) -> impl Iterator<Item = NaiveTime> {
    fields.hour.numbers().flat_map(|hour| {
        fields.minute.numbers().filter_map(move |minute| {
            NaiveTime::from_hms_opt(u32::from(hour), u32::from(minute), 0)
        })
    })
}

fn matches(fields: &CronFields, day: NaiveDate) -> bool {
    let date = selects(&fields.day, day.day());
    let weekday = selects(&fields.weekday, day.weekday().num_days_from_sunday());
    let on_day = if fields.either_day() {
        date || weekday
    } else {
        date && weekday
    };
    on_day && selects(&fields.month, day.month())
}

fn selects(field: &Selection, number: u32) -> bool {
    field
        .numbers()
        .any(|selected| u32::from(selected) == number)
}
