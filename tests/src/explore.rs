//! Visits every state that a run of a small workflow can reach, breadth first.
//!
//! From each state every input is tried that agents, people and the clock could bring; an agent asks people where
//! the step says who answers (anywhere would be ten times the states). States that
//! differ only in tokens, in numbers of attempts or of questions, in what was written meanwhile, or in how long
//! it is until something is due, but not in what is due first, are looked at once. That keeps the space finite, and every state that
//! is looked at is one that can really be reached.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use phisync::engine::{
    Input, Moment, Phase, RawJson, Resolution, RunEvent, RunId, RunState, Slot, Source, Start,
    StepState, StepStatus, TaskState, TaskStatus, TouchedDocument, apply, decide, start,
};
use phisync_state::Timestamp;
use phisync_workflows::Machine;
use serde_json::{Map, json};

use crate::of_task;
use crate::replay::fact;

/// One state, and how it was reached first.
pub struct Node {
    /// The state.
    pub run: RunState,
    /// When.
    pub now: Timestamp,
    /// The state before, as an index, and the input that led here.
    pub from: Option<(usize, String)>,
    /// The facts of that input.
    pub events: Vec<RunEvent>,
}

/// An edge of the task machine: where a task stood, what came, where it went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The task's state before, `none` if it did not exist. `stopping` is running, and asked to
    /// stop.
    pub from: &'static str,
    /// The input.
    pub input: &'static str,
    /// The state after, or `refused`.
    pub to: &'static str,
}

/// Everything that was seen.
#[derive(Default)]
pub struct Explored {
    /// The states, in the order in which they were found.
    pub nodes: Vec<Node>,
    /// What happened to tasks.
    pub edges: BTreeSet<Edge>,
}

impl Explored {
    /// The inputs that lead to a node.
    #[must_use]
    pub fn path(&self, mut node: usize) -> Vec<&str> {
        let mut path = Vec::new();
        while let Some((before, input)) = &self.nodes[node].from {
            path.push(input.as_str());
            node = *before;
        }
        path.reverse();
        path
    }

    /// All facts of a node's run, from its start.
    #[must_use]
    pub fn history(&self, mut node: usize) -> Vec<&RunEvent> {
        let mut parts = vec![&self.nodes[node].events];
        while let Some((before, _)) = &self.nodes[node].from {
            node = *before;
            parts.push(&self.nodes[node].events);
        }
        parts.into_iter().rev().flatten().collect()
    }
}

/// What is tried in a state: a name, the task it is about, the input.
struct Try {
    name: &'static str,
    about: Option<(Slot, bool)>,
    input: Input,
    at: Timestamp,
}

/// Visits everything that a run of `machine` can reach.
///
/// # Panics
/// If there are more than `states_max` states; if an input changes a run other than by its facts,
/// or a fact does not survive its text; if a refused input changes anything.
#[must_use]
pub fn explore(machine: &Arc<Machine>, states_max: usize) -> Explored {
    let mut explored = Explored::default();
    let mut known = BTreeSet::new();
    let now = Timestamp::from_micros(1_795_339_800_000_000);
    let begin = Start {
        run: RunId::parse("r1").expect("a sound id"),
        inputs: Map::new(),
        config: Map::new(),
        labels: BTreeMap::new(),
        by: "dana".to_owned(),
        trigger: None,
        held: false,
    };
    let (run, decision) = start(Arc::clone(machine), begin, moment(now));
    known.insert(essence(&run));
    explored.nodes.push(Node {
        run,
        now,
        from: None,
        events: decision.events,
    });
    let mut queue = VecDeque::from([0]);
    while let Some(place) = queue.pop_front() {
        let before = explored.nodes[place].run.clone();
        for attempt in tries(&before, explored.nodes[place].now) {
            let mut run = before.clone();
            let decided = decide(&mut run, attempt.input.clone(), moment(attempt.at));
            let refused = decided.is_err();
            let events = decided.map(|decision| decision.events).unwrap_or_default();
            assert!(
                folded(&before, &events) == run,
                "`{}` changes the run other than by its facts, after {:?}",
                attempt.name,
                explored.path(place)
            );
            explored
                .edges
                .extend(edges(&before, &run, &attempt, refused));
            if events.is_empty() || !known.insert(essence(&run)) {
                continue;
            }
            let label = label(&before, &attempt);
            explored.nodes.push(Node {
                run,
                now: attempt.at,
                from: Some((place, label)),
                events,
            });
            assert!(
                explored.nodes.len() <= states_max,
                "more than {states_max} states"
            );
            queue.push_back(explored.nodes.len() - 1);
        }
    }
    explored
}

fn moment(now: Timestamp) -> Moment {
    Moment { now, dice: 0 }
}

/// What replaying a journal gives: the facts as text, read again.
fn folded(before: &RunState, events: &[RunEvent]) -> RunState {
    let mut run = before.clone();
    for event in events {
        let text = serde_json::to_string(event).expect("a fact prints");
        apply(&mut run, &fact(&text));
    }
    run
}

fn tries(run: &RunState, now: Timestamp) -> Vec<Try> {
    let mut tries = Vec::new();
    let named = |slot: Slot| run.name(slot);
    for (index, step) in run.slots().zip(&run.steps) {
        for undo in [false, true] {
            if let Some(task) = run.task(index, undo) {
                let asks = run.asks(index, false).from.is_some();
                tries_of_task(&mut tries, &named(index), index, undo, task, asks, now);
            }
        }
        if step.status == StepStatus::Waiting && run.is_approval(index) {
            for (name, by, decision) in [
                ("approve", "p1", "approve"),
                ("approve", "p2", "approve"),
                ("reject", "p1", "reject"),
            ] {
                let input = Input::Decide {
                    step: named(index),
                    decision: decision.to_owned(),
                    by: by.to_owned(),
                    comment: None,
                    form: None,
                    shown_hash: None,
                };
                tries.push(Try {
                    name,
                    about: None,
                    input,
                    at: now,
                });
            }
        }
    }
    for index in run.incidents.keys() {
        for (name, action) in [
            ("resolve: retry", Resolution::Retry),
            ("resolve: skip", Resolution::Skip),
            ("resolve: abandon", Resolution::Abandon),
        ] {
            let input = Input::Resolve {
                step: named(*index),
                action,
                reason: "because".to_owned(),
                by: "p1".to_owned(),
            };
            tries.push(Try {
                name,
                about: None,
                input,
                at: now,
            });
        }
    }
    for (_, wait) in run.listening() {
        if let Source::Signal(name) = &wait.subscription.source {
            let input = Input::Signal {
                name: name.clone(),
                data: RawJson::from_value(&json!(null)),
                by: "p1".to_owned(),
            };
            tries.push(Try {
                name: "signal",
                about: None,
                input,
                at: now,
            });
        }
    }
    tries.push(Try {
        name: "cancel",
        about: None,
        input: Input::Cancel {
            by: "p1".to_owned(),
            reason: None,
        },
        at: now,
    });
    if let Some(at) = run.next_deadline() {
        tries.push(Try {
            name: "time passes",
            about: None,
            input: Input::Tick,
            at,
        });
    }
    tries
}

fn tries_of_task(
    tries: &mut Vec<Try>,
    step: &str,
    index: Slot,
    undo: bool,
    task: &TaskState,
    asks: bool,
    at: Timestamp,
) {
    // Of a task that nobody holds, the last token that could exist is as stale as any.
    let holder = task.holder.as_ref();
    let token = holder.map_or(0, |holder| holder.token);
    let write = |token: u64| Input::Write {
        step: step.to_owned(),
        undo,
        token,
        transaction: "tx-1".to_owned(),
        documents: vec![TouchedDocument {
            name: "plan".to_owned(),
            version: 1,
        }],
        files: Vec::new(),
    };
    let writes = [
        ("write", write(token)),
        ("write, stale", write(token.wrapping_sub(1))),
    ];
    let ask = Input::Ask {
        step: step.to_owned(),
        undo,
        token,
        question: "Which?".to_owned(),
        form: None,
    };
    let answer = Input::Answer {
        step: step.to_owned(),
        undo,
        by: "p1".to_owned(),
        text: Some("This one.".to_owned()),
        form: None,
        shown_hash: None,
    };
    let questions = [("ask", ask), ("answer", answer)];
    let questions = questions.into_iter().filter(|_| asks);
    // Of an undo it changes nothing whether the work had begun; of the other tasks it is the harder case.
    let inputs = of_task(step, undo, token, !undo);
    let inputs = inputs.into_iter().chain(writes).chain(questions);
    tries.extend(inputs.map(|(name, input)| Try {
        name,
        about: Some((index, undo)),
        input,
        at,
    }));
}

fn label(run: &RunState, attempt: &Try) -> String {
    match attempt.about {
        Some((index, undo)) => {
            let tail = if undo { ".undo" } else { "" };
            format!("{} {}{tail}", attempt.name, run.name(index))
        }
        None => attempt.name.to_owned(),
    }
}

fn edges(before: &RunState, after: &RunState, attempt: &Try, refused: bool) -> Vec<Edge> {
    let mut edges = Vec::new();
    let indices = before.slots();
    for task in indices.flat_map(|index| [(index, false), (index, true)]) {
        let from = word(before.task(task.0, task.1));
        let to = word(after.task(task.0, task.1));
        let own = attempt.about == Some(task);
        let (input, to) = match (own, refused) {
            (true, true) => (attempt.name, "refused"),
            (true, false) => (attempt.name, to),
            (false, _) if from == to => continue,
            (false, _) if attempt.about.is_some() => ("of another task", to),
            (false, _) => (attempt.name, to),
        };
        edges.push(Edge { from, input, to });
    }
    edges
}

fn word(task: Option<&TaskState>) -> &'static str {
    match task {
        None => "none",
        Some(task) if task.cancel_requested && task.status == TaskStatus::Running => "stopping",
        Some(task) => task.status.as_str(),
    }
}

/// What makes a state different from others: of times only their order.
fn essence(run: &RunState) -> String {
    if run.phase == Phase::Closed {
        let steps: Vec<_> = run.steps.iter().map(|step| step.status).collect();
        return format!("{:?} {:?} {steps:?}", run.status, run.undo);
    }
    let mut times: BTreeSet<Timestamp> = run.steps.iter().flat_map(deadlines).collect();
    if run.phase == Phase::Forward {
        times.insert(run.deadline);
    }
    times.extend(run.walk.as_ref().and_then(|walk| walk.deadline));
    let rank = |at: Timestamp| times.iter().position(|time| *time == at);
    let mut text = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        run.status,
        run.phase,
        run.undo,
        run.error.as_ref().map(|error| &error.code),
        run.incidents.keys().next(),
        run.undoing,
        rank(run.deadline),
    );
    for pass in &run.passes {
        let place = (pass.body.0, pass.owner, pass.round, pass.status);
        write!(text, "\n{place:?}").expect("a string takes all");
    }
    if let Some(walk) = &run.walk {
        let place = (walk.state, walk.visit, walk.stage, walk.deadline.map(rank));
        write!(text, "\n{place:?}").expect("a string takes all");
    }
    for step in &run.steps {
        if let Some(block) = &step.block {
            let place = (block.attempt, block.cancelling, block.failing.is_some());
            write!(text, "\n{place:?}").expect("a string takes all");
        }
        let task = |task: Option<&TaskState>| {
            let task = task.map(|task| {
                let counters = (task.failures, task.losses, task.effect_unknown);
                (task.status, counters, task.cancel_requested)
            });
            format!("{task:?}")
        };
        let approval = step.approval.as_ref();
        let verdicts = approval.iter().flat_map(|approval| &approval.verdicts);
        let verdicts: Vec<_> = verdicts.map(|v| (v.by.as_str(), v.approves())).collect();
        write!(
            text,
            "\n{:?} {:?} {:?} {} {} {verdicts:?} {:?}",
            step.status,
            step.outcome,
            step.ended_order,
            task(step.task.as_deref()),
            task(step.undo.as_deref()),
            deadlines(step).map(rank).collect::<Vec<_>>(),
        )
        .expect("a string takes all");
    }
    text
}

/// The instants that matter to a step as it stands.
fn deadlines(step: &StepState) -> impl Iterator<Item = Timestamp> {
    let tasks = [&step.task, &step.undo].into_iter().flatten();
    let tasks = tasks.flat_map(|task| {
        let attempt = match task.status {
            TaskStatus::Ready => Some(task.queue_deadline),
            TaskStatus::Running => task.holder.as_ref().map(|holder| holder.run_deadline),
            TaskStatus::Backoff => task.retry_at,
            TaskStatus::Asking => task.open_question().map(|question| question.deadline),
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => {
                return [None, None];
            }
        };
        [attempt, task.total_deadline]
    });
    let approval = step.approval.as_ref().filter(|_| step.outcome.is_none());
    let approval = approval.map(|approval| approval.deadline);
    tasks.flatten().chain(approval).chain(step.due)
}
