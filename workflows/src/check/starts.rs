//! How runs start: cron expressions, time zones, inputs, and how many may wait.

use std::time::Duration;

use super::worst::Worst;
use super::zones;
use crate::cron::{CronFields, Reason};
use crate::diagnostic::Note;
use crate::lower::duration::show;
use crate::lower::{Cx, Draft};
use crate::machine::{OnRunConflict, Overlap, Schedule, Template, Timing};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// Calendars of more schedules than this are not looked through.
const CALENDARS_MAX: usize = 100;

/// All rules about `schedule`, `triggers` and `concurrency`.
pub(super) fn all(cx: &mut Cx<'_>, draft: &Draft<'_>, worst: Option<&Worst<'_, '_>>) {
    let places = maps(draft.root, "schedule");
    for (count, (schedule, map)) in draft.schedules.iter().zip(places).enumerate() {
        let first = map.entries.first();
        let whole = first.map_or(draft.name_span, |entry| entry.key_span);
        cx.sink.enter(whole);
        let place = Place { map, whole };
        if let Timing::Cron(text) = &schedule.timing
            && let Some(fields) = cron(cx, &place, text)
            && count < CALENDARS_MAX
        {
            calendar(cx, schedule, &place, &fields, worst);
        }
        if let Timing::Every(every) = schedule.timing {
            overlapping(cx, schedule, place.value("every"), every, worst);
        }
        if !zones::exists(&schedule.timezone) {
            unknown_zone(cx, &schedule.timezone, place.value("timezone"));
        }
        window(cx, schedule, &place);
        required_inputs(cx, draft, &schedule.input, &place);
    }
    for (trigger, map) in draft.triggers.iter().zip(maps(draft.root, "triggers")) {
        let first = map.entries.first();
        let whole = first.map_or(draft.name_span, |entry| entry.key_span);
        cx.sink.enter(whole);
        required_inputs(cx, draft, &trigger.input, &Place { map, whole });
    }
    cx.sink.enter(draft.span);
    unbounded_queue(cx, draft);
}

/// The maps of a list of the workflow, as the reader took them.
fn maps<'n>(root: &'n Map, key: &str) -> impl Iterator<Item = &'n Map> {
    let items = root.get(key).and_then(|entry| entry.value.as_seq());
    items.unwrap_or_default().iter().filter_map(Node::as_map)
}

/// Where a start is written.
struct Place<'n> {
    map: &'n Map,
    whole: Span,
}

impl Place<'_> {
    fn value(&self, key: &str) -> Span {
        self.map
            .get(key)
            .map_or(self.whole, |entry| entry.value.span)
    }
}

/// PHI510 and PHI511.
fn cron(cx: &mut Cx<'_>, place: &Place<'_>, text: &str) -> Option<CronFields> {
    let span = place.value("cron");
    let error = match CronFields::parse(text) {
        Ok(fields) => return Some(fields),
        Err(error) => error,
    };
    let note = match error.reason {
        Reason::NeverFires { day, month } => {
            let why = format!("cron never fires: there is no {day} {month}");
            Note::error("PHI511", span, why)
        }
        _ => Note::error("PHI510", span, format!("not a cron expression: {error}")),
    };
    cx.sink.push(note.help_if(error.hint().map(str::to_owned)));
    None
}

/// PHI512, PHI514 and PHI515.
fn calendar(
    cx: &mut Cx<'_>,
    schedule: &Schedule,
    place: &Place<'_>,
    fields: &CronFields,
    worst: Option<&Worst<'_, '_>>,
) {
    let span = place.value("cron");
    if fields.either_day() {
        cx.sink.push(
            Note::info(
                "PHI515",
                span,
                "day of month and day of week are both given: either matches",
            )
            .help("let one of them be `*`, or test the date in the workflow"),
        );
    }
    overlapping(cx, schedule, span, period(fields), worst);
    if let Some(change) = zones::change(&schedule.timezone, fields) {
        cx.sink.push(
            Note::info("PHI514", span, change)
                .also(place.value("timezone"), "clocks change there")
                .help("`dst: { gap: run_after | skip, overlap: once | twice }` says what happens"),
        );
    }
}

/// The shortest time between two instants of an expression.
fn period(fields: &CronFields) -> Duration {
    const DAY: u64 = 86_400;
    let mut times: Vec<u64> = Vec::new();
    for hour in fields.hour.numbers() {
        for minute in fields.minute.numbers() {
            let at = (u64::from(hour) * 60 + u64::from(minute)) * 60;
            times.extend(fields.second.numbers().map(|second| at + u64::from(second)));
        }
    }
    // From the last time of a day to the first of the next day that matches.
    let over_night = zones::days_between(fields).map(|days| {
        let (first, last) = (times.first(), times.last());
        days * DAY + first.copied().unwrap_or(0) - last.copied().unwrap_or(0)
    });
    let within = times.windows(2).map(|pair| pair[1] - pair[0]).min();
    let shortest = within.into_iter().chain(over_night).min();
    Duration::from_secs(shortest.unwrap_or(u64::MAX))
}

/// PHI512. Only clocks that somebody wrote count, as for the longest path.
fn overlapping(
    cx: &mut Cx<'_>,
    schedule: &Schedule,
    span: Span,
    every: Duration,
    worst: Option<&Worst<'_, '_>>,
) {
    let Some(longest) = worst.map(|worst| worst.run()) else {
        return;
    };
    let what = match schedule.overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Replace => "replace",
        Overlap::Allow => return,
    };
    if every < longest {
        cx.sink.push(
            Note::warning(
                "PHI512",
                span,
                format!(
                    "fires every {}, a run may take {}, `overlap: {what}`",
                    show(every),
                    show(longest)
                ),
            )
            .help("fire less often, shorten the clocks of the steps, or say `overlap: allow`"),
        );
    }
}

/// PHI513.
fn unknown_zone(cx: &mut Cx<'_>, zone: &str, span: Span) {
    let note = Note::error("PHI513", span, format!("unknown time zone `{zone}`"));
    let near = cx.nearest(zone, zones::names());
    cx.sink.push(match near {
        Some(near) => note
            .label(format!("did you mean `{near}`?"))
            .edit(span, near),
        None => note.help("an IANA name, as `Europe/Berlin` or `UTC`"),
    });
}

/// PHI518: a window that is over before it begins.
fn window(cx: &mut Cx<'_>, schedule: &Schedule, place: &Place<'_>) {
    let instant = |text: &Option<String>| {
        let text = text.as_ref()?;
        crate::expr::time::parse_timestamp(text)
    };
    let (start, end) = (instant(&schedule.start_at), instant(&schedule.end_at));
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        cx.sink.push(
            Note::warning(
                "PHI518",
                place.value("end_at"),
                "the schedule ends before it starts",
            )
            .also(place.value("start_at"), "it starts here"),
        );
    }
}

/// PHI516.
fn required_inputs(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    given: &[(String, Template)],
    place: &Place<'_>,
) {
    let span = place
        .map
        .get("input")
        .map_or(place.whole, |entry| entry.key_span);
    for input in &draft.declared.inputs {
        let needed = input.default.is_none() && !input.schema.is_optional();
        if needed && !given.iter().any(|(name, _)| *name == input.name) {
            let name = &input.name;
            let message = format!("this start does not set required input `{name}`");
            cx.sink.push(
                Note::error("PHI516", span, message)
                    .help(format!("add `{name}` to its `input`, or give it a default")),
            );
        }
    }
}

/// PHI520.
fn unbounded_queue(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let Some(concurrency) = &draft.concurrency else {
        return;
    };
    let fields = draft
        .root
        .get("concurrency")
        .and_then(|entry| entry.value.as_map());
    let constant = matches!(concurrency.key, Template::Literal(_));
    if let Some(entry) = fields.and_then(|fields| fields.get("key"))
        && constant
        && concurrency.on_conflict == OnRunConflict::Queue
    {
        cx.sink.push(
            Note::warning(
                "PHI520",
                entry.value.span,
                "all runs have one key and queue behind each other: the queue has no limit",
            )
            .help("make the key an expression over `inputs`, or say `on_conflict: reject`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_time_between_two_instants_counts_days_too() {
        let shortest = |text: &str| {
            let fields = CronFields::parse(text).expect("an expression");
            show(period(&fields))
        };
        assert_eq!(shortest("30 9 * * TUE"), "7d");
        assert_eq!(shortest("0 7 * * MON,WED,SUN"), "1d");
        assert_eq!(shortest("0 7 * * MON,THU"), "3d");
        assert_eq!(shortest("0 7 31 * *"), "31d");
        assert_eq!(shortest("0 23,1 * * *"), "2h");
        assert_eq!(shortest("0 */6 * * *"), "6h");
        assert_eq!(shortest("*/10 * * * * *"), "10s");
        assert_eq!(shortest("0 0 29 2 *"), "1461d");
    }
}
