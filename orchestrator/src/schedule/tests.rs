//! The laws of schedules, for any plan and any story of ticks, standstills, restarts and people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_state::Timestamp;
use phisync_workflows::machine::{CatchUp, DstGap, DstOverlap, Overlap, Schedule, Timing};
use proptest::prelude::*;

use super::{
    Decision, Plan, ScheduleEvent, ScheduleInput, ScheduleState, SkipReason, Surroundings, apply,
    decide, next_due,
};
use crate::engine::RunId;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// 2026-03-28T00:00:00Z, the day before clocks change in Berlin.
const BEGINNING: i64 = 1_774_656_000 * SECOND;

fn entry(timing: Timing, overlap: Overlap, catchup: CatchUp) -> Schedule {
    Schedule {
        id: "nightly".to_owned(),
        timing,
        timezone: "Europe/Berlin".to_owned(),
        dst_gap: DstGap::RunAfter,
        dst_overlap: DstOverlap::Once,
        input: Vec::new(),
        overlap,
        catchup,
        catchup_window: Duration::from_secs(3600),
        jitter: Duration::ZERO,
        start_at: None,
        end_at: None,
        enabled: true,
    }
}

/// One schedule, its journal, and the runs that it started.
struct Story {
    plan: Plan,
    state: ScheduleState,
    journal: Vec<ScheduleEvent>,
    now: i64,
    runs: u32,
    open: BTreeSet<RunId>,
    /// The most runs that were open at once, those set off by hand left out.
    by_hand: BTreeSet<RunId>,
    together: usize,
}

impl Story {
    fn new(entry: &Schedule) -> Self {
        let at = Timestamp::from_micros(BEGINNING);
        let mut story = Self {
            plan: Plan::new("report", entry, at).expect("a sound entry"),
            state: ScheduleState::default(),
            journal: Vec::new(),
            now: BEGINNING,
            runs: 0,
            open: BTreeSet::new(),
            by_hand: BTreeSet::new(),
            together: 0,
        };
        let set = ScheduleEvent::ScheduleSet {
            definition: "d".to_owned(),
            anchor: at,
            after: at,
            at,
        };
        apply(&mut story.state, &set);
        story.journal.push(set);
        story
    }

    fn give(&mut self, input: ScheduleInput) {
        let runs = &mut self.runs;
        let mut prepare = |_| {
            *runs += 1;
            Ok(RunId::parse(&format!("r{runs}")).expect("a sound id"))
        };
        let mut around = Surroundings {
            now: Timestamp::from_micros(self.now),
            prepare: &mut prepare,
        };
        let decided = decide(&self.plan, &mut self.state, input, &mut around);
        let Ok(Decision { events, cancels }) = decided else {
            return;
        };
        for event in &events {
            if let ScheduleEvent::ScheduleFired { run, by, .. } = event {
                self.open.insert(run.clone());
                if by.is_some() {
                    self.by_hand.insert(run.clone());
                }
            }
        }
        self.journal.extend(events);
        for run in cancels {
            self.close(&run);
        }
        let regular = self.open.difference(&self.by_hand).count();
        self.together = self.together.max(regular);
    }

    fn close(&mut self, run: &RunId) {
        self.open.remove(run);
        self.state.forget_run(run);
    }

    /// Ticks whenever something is due, as the coordinator does, until `self.now`.
    fn settle(&mut self) {
        for _ in 0..2000 {
            let due = next_due(&self.plan, &self.state);
            if due.is_none_or(|due| due.as_micros() > self.now) {
                return;
            }
            self.give(ScheduleInput::Tick);
        }
        panic!("something is due again and again without effect");
    }

    /// A new process folds the journal; which runs are open it knows from their own.
    fn restart(&mut self) {
        let mut state = ScheduleState::default();
        for event in &self.journal {
            let text = serde_json::to_string(event).expect("a fact prints");
            apply(
                &mut state,
                &serde_json::from_str(&text).expect("a fact reads"),
            );
        }
        let summed = state.sum_up(Timestamp::from_micros(self.now));
        let text = serde_json::to_string(&summed).expect("a fact prints");
        let mut again = ScheduleState::default();
        apply(
            &mut again,
            &serde_json::from_str(&text).expect("a fact reads"),
        );
        again.version = state.version;
        again.since_summed = state.since_summed;
        if again.taken.stretches() < state.taken.stretches() {
            // The oldest of very many were joined: what was taken is still taken, and nothing else changed.
            for instant in self.account().0.into_keys() {
                assert!(again.taken.contains(Timestamp::from_micros(instant)));
            }
            again.taken = state.taken.clone();
        }
        assert_eq!(again, state, "what is summed up is all there was");
        state.runs.retain(|run| self.open.contains(run));
        assert_eq!(state, self.state, "a replay gives the same state");
        self.state = state;
    }

    fn instants(&self, after: i64, until: i64) -> Vec<i64> {
        let mut at = Timestamp::from_micros(after);
        let mut all = Vec::new();
        while let Some(next) = self.plan.next_after(at) {
            if next.as_micros() > until {
                break;
            }
            all.push(next.as_micros());
            at = next;
        }
        all
    }

    /// How often each instant was started, and the instants that something was said about.
    fn account(&self) -> (BTreeMap<i64, u32>, BTreeSet<i64>) {
        let mut fired = BTreeMap::new();
        let mut told = BTreeSet::new();
        for event in &self.journal {
            match event {
                ScheduleEvent::ScheduleFired {
                    instant: Some(at), ..
                } => {
                    *fired.entry(at.as_micros()).or_default() += 1;
                    told.insert(at.as_micros());
                }
                ScheduleEvent::ScheduleQueued { instant, .. }
                | ScheduleEvent::ScheduleSkipped { instant, .. } => {
                    told.insert(instant.as_micros());
                }
                ScheduleEvent::SchedulePassed {
                    after,
                    until,
                    count,
                    ..
                } => {
                    let stretch = self.instants(after.as_micros(), until.as_micros());
                    assert_eq!(stretch.len().min(1000), *count as usize);
                    told.extend(stretch);
                }
                ScheduleEvent::BackfillRequested { instants, .. } => {
                    told.extend(instants.iter().map(|at| at.as_micros()));
                }
                ScheduleEvent::ScheduleFired { instant: None, .. }
                | ScheduleEvent::ScheduleSet { .. }
                | ScheduleEvent::ScheduleSummed { .. }
                | ScheduleEvent::ScheduleWithdrawn { .. }
                | ScheduleEvent::SchedulePaused { .. }
                | ScheduleEvent::ScheduleResumed { .. } => {}
            }
        }
        (fired, told)
    }
}

#[derive(Clone, Debug)]
enum Act {
    Wait(i64),
    /// Nobody is there meanwhile.
    Sleep(i64),
    ClockBack(i64),
    Restart,
    CloseOldest,
    Pause,
    Resume,
    Trigger,
    Backfill(i64, i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..90 * MINUTE).prop_map(Act::Wait),
        2 => (1..26 * HOUR).prop_map(Act::Sleep),
        1 => (1..3 * HOUR).prop_map(Act::ClockBack),
        2 => Just(Act::Restart),
        4 => Just(Act::CloseOldest),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        1 => Just(Act::Trigger),
        1 => (0..30 * HOUR, 0..5 * HOUR).prop_map(|(back, long)| Act::Backfill(back, long)),
    ]
}

fn timing() -> impl Strategy<Value = Timing> {
    prop_oneof![
        (1u64..7200).prop_map(|seconds| Timing::Every(Duration::from_secs(seconds))),
        prop::sample::select(vec![
            "*/15 * * * *",
            "30 2 * * *",
            "0 * * * *",
            "*/20 1-3 * * *"
        ])
        .prop_map(|text| Timing::Cron(text.to_owned())),
    ]
}

fn overlap() -> impl Strategy<Value = Overlap> {
    prop::sample::select(vec![
        Overlap::Skip,
        Overlap::Queue,
        Overlap::Replace,
        Overlap::Allow,
    ])
}

fn catchup() -> impl Strategy<Value = CatchUp> {
    prop::sample::select(vec![CatchUp::None, CatchUp::Last, CatchUp::All])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn each_instant_starts_at_most_one_run_and_none_is_passed_in_silence(
        timing in timing(),
        overlap in overlap(),
        catchup in catchup(),
        jitter in prop::sample::select(vec![0u64, 40, 1800]),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut entry = entry(timing, overlap, catchup);
        entry.jitter = Duration::from_secs(jitter);
        let mut story = Story::new(&entry);
        for act in acts {
            match act {
                Act::Wait(by) => {
                    let end = story.now + by;
                    // Every instant is met in time.
                    while let Some(due) = next_due(&story.plan, &story.state)
                        && due.as_micros() <= end
                    {
                        story.now = story.now.max(due.as_micros());
                        story.settle();
                    }
                    story.now = end;
                }
                Act::Sleep(by) => {
                    story.now += by;
                    story.restart();
                    story.settle();
                }
                Act::ClockBack(by) => story.now -= by,
                Act::Restart => story.restart(),
                Act::CloseOldest => {
                    if let Some(run) = story.state.runs.first().cloned() {
                        story.close(&run);
                        story.settle();
                    }
                }
                Act::Pause => story.give(ScheduleInput::Pause { by: "dana".to_owned(), reason: None }),
                Act::Resume => {
                    story.give(ScheduleInput::Resume { by: "dana".to_owned() });
                    story.settle();
                }
                Act::Trigger => story.give(ScheduleInput::Trigger { by: "dana".to_owned() }),
                Act::Backfill(back, long) => {
                    let from = story.now - back;
                    story.give(ScheduleInput::Backfill {
                        from: Timestamp::from_micros(from),
                        until: Timestamp::from_micros((from + long).min(story.now)),
                        by: "dana".to_owned(),
                    });
                }
            }
        }
        story.restart();
        let (fired, told) = story.account();
        for (at, times) in &fired {
            prop_assert_eq!(*times, 1, "instant {} was started {} times", at, times);
        }
        for at in story.instants(BEGINNING, story.state.cursor.as_micros()) {
            prop_assert!(told.contains(&at), "nothing was said about {}", at);
        }
        if overlap != Overlap::Allow {
            prop_assert!(story.together <= 1, "{} runs at once", story.together);
        }
    }

    /// Whoever wants all and is asked in time loses none.
    #[test]
    fn with_all_and_allow_every_instant_within_reach_starts(
        timing in timing(),
        waits in prop::collection::vec(1..50 * MINUTE, 1..20),
    ) {
        let mut story = Story::new(&entry(timing, Overlap::Allow, CatchUp::All));
        for wait in waits {
            story.now += wait;
            story.settle();
        }
        let (fired, _) = story.account();
        let fired: Vec<_> = fired.into_keys().collect();
        prop_assert_eq!(fired, story.instants(BEGINNING, story.now));
    }

    #[test]
    fn jitter_stays_within_its_bound_keeps_the_order_and_is_the_same_each_time(
        timing in timing(),
        jitter in 1u64..7200,
        days in 0i64..400,
    ) {
        let mut entry = entry(timing, Overlap::Allow, CatchUp::All);
        entry.jitter = Duration::from_secs(jitter);
        let anchor = Timestamp::from_micros(BEGINNING);
        let plan = Plan::new("report", &entry, anchor).expect("a sound entry");
        let mut at = Timestamp::from_micros(BEGINNING + days * 24 * HOUR);
        for _ in 0..20 {
            let instant = plan.next_after(at).expect("it fires again");
            let due = plan.due(instant);
            prop_assert_eq!(due, plan.due(instant));
            prop_assert!(due >= instant);
            prop_assert!(due.since(instant) <= Duration::from_secs(jitter));
            let next = plan.next_after(instant).expect("it fires again");
            prop_assert!(due < next);
            at = instant;
        }
    }
}

/// What the journal says, one word per fact.
fn words(story: &Story) -> Vec<String> {
    let at = |instant: &Timestamp| (instant.as_micros() - BEGINNING) / MINUTE;
    let words = story.journal.iter().skip(1).map(|event| match event {
        ScheduleEvent::ScheduleFired {
            instant: Some(i), ..
        } => format!("{} fired", at(i)),
        ScheduleEvent::ScheduleFired { .. } => "set off".to_owned(),
        ScheduleEvent::ScheduleQueued { instant, .. } => format!("{} queued", at(instant)),
        ScheduleEvent::ScheduleSkipped {
            instant, reason, ..
        } => format!("{} skipped: {}", at(instant), reason.words()),
        ScheduleEvent::SchedulePassed {
            until,
            count,
            reason,
            ..
        } => format!("{count} up to {} passed: {}", at(until), reason.words()),
        ScheduleEvent::SchedulePaused { .. } => "paused".to_owned(),
        ScheduleEvent::ScheduleSummed { .. } => "summed up".to_owned(),
        ScheduleEvent::ScheduleResumed { .. } => "resumed".to_owned(),
        ScheduleEvent::BackfillRequested { instants, .. } => {
            format!("backfill of {}", instants.len())
        }
        ScheduleEvent::ScheduleSet { .. } | ScheduleEvent::ScheduleWithdrawn { .. } => {
            "set".to_owned()
        }
    });
    words.collect()
}

fn every_ten_minutes(overlap: Overlap, catchup: CatchUp) -> Story {
    let timing = Timing::Every(Duration::from_secs(600));
    Story::new(&entry(timing, overlap, catchup))
}

fn meet(story: &mut Story, minute: i64) {
    story.now = BEGINNING + minute * MINUTE;
    story.settle();
}

#[test]
fn an_instant_made_up_for_leaves_those_before_it_to_their_turn_when_the_clock_goes_back() {
    let mut story = every_ten_minutes(Overlap::Allow, CatchUp::All);
    let by = || "dana".to_owned();
    story.give(ScheduleInput::Pause {
        by: by(),
        reason: None,
    });
    story.now = BEGINNING + 65 * MINUTE;
    let sixty = Timestamp::from_micros(BEGINNING + 60 * MINUTE);
    story.give(ScheduleInput::Backfill {
        from: sixty,
        until: sixty,
        by: by(),
    });
    story.now = BEGINNING + 45 * MINUTE;
    story.give(ScheduleInput::Resume { by: by() });
    meet(&mut story, 45);
    meet(&mut story, 50);
    meet(&mut story, 70);
    insta::assert_snapshot!(words(&story).join(" | "), @"paused | backfill of 1 | 4 up to 45 passed: paused | resumed | 60 fired | 50 fired | 60 skipped: taken before | 70 fired");
}

#[test]
fn after_a_standstill_none_last_or_all_of_the_missed_start() {
    let after = |catchup| {
        let mut story = every_ten_minutes(Overlap::Allow, catchup);
        meet(&mut story, 10);
        // Until 11:35 nobody was there: 20 to 90 were missed; the window reaches back to 35.
        meet(&mut story, 95);
        words(&story).join(" | ")
    };
    insta::assert_snapshot!(after(CatchUp::None), @"10 fired | 8 up to 94 passed: missed");
    insta::assert_snapshot!(after(CatchUp::Last), @"10 fired | 2 up to 35 passed: missed | 5 up to 80 passed: missed | 90 fired");
    insta::assert_snapshot!(after(CatchUp::All), @"10 fired | 2 up to 35 passed: missed | 40 fired | 50 fired | 60 fired | 70 fired | 80 fired | 90 fired");
}

#[test]
fn while_a_run_is_open_each_policy_does_what_it_is_called() {
    let during = |overlap| {
        let mut story = every_ten_minutes(overlap, CatchUp::Last);
        for minute in [10, 20, 30] {
            meet(&mut story, minute);
        }
        if let Some(run) = story.state.runs.first().cloned() {
            story.close(&run);
        }
        meet(&mut story, 31);
        words(&story).join(" | ")
    };
    insta::assert_snapshot!(during(Overlap::Skip), @"10 fired | 20 skipped: run `r1` was still open | 30 skipped: run `r1` was still open");
    insta::assert_snapshot!(during(Overlap::Queue), @"10 fired | 20 queued | 30 queued | 20 fired");
    insta::assert_snapshot!(during(Overlap::Replace), @"10 fired | 20 queued | 20 fired | 30 queued | 30 fired");
    insta::assert_snapshot!(during(Overlap::Allow), @"10 fired | 20 fired | 30 fired");
}

#[test]
fn what_a_pause_leaves_out_is_recorded_and_can_be_made_up_for_once() {
    let mut story = every_ten_minutes(Overlap::Allow, CatchUp::All);
    meet(&mut story, 10);
    story.give(ScheduleInput::Pause {
        by: "dana".to_owned(),
        reason: None,
    });
    meet(&mut story, 35);
    story.give(ScheduleInput::Resume {
        by: "dana".to_owned(),
    });
    let backfill = ScheduleInput::Backfill {
        from: Timestamp::from_micros(BEGINNING + MINUTE),
        until: Timestamp::from_micros(BEGINNING + 35 * MINUTE),
        by: "dana".to_owned(),
    };
    story.give(backfill.clone());
    story.give(backfill);
    insta::assert_snapshot!(
        words(&story).join(" | "),
        @"10 fired | paused | 2 up to 35 passed: paused | resumed | backfill of 2 | 20 fired | 30 fired"
    );
}

#[test]
fn a_schedule_that_works_as_it_should_needs_no_space() {
    let mut story = every_ten_minutes(Overlap::Allow, CatchUp::All);
    for tick in 1..500 {
        meet(&mut story, tick * 10);
    }
    assert_eq!(story.state.taken.stretches(), 1);
    assert_eq!(story.state.past.len(), 20);
}

#[test]
fn an_instant_whose_inputs_do_not_fit_is_skipped_with_the_reason() {
    let mut story = every_ten_minutes(Overlap::Skip, CatchUp::All);
    story.now = BEGINNING + 10 * MINUTE;
    let mut prepare = |_| Err("no such input".to_owned());
    let mut around = Surroundings {
        now: Timestamp::from_micros(story.now),
        prepare: &mut prepare,
    };
    let input = ScheduleInput::Tick;
    let decided = decide(&story.plan, &mut story.state, input, &mut around);
    let events = decided.expect("a schedule").events;
    assert!(
        matches!(
            &events[..],
            [ScheduleEvent::ScheduleSkipped {
                reason: SkipReason::BadInputs { .. },
                ..
            }]
        ),
        "{events:?}"
    );
}
