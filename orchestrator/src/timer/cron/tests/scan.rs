//! The laws of the calendar, checked against a scan of every minute, second or day in a window.
//!
//! The scan walks a calendar of its own and asks each element of an expression whether it matches; it
//! shares no code with the calendar under test, and not its way of thinking either.

use phisync_state::Timestamp;
use proptest::prelude::*;

use crate::timer::Cron;
use crate::timer::cron::Reason;

const SECONDS_PER_DAY: i64 = 86_400;

const SUNDAY: Number = 0;
const SATURDAY: Number = 6;

/// A number of a field, from its text or from the calendar.
type Number = i64;

#[derive(Clone, Copy, Debug)]
enum Element {
    All,
    Every(Number),
    One(Number),
    From(Number, Number),
    Range(Number, Number, Number),
}

#[derive(Clone, Debug)]
struct Texts {
    elements: Vec<Element>,
    first: Number,
    last: Number,
}

/// Second, minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
struct Expression([Texts; 6]);

#[derive(Clone, Copy, Debug)]
struct Date {
    year: Number,
    month: Number,
    day: Number,
    weekday: Number,
}

impl Element {
    fn text(self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Every(step) => format!("*/{step}"),
            Self::One(number) => number.to_string(),
            Self::From(number, step) => format!("{number}/{step}"),
            Self::Range(from, to, 1) => format!("{from}-{to}"),
            Self::Range(from, to, step) => format!("{from}-{to}/{step}"),
        }
    }

    fn matches(self, number: Number, first: Number, last: Number) -> bool {
        match self {
            Self::All => true,
            Self::Every(step) => (number - first) % step == 0,
            Self::One(only) => number == only,
            Self::From(from, step) => number >= from && (number - from) % step == 0,
            Self::Range(from, to, step) if from <= to => {
                from <= number && number <= to && (number - from) % step == 0
            }
            Self::Range(from, _, step) if number >= from => (number - from) % step == 0,
            Self::Range(from, to, step) => {
                let passed_before_the_end = last - from + 1;
                number <= to && (passed_before_the_end + number - first) % step == 0
            }
        }
    }
}

impl Texts {
    fn text(&self) -> String {
        let texts: Vec<String> = self.elements.iter().map(|element| element.text()).collect();
        texts.join(",")
    }

    fn matches(&self, number: Number) -> bool {
        self.elements.iter().any(|element| {
            let also_as_seven = self.last == SATURDAY
                && number == SUNDAY
                && matches!(element, Element::One(_) | Element::Range(..))
                && element.matches(7, self.first, self.last);
            also_as_seven || element.matches(number, self.first, self.last)
        })
    }

    fn is_open(&self) -> bool {
        matches!(self.elements[0], Element::All | Element::Every(_))
    }
}

impl Expression {
    fn text(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(Texts::text).collect();
        texts.join(" ")
    }

    fn has_day(&self, date: Date) -> bool {
        let [_, _, _, day, month, weekday] = &self.0;
        let (by_date, by_weekday) = (day.matches(date.day), weekday.matches(date.weekday));
        month.matches(date.month)
            && if day.is_open() || weekday.is_open() {
                by_date && by_weekday
            } else {
                by_date || by_weekday
            }
    }

    fn has_second(&self, of_day: i64) -> bool {
        let [second, minute, hour, ..] = &self.0;
        second.matches(of_day % 60)
            && minute.matches(of_day / 60 % 60)
            && hour.matches(of_day / 3600)
    }
}

impl Date {
    /// A Thursday.
    const EPOCH: Self = Self {
        year: 1970,
        month: 1,
        day: 1,
        weekday: 4,
    };

    fn next(self) -> Self {
        let is_leap = self.year % 400 == 0 || self.year % 4 == 0 && self.year % 100 != 0;
        let length = match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let weekday = (self.weekday + 1) % 7;
        if self.day < length {
            Self {
                day: self.day + 1,
                weekday,
                ..self
            }
        } else if self.month < 12 {
            Self {
                day: 1,
                month: self.month + 1,
                weekday,
                ..self
            }
        } else {
            Self {
                day: 1,
                month: 1,
                year: self.year + 1,
                weekday,
            }
        }
    }
}

/// The first `most` instants after `start` and until `end`, in seconds since 1970, of all that `tick`
/// divides.
fn scan(expression: &Expression, start: i64, end: i64, tick: i64, most: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let mut date = Date::EPOCH;
    for midnight in (0..).step_by(86_400) {
        if midnight > end || date.year > 2100 {
            break;
        }
        let in_window = midnight + SECONDS_PER_DAY > start;
        for of_day in
            (0..SECONDS_PER_DAY).step_by(usize::try_from(tick).expect("a tick is positive"))
        {
            let now = midnight + of_day;
            if !in_window || found.len() == most {
                break;
            }
            if now > start
                && now <= end
                && expression.has_day(date)
                && expression.has_second(of_day)
            {
                found.push(now);
            }
        }
        date = date.next();
    }
    found
}

fn element(first: Number, last: Number) -> impl Strategy<Value = Element> {
    let number = move || first..=if last == SATURDAY { 7 } else { last };
    let step = move || 1..=last - first + 1;
    prop_oneof![
        2 => Just(Element::All),
        2 => step().prop_map(Element::Every),
        4 => number().prop_map(Element::One),
        1 => (first..=last, step()).prop_map(|(from, step)| Element::From(from, step)),
        2 => (number(), number()).prop_map(|(from, to)| Element::Range(from, to, 1)),
        2 => (number(), number(), step()).prop_map(|(from, to, step)| Element::Range(from, to, step)),
    ]
}

fn field(first: Number, last: Number) -> impl Strategy<Value = Texts> {
    prop::collection::vec(element(first, last), 1..4).prop_map(move |elements| Texts {
        elements,
        first,
        last,
    })
}

/// A field that selects 0 only.
fn zero() -> impl Strategy<Value = Texts> {
    Just(Texts {
        elements: vec![Element::One(0)],
        first: 0,
        last: 59,
    })
}

fn days() -> impl Strategy<Value = [Texts; 3]> {
    (field(1, 31), field(1, 12), field(SUNDAY, SATURDAY))
        .prop_map(|(day, month, weekday)| [day, month, weekday])
}

fn expression(
    second: impl Strategy<Value = Texts>,
    minute: impl Strategy<Value = Texts>,
    hour: impl Strategy<Value = Texts>,
) -> impl Strategy<Value = Expression> {
    (second, minute, hour, days()).prop_map(|(second, minute, hour, [day, month, weekday])| {
        Expression([second, minute, hour, day, month, weekday])
    })
}

/// Any microsecond of the years 1970 to 2100.
fn start() -> impl Strategy<Value = Timestamp> {
    (0_i64..47_847 * SECONDS_PER_DAY * 1_000_000).prop_map(Timestamp::from_micros)
}

/// Holds the calendar against the scan of `window` seconds from `start`.
fn compare(
    expression: &Expression,
    start: Timestamp,
    window: i64,
    tick: i64,
) -> Result<(), TestCaseError> {
    const MOST: usize = 40;
    let text = expression.text();
    let start_second = start.as_micros().div_euclid(1_000_000);
    let end = start_second + window;
    let cron = match Cron::parse(&text) {
        Ok(cron) => cron,
        Err(error) => {
            let never = matches!(error.reason, Reason::NeverFires { .. });
            prop_assert!(never, "`{}` is refused: {}", text, error);
            let mut days = (1..29 * 366).scan(Date::EPOCH, |date, _| {
                *date = date.next();
                Some(*date)
            });
            let day = days.find(|date| expression.has_day(*date));
            prop_assert!(day.is_none(), "`{}` fires on {:?}", text, day);
            return Ok(());
        }
    };
    let expected = scan(expression, start_second, end, tick, MOST);
    let found: Vec<i64> = cron
        .upcoming(start)
        .map(|at| at.as_micros() / 1_000_000)
        .take_while(|at| *at <= end)
        .take(MOST)
        .collect();
    prop_assert_eq!(found, expected, "`{}` after {}", text, start);
    Ok(())
}

proptest! {
    #[test]
    fn minutes_match_a_scan_of_a_month(
        expression in expression(zero(), field(0, 59), field(0, 23)),
        start in start(),
    ) {
        compare(&expression, start, 31 * SECONDS_PER_DAY, 60)?;
    }

    #[test]
    fn seconds_match_a_scan_of_a_day(
        expression in expression(field(0, 59), field(0, 59), field(0, 23)),
        start in start(),
    ) {
        compare(&expression, start, SECONDS_PER_DAY, 1)?;
    }

    #[test]
    fn days_match_a_scan_of_thirty_years(expression in expression(zero(), zero(), zero()), start in start()) {
        compare(&expression, start, 30 * 365 * SECONDS_PER_DAY, SECONDS_PER_DAY)?;
    }

    #[test]
    fn the_next_instant_is_later_and_nothing_lies_between(
        expression in expression(field(0, 59), field(0, 59), field(0, 23)),
        start in start(),
        percent in 0_i64..100,
    ) {
        let Ok(cron) = Cron::parse(&expression.text()) else { return Ok(()) };
        if let Some(next) = cron.next_after(start) {
            prop_assert!(next > start);
            let wait = next.as_micros() - start.as_micros();
            let between = start.as_micros() + wait / 100 * percent;
            prop_assert_eq!(cron.next_after(Timestamp::from_micros(between)), Some(next));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        text in prop_oneof!["\\PC{0,30}", "[-0-9*/,?LW#A-Z]{1,6}( [-0-9*/,?LW#a-z]{1,6}){4,5}"],
        micros in any::<i64>(),
    ) {
        if let Ok(cron) = Cron::parse(&text) {
            let _next = cron.next_after(Timestamp::from_micros(micros));
        }
    }
}
