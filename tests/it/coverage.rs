//! Every state with every input: the list is explicit, and nothing of it is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use phisync::engine::{Input, Moment, RunId, RunState, Start, decide, start};
use phisync_state::Timestamp;
use phisync_tests::coverage::{INPUTS, STATES, Seen, pairs, probe};
use phisync_tests::machines::{BY_ITSELF, MACHINES};
use phisync_tests::play::{Play, Plot};
use phisync_tests::{BEGINNING, compiled};
use serde_json::Map;

/// What becomes of every pair, in states that the plays of all machines come to.
fn seen() -> BTreeSet<Seen> {
    let mut seen = BTreeSet::new();
    let flat = MACHINES.iter().map(|(name, text)| (*name, *text, &[][..]));
    let calling = BY_ITSELF.iter();
    let calling = calling.map(|(name, text, called)| (*name, *text, *called));
    for (_, text, called) in flat.chain(calling) {
        let cancelled = (2..40).step_by(5).map(|at| Plot {
            cancel_at: Some(at),
            ..Plot::default()
        });
        let chance = (1..6).map(|seed| Plot {
            seed,
            ..Plot::default()
        });
        let plots = cancelled.chain(chance).chain([Plot::default()]);
        for plot in plots {
            for (run, now) in Play::new(text, called, plot).states() {
                probe(&run, now, &mut seen);
                if let Some(asking) = asking(&run, now) {
                    probe(&asking, now, &mut seen);
                }
            }
        }
        probe(&begun(text, true), BEGINNING, &mut seen);
        let mut paused = begun(text, false);
        let pause = Input::Pause {
            by: "p1".to_owned(),
            reason: None,
        };
        let moment = Moment {
            now: BEGINNING,
            dice: 0,
        };
        decide(&mut paused, pause, moment).expect("it is open");
        probe(&paused, BEGINNING, &mut seen);
    }
    let (run, now) = finishing();
    probe(&run, now, &mut seen);
    seen
}

/// A run that is to complete, but for the holder of a task who has not answered yet.
fn finishing() -> (RunState, Timestamp) {
    let workflow = "
workflow: finishing
steps:
  - { id: a, task: do, assign: A1 }
  - { id: rest, wait: 1m }
  - { id: over, needs: rest, finish: {} }
";
    let mut run = begun(workflow, false);
    let claim = Input::Claim {
        step: "a".to_owned(),
        undo: false,
        agent: "a1".to_owned(),
        epoch: 1,
    };
    let mut moment = Moment {
        now: BEGINNING,
        dice: 0,
    };
    decide(&mut run, claim, moment).expect("it is ready");
    moment.now = BEGINNING.saturating_add(Duration::from_secs(60));
    decide(&mut run, Input::Tick, moment).expect("time passes");
    (run, moment.now)
}

fn begun(workflow: &str, held: bool) -> RunState {
    let begin = Start {
        run: RunId::parse("r1").expect("a sound id"),
        inputs: Map::new(),
        config: Map::new(),
        labels: BTreeMap::new(),
        by: "dana".to_owned(),
        trigger: None,
        held,
    };
    let moment = Moment {
        now: BEGINNING,
        dice: 0,
    };
    start(compiled(workflow), begin, moment).0
}

/// The same after the holder of a task has asked people something.
fn asking(run: &RunState, now: Timestamp) -> Option<RunState> {
    let (task, state) = run.live_tasks().find(|(_, task)| task.holder.is_some())?;
    let ask = Input::Ask {
        step: run.name(task.step),
        undo: task.undo,
        token: state.holder.as_ref()?.token,
        question: "which".to_owned(),
        form: None,
    };
    let mut run = run.clone();
    decide(&mut run, ask, Moment { now, dice: 0 }).ok()?;
    Some(run)
}

#[test]
fn every_pair_of_a_state_and_an_input_does_what_is_written_down() {
    let seen = seen();
    let covered: BTreeSet<_> = seen.iter().map(|s| (s.machine, s.from, s.input)).collect();
    let uncovered = pairs().into_iter().filter(|pair| !covered.contains(pair));
    let uncovered: Vec<_> = uncovered.map(|pair| format!("{pair:?}")).collect();
    insta::assert_snapshot!(uncovered.join("\n"), @"");
    let foreign = covered.difference(&pairs()).count();
    assert_eq!(
        foreign, 0,
        "a state or an input that the list does not have"
    );
    for (machine, states) in STATES {
        insta::assert_snapshot!(format!("machine_{machine}"), table(&seen, machine, states));
    }
}

/// For each state where each input leads, inputs with the same ends together.
fn table(seen: &BTreeSet<Seen>, machine: &str, states: &[&str]) -> String {
    let mut text = String::new();
    for state in states {
        let mut ends: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
        for input in INPUTS {
            let fits = |s: &&Seen| (s.machine, s.from, s.input) == (machine, *state, input);
            let to: BTreeSet<_> = seen.iter().filter(fits).map(|s| s.to).collect();
            ends.entry(to.into_iter().collect())
                .or_default()
                .push(input);
        }
        writeln!(text, "{state}").expect("a string takes all");
        for (to, inputs) in ends {
            writeln!(text, "  {}: {}", to.join(" | "), inputs.join("; ")).expect("as above");
        }
    }
    text
}
