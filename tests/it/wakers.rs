//! Every state that small workflows can reach: in each, whatever is not final is woken by somebody,
//! the counters are right, and `why` has an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Coordinator, Now};
use phisync::engine::{
    Failure, Moment, Phase, RunEvent, RunState, RunStatus, Slot, StepStatus, Waker, watch_all,
};
use phisync::protocol::Why;
use phisync_agents::registry::Registry;
use phisync_state::env::SeededEntropy;
use phisync_state::{Entry, Expected, MemoryStore, Store, StreamName, Timestamp};
use phisync_tests::compiled;
use phisync_tests::explore::{Explored, Node, explore};
use phisync_tests::invariants::violations;
use phisync_tests::machines::{ASKING, MACHINES};
use serde_json::json;

/// Exploration is stopped here: it has found a way to be infinite.
const STATES_MAX: usize = 60_000;

#[test]
fn in_every_state_somebody_wakes_what_waits() {
    let mut counts = String::new();
    let mut edges = BTreeSet::new();
    for (name, workflow) in MACHINES.into_iter().chain([ASKING]) {
        let explored = explore(&compiled(workflow), STATES_MAX);
        for (place, node) in explored.nodes.iter().enumerate() {
            let broken = violations(&node.run, node.now);
            assert!(
                broken.is_empty(),
                "{name}, after {:#?}: {broken:#?}",
                explored.path(place)
            );
            let found = found_by_the_watchdog(&node.run);
            assert_eq!(found, None, "{name}, after {:#?}", explored.path(place));
        }
        tokens_only_grow(&explored);
        let shapes = why_answers_in_every_shape(&explored);
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for node in &explored.nodes {
            *ends.entry(ending(&node.run)).or_default() += 1;
        }
        counts += &format!("{name}\n  {} shapes\n", shapes.len());
        for (end, count) in ends {
            counts += &format!("  {count:>6} {end}\n");
        }
        edges.extend(explored.edges);
    }
    insta::assert_snapshot!("states_visited", counts);
    let edges = edges.iter();
    let table = edges.map(|e| format!("{:<10} {:<18} {}", e.from, e.input, e.to));
    insta::assert_snapshot!("task_machine", table.collect::<Vec<_>>().join("\n"));
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let machine = compiled(MACHINES[2].1);
    let explored = explore(&machine, STATES_MAX);
    let ready = &explored.nodes[0];
    let is_held = |run: &RunState| run.steps[0].status == StepStatus::Running;
    let held = explored.nodes.iter().find(|node| is_held(&node.run));
    let held = held.expect("somebody takes it");
    let closed = explored.nodes.iter().find(|node| node.run.waker.is_none());
    let closed = closed.expect("it ends");
    let past = Timestamp::from_micros(0);
    type Break = fn(&mut RunState);
    let breaks: [(&Node, Break); 12] = [
        (ready, |run| run.waker = None),
        (ready, |run| run.passes[0].open += 1),
        (ready, |run| run.ended_steps += 1),
        (ready, |run| run.steps[0].waker = None),
        (ready, |run| run.steps[1].waker = Some(Waker::Needs)),
        (ready, |run| {
            let until = Timestamp::from_micros(0);
            run.steps[1].waker = Some(Waker::Person { until });
        }),
        (ready, |run| {
            run.steps[0].task.as_mut().expect("ready").waker = None;
        }),
        (held, |run| {
            run.steps[0].task.as_mut().expect("held").holder = None;
        }),
        (ready, |run| {
            run.phase = Phase::Compensating;
            run.incidents.insert(Slot(0), Failure::new("app.x", "y"));
        }),
        (closed, |run| run.waker = Some(Waker::Steps)),
        (closed, |run| run.phase = Phase::Failing),
        (closed, |run| run.status = RunStatus::Running),
    ];
    let mut found = BTreeSet::new();
    for (node, break_it) in breaks {
        let mut run = node.run.clone();
        break_it(&mut run);
        let broken = violations(&run, node.now);
        assert!(!broken.is_empty(), "nothing was noticed");
        found.extend(broken.into_iter().map(|violation| violation.rule));
    }
    // Time that goes on without anybody doing what is due, and a closed run that it still rings for.
    let late = Timestamp::from_micros(i64::MAX);
    found.extend(violations(&ready.run, late).iter().map(|v| v.rule));
    let mut rung = ready.run.clone();
    rung.status = RunStatus::Failed;
    found.extend(violations(&rung, past).iter().map(|v| v.rule));
    insta::assert_snapshot!(found.into_iter().collect::<Vec<_>>().join("\n"), @r"
    a closed run has no clock
    a closed run has no live task
    a run is parked exactly while an incident is open
    a running task has a holder, and no other has one
    a step that waits for its needs has an open one
    a step waits exactly until it has ended
    a task waits exactly until it is final
    a waker with a deadline has a timer
    an open run has a waker, a closed one none
    nothing is due that was not done
    open steps are counted right
    steps end one after the other
    whoever waits for nobody's decision is woken by a clock
    ");
}

fn found_by_the_watchdog(run: &RunState) -> Option<String> {
    let moment = Moment {
        now: Timestamp::default(),
        dice: 0,
    };
    let events = watch_all(&mut run.clone(), moment).events;
    events.into_iter().find_map(|event| match event {
        RunEvent::StallFound { step, found, .. } => {
            Some(format!("{}: {found}", step.as_deref().unwrap_or("run")))
        }
        _ => None,
    })
}

#[test]
fn the_watchdog_finds_whatever_lost_its_waker() {
    let in_blocks = compiled(MACHINES[6].1);
    let in_blocks = explore(&in_blocks, STATES_MAX);
    let flat = explore(&compiled(MACHINES[2].1), STATES_MAX);
    let first = |explored: &Explored, is: fn(&RunState) -> bool| {
        let node = explored.nodes.iter().find(|node| is(&node.run));
        node.expect("there is such a state").run.clone()
    };
    let ready = first(&flat, |run| run.steps[0].status == StepStatus::Ready);
    let held = first(&flat, |run| run.steps[0].status == StepStatus::Running);
    let done = first(&flat, |run| {
        run.steps[..2]
            .iter()
            .all(|s| s.status == StepStatus::Completed)
    });
    let block = first(&in_blocks, |run| run.steps[0].status == StepStatus::Running);
    type Break = fn(&mut RunState);
    let breaks: [(&RunState, Break); 8] = [
        (&ready, |run| run.waker = None),
        (&ready, |run| run.steps[0].waker = None),
        (&ready, |run| run.steps[1].waker = None),
        (&ready, |run| {
            run.steps[0].task.as_mut().expect("ready").waker = None;
        }),
        (&ready, |run| {
            let task = run.steps[0].task.as_mut().expect("ready");
            task.queue_deadline = Timestamp::default();
        }),
        (&held, |run| {
            run.steps[0].task.as_mut().expect("held").holder = None;
        }),
        (&done, |run| {
            run.steps[2] = run.steps[2].clone();
            run.steps[2].status = StepStatus::Pending;
            run.steps[2].task = None;
            run.steps[2].waker = Some(Waker::Needs);
        }),
        (&block, |run| {
            run.steps[0].block.as_mut().expect("begun").open.clear();
        }),
    ];
    let found = breaks.map(|(run, break_it)| {
        let mut run = run.clone();
        assert_eq!(found_by_the_watchdog(&run), None);
        break_it(&mut run);
        found_by_the_watchdog(&run).expect("it is noticed")
    });
    insta::assert_snapshot!(found.join("\n"), @r"
    run: it is open and waits for nobody
    work: it is ready and waits for nobody
    ok: it is waiting and waits for nobody
    work: its task is ready and waits for nobody
    work: its task is ready and has no clock
    work: its task is running and has no clock
    done: what it needs has ended, and it did not begin
    risky: none of its steps is open
    ");
}

fn ending(run: &RunState) -> String {
    match run.closed_at {
        Some(_) => format!("{} {:?}", run.status.as_str(), run.undo),
        None => format!("open, {}", run.phase.as_str()),
    }
}

/// Each claim gets a token larger than all before it.
fn tokens_only_grow(explored: &Explored) {
    for (place, node) in explored.nodes.iter().enumerate() {
        let Some((before, _)) = &node.from else {
            continue;
        };
        let holders = |run: &RunState| {
            let tasks: Vec<_> = run
                .live_tasks()
                .map(|(id, task)| (id, task.clone()))
                .collect();
            let held = tasks.into_iter().filter_map(|(id, task)| {
                let token = task.holder?.token;
                Some((id, token))
            });
            held.collect::<BTreeMap<_, _>>()
        };
        let earlier = holders(&explored.nodes[*before].run);
        let last = earlier.values().max().copied().unwrap_or(0);
        for (id, token) in holders(&node.run) {
            let same = earlier.get(&id) == Some(&token);
            assert!(same || token > last, "{:?}", explored.path(place));
        }
    }
}

/// States of one shape differ in counters and times only; `why` is asked in one of each.
fn why_answers_in_every_shape(explored: &Explored) -> BTreeSet<String> {
    let mut shapes = BTreeSet::new();
    for (place, node) in explored.nodes.iter().enumerate() {
        let steps = node.run.steps.iter();
        let steps: Vec<_> = steps.map(|s| (s.status, kind(&s.waker))).collect();
        if !shapes.insert(format!("{:?} {steps:?}", node.run.phase)) {
            continue;
        }
        let mut coordinator = reopened(explored, place);
        let now = Now {
            wall: node.now,
            mono: Duration::ZERO,
        };
        let run = coordinator.why(&node.run.id, None, now);
        let run = run.expect("it is there");
        complete(&run, node.run.waker.is_none(), explored, place);
        for slot in node.run.slots() {
            let step = node.run.step(slot);
            let name = node.run.name(slot);
            let why = coordinator.why(&node.run.id, Some(&name), now);
            let why = why.expect("it is there");
            complete(&why, step.waker.is_none(), explored, place);
        }
        drop(coordinator.take_changed());
    }
    shapes
}

fn kind(waker: &Option<Waker>) -> &'static str {
    match waker {
        None => "none",
        Some(Waker::Needs) => "needs",
        Some(Waker::Steps) => "steps",
        Some(Waker::Agent { .. }) => "agent",
        Some(Waker::Lease { .. }) => "lease",
        Some(Waker::Timer { .. }) => "timer",
        Some(Waker::Person { .. }) => "person",
        Some(Waker::Undo) => "undo",
        Some(Waker::Incident { .. }) => "incident",
        Some(Waker::Event { .. }) => "event",
        Some(Waker::Child { .. }) => "run",
        Some(Waker::Files { .. }) => "files",
    }
}

fn complete(why: &Why, ended: bool, explored: &Explored, place: usize) {
    let path = || format!("{why:?} after {:?}", explored.path(place));
    assert_eq!(why.waker == "none", ended, "{}", path());
    assert!(
        !why.text.ends_with("for ") && why.text.len() > 10,
        "{}",
        path()
    );
    let chained = matches!(why.waker.as_str(), "steps" | "needs" | "undo");
    assert!(
        !chained || !why.because.is_empty(),
        "no cause in {}",
        path()
    );
    for below in &why.because {
        if below.subject.starts_with("agent ") {
            continue;
        }
        // Only an incident is explained by something that has ended: the undo that failed.
        let ended = why.waker == "incident";
        complete(below, ended, explored, place);
    }
}

/// A coordinator that knows the run of one node, as after a restart.
fn reopened(explored: &Explored, place: usize) -> Coordinator {
    let node = &explored.nodes[place];
    let store = Arc::new(MemoryStore::new());
    let machine = &node.run.machine;
    let definition = json!({"definition_registered": {
        "hash": machine.hash(), "source": machine.source(),
    }});
    let history = explored.history(place);
    let events = history.iter();
    let events = events.map(|event| serde_json::to_string(event).expect("a fact prints"));
    let entries = vec![
        Entry {
            stream: StreamName::new(format!("workflow/{}", machine.name())),
            expected: Expected::Any,
            events: vec![definition.to_string()],
        },
        Entry {
            stream: node.run.id.stream(),
            expected: Expected::Any,
            events: events.collect(),
        },
    ];
    store.append(node.now, entries).expect("memory takes it");
    let team = "agents: { A1: { concurrency: 9 } }";
    let registry = Registry::parse("agents.yaml", team).expect("a sound team");
    let now = Now {
        wall: node.now,
        mono: Duration::ZERO,
    };
    let dice = Box::new(SeededEntropy::new(1));
    Coordinator::open(store, 1, registry, dice, None, now).expect("the store can be read")
}
