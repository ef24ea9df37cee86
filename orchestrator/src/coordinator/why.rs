//! Why nothing happens: what a run, a step or a task waits for, and why that is open, as data and in
//! words.
//!
//! Read from the wakers that stand in the run's state. What lies outside of it, other runs and the
//! team, comes in as [`Surroundings`].

use phisync_workflows::machine::StepKind;

use crate::engine::{PassId, Phase, RunId, RunState, Slot, StepStatus, TaskId, TaskState, Waker};
use crate::protocol::Why;

use super::report::{approval, question, run_failure};
use super::{Coordinator, Now, Refusal};

/// At most so many of the things that something waits for are told; the others are counted.
const REASONS_MAX: usize = 20;

/// How far the chain goes from run to run.
const RUNS_MAX: u32 = 4;

/// What a run's own state does not say about its waits.
trait Surroundings {
    /// What keeps each agent from a ready task.
    fn lacking(&self, task: &TaskId) -> Vec<(String, String)>;
    /// The runs whose places this one waits for, and how many wait longer than it.
    fn before(&self, run: &RunId) -> (Vec<RunId>, usize);
    /// What another run waits for.
    fn other(&self, run: &RunId) -> Why;
}

/// The surroundings of open runs.
struct Here<'c> {
    coordinator: &'c Coordinator,
    now: Now,
    /// How many more runs the chain may go on to.
    left: u32,
}

impl Surroundings for Here<'_> {
    fn lacking(&self, task: &TaskId) -> Vec<(String, String)> {
        self.coordinator.why_nobody_takes(task, self.now)
    }

    fn before(&self, run: &RunId) -> (Vec<RunId>, usize) {
        self.coordinator.before_in_line(run)
    }

    fn other(&self, run: &RunId) -> Why {
        let further = Here {
            left: self.left.saturating_sub(1),
            ..*self
        };
        let why = |state: &RunState| why_run(state, &further);
        let found = (self.left > 0).then(|| self.coordinator.with_run(run, why));
        match found {
            Some(Ok(why)) => why,
            Some(Err(_)) => bare(format!("run {run}"), "unknown", "it is not known here"),
            None => bare(format!("run {run}"), "open", "ask for it by its id"),
        }
    }
}

/// Those of a run that has closed: it waits for nothing.
struct Nothing;

impl Surroundings for Nothing {
    fn lacking(&self, _task: &TaskId) -> Vec<(String, String)> {
        Vec::new()
    }

    fn before(&self, _run: &RunId) -> (Vec<RunId>, usize) {
        (Vec::new(), 0)
    }

    fn other(&self, run: &RunId) -> Why {
        bare(format!("run {run}"), "unknown", "it is not looked at")
    }
}

impl Coordinator {
    /// What a run, or one of its steps, waits for.
    ///
    /// # Errors
    /// No such run or step.
    pub fn why(&self, id: &RunId, step: Option<&str>, now: Now) -> Result<Why, Refusal> {
        let around = Here {
            coordinator: self,
            now,
            left: RUNS_MAX,
        };
        self.with_run(id, |run| why(run, step, &around))?
    }
}

/// What a closed run, or one of its steps, waits for: nothing, and why.
///
/// # Errors
/// No such step.
pub fn why_closed(run: &RunState, step: Option<&str>) -> Result<Why, Refusal> {
    why(run, step, &Nothing)
}

fn why(run: &RunState, step: Option<&str>, around: &dyn Surroundings) -> Result<Why, Refusal> {
    let Some(step) = step else {
        return Ok(why_run(run, around));
    };
    let slot = run.slot_named(step).ok_or_else(|| Refusal::NotFound {
        what: "step",
        id: format!("{}/{step}", run.id),
    })?;
    Ok(why_step(run, slot, around))
}

/// A link of the chain that nothing follows.
fn bare(subject: String, state: &str, text: &str) -> Why {
    Why {
        subject,
        state: state.to_owned(),
        waker: "none".to_owned(),
        text: text.to_owned(),
        until: None,
        because: Vec::new(),
    }
}

/// The needs of a step that are open, or are being handled after they failed.
fn unmet(run: &RunState, index: Slot) -> impl Iterator<Item = Slot> {
    let open = |need: &Slot| {
        let outcome = run.step(*need).outcome;
        outcome.is_none() || run.open_handler(*need).is_some()
    };
    run.needs(index).filter(open)
}

/// A waker in words, as one word, and its deadline. In a run that stands still only the clocks of
/// attempts go on: the others have no deadline that could be told.
pub(super) fn waits_for(
    run: &RunState,
    index: Slot,
    waker: &Waker,
) -> (String, &'static str, Option<String>) {
    let (text, word, until) = waits_in_time(run, index, waker);
    match (stands_still(run), waker) {
        (Some((state, still, _)), Waker::Agent { .. }) => (
            format!("the run, which is {state}, and then for {text}"),
            still,
            None,
        ),
        (
            Some((state, ..)),
            Waker::Timer { .. } | Waker::Event { .. } | Waker::Person { .. } | Waker::Files { .. },
        ) => (
            format!("{text}; no clock runs while the run is {state}"),
            word,
            None,
        ),
        _ => (text, word, until),
    }
}

fn waits_in_time(
    run: &RunState,
    index: Slot,
    waker: &Waker,
) -> (String, &'static str, Option<String>) {
    let spec = run.spec(index);
    match waker {
        Waker::Needs => {
            let open = unmet(run, index).map(|need| run.name(need));
            let open: Vec<_> = open.collect();
            (format!("needs {}", open.join(", ")), "needs", None)
        }
        Waker::Steps => ("its open steps".to_owned(), "steps", None),
        Waker::Child { run } => (format!("run {run} to end"), "run", None),
        Waker::Files { until } => (
            match until {
                Some(_) => "its files to be staged",
                None => "its files to be on disk",
            }
            .to_owned(),
            "files",
            until.map(|until| until.to_string()),
        ),
        Waker::Event { source, until } => (source.clone(), "event", Some(until.to_string())),
        Waker::Agent { until } => {
            let undo = run.step(index).undo.is_some();
            let rules = crate::engine::rules(spec, undo);
            let who = rules.map_or_else(String::new, |rules| match &rules.assign.agent {
                Some(agent) => agent.clone(),
                None if rules.assign.capabilities.is_empty() => "any agent".to_owned(),
                None => format!("an agent that can {}", rules.assign.capabilities.join(", ")),
            });
            (
                format!("{who} to take it"),
                "agent",
                Some(until.to_string()),
            )
        }
        Waker::Lease { agent, until } => (
            format!("a result from {agent}, or the end of its lease"),
            "lease",
            Some(until.to_string()),
        ),
        Waker::Timer { at } => (
            match spec.kind {
                StepKind::Wait(_) => "its time to come",
                StepKind::Loop(_) => "its next iteration",
                _ => "its back-off to end",
            }
            .to_owned(),
            "timer",
            Some(at.to_string()),
        ),
        Waker::Person { until } if !run.is_approval(index) => {
            let undo = run.step(index).undo.is_some();
            let asked = question(run, index, undo);
            let text = asked.map_or_else(String::new, |asked| {
                let names = [asked.roles, asked.users, asked.agents].concat();
                let who = match names.as_slice() {
                    [] => "any person".to_owned(),
                    names => names.join(", "),
                };
                let (asker, prompt) = (asked.excluded.join(", "), asked.prompt.unwrap_or_default());
                format!("an answer of {who} to {asker}: {prompt}")
            });
            (text, "person", Some(until.to_string()))
        }
        Waker::Person { until } => {
            let from = approval(run, index).map_or_else(String::new, |approval| {
                let names = [approval.roles, approval.users, approval.agents].concat();
                names.join(", ")
            });
            (
                format!("a decision by {from}"),
                "person",
                Some(until.to_string()),
            )
        }
        Waker::Undo => ("its steps to be undone".to_owned(), "undo", None),
        Waker::Incident { step } => (
            format!("a person: `{step}` could not be undone (retry, skip or abandon)"),
            "incident",
            None,
        ),
    }
}

fn why_run(run: &RunState, around: &dyn Surroundings) -> Why {
    let subject = format!("run {}", run.id);
    let Some(waker) = &run.waker else {
        let text = match run_failure(run) {
            Some(error) => format!("it is closed: {}: {}", error.code, error.message),
            None => format!("it is closed{}", rewound_words(run)),
        };
        return bare(subject, run.status.as_str(), &text);
    };
    if let Some(stall) = &run.stalled {
        let what = stall.step.as_deref().unwrap_or("the run");
        return Why {
            waker: "incident".to_owned(),
            ..bare(
                subject,
                "stalled",
                &format!(
                    "waits for a person: {what}: {} (retry, skip or abandon)",
                    stall.found
                ),
            )
        };
    }
    if let Some((state, word, text)) = stands_still(run) {
        let because = match word {
            "turn" => why_not_its_turn(&run.id, around),
            _ => why_steps(run, open_in(run, run.own_passes()), around),
        };
        return Why {
            waker: word.to_owned(),
            because,
            ..bare(
                subject,
                state,
                &format!("waits for {text}{}", rewound_words(run)),
            )
        };
    }
    let (text, word, _) = waits_for(run, Slot(0), waker);
    let because = match waker {
        Waker::Incident { .. } => Vec::new(),
        Waker::Undo => {
            let undone = |slot: &Slot| run.step(*slot).status == StepStatus::Compensating;
            why_steps(run, run.slots().filter(undone), around)
        }
        _ => {
            let steps = why_steps(run, open_in(run, run.own_passes()), around);
            steps.into_iter().chain(why_state(run)).collect()
        }
    };
    Why {
        subject,
        state: run.word().to_owned(),
        waker: word.to_owned(),
        text: format!("waits for {text}{}", rewound_words(run)),
        // The run's own clock stops when it begins to end.
        until: (run.phase == Phase::Forward).then(|| run.deadline.to_string()),
        because,
    }
}

fn rewound_words(run: &RunState) -> String {
    run.rewound.as_ref().map_or_else(String::new, |rewound| {
        let (to, by, at, reason) = (rewound.to, &rewound.by, rewound.at, &rewound.reason);
        format!("; {by} rewound it to event {to} at {at}: {reason}")
    })
}

/// Why the clocks of a run do not go on: its state, the waker as one word, and in words.
pub(super) fn stands_still(run: &RunState) -> Option<(&'static str, &'static str, String)> {
    if let Some(pause) = &run.paused {
        let reason = pause.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let text = format!("a person to resume it; paused by {}{reason}", pause.by);
        return Some(("paused", "resume", text));
    }
    let text = "its turn: others with the same concurrency key come first";
    run.held.then(|| ("queued", "turn", text.to_owned()))
}

fn why_not_its_turn(run: &RunId, around: &dyn Surroundings) -> Vec<Why> {
    let (holders, longer) = around.before(run);
    let told = holders.iter().take(REASONS_MAX);
    let mut reasons: Vec<_> = told.map(|run| around.other(run)).collect();
    let more = holders.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        reasons.push(bare(
            format!("{more} more"),
            "open",
            "they have places, too",
        ));
    }
    if longer > 0 {
        let text = "they wait longer for the same";
        reasons.push(bare(format!("{longer} more"), "queued", text));
    }
    reasons
}

/// What may take the token of a workflow of states away besides its steps.
fn why_state(run: &RunState) -> Vec<Why> {
    let transitions = run.listening().filter_map(|(ear, wait)| {
        let (state, _) = ear.split_once('/')?;
        Some(Why {
            waker: "event".to_owned(),
            ..bare(
                format!("state {state}"),
                "visited",
                &format!("waits for {}", wait.subscription.source.words()),
            )
        })
    });
    transitions.collect()
}

/// The steps of these passes that wait for something else than their needs, handlers included.
fn open_in(run: &RunState, passes: impl IntoIterator<Item = PassId>) -> impl Iterator<Item = Slot> {
    let slots = passes.into_iter().flat_map(|pass| run.slots_of(pass));
    slots.flat_map(move |slot| {
        let step = run.step(slot);
        let waits = step
            .waker
            .as_ref()
            .is_some_and(|waker| *waker != Waker::Needs);
        let own = waits.then_some(slot);
        let handler = run.open_handler(slot);
        let inside = handler.into_iter().flat_map(|pass| run.slots_of(pass));
        let inside = inside.filter(|slot| {
            let waker = run.step(*slot).waker.as_ref();
            waker.is_some_and(|waker| *waker != Waker::Needs)
        });
        own.into_iter().chain(inside.collect::<Vec<_>>())
    })
}

fn why_steps(
    run: &RunState,
    slots: impl Iterator<Item = Slot>,
    around: &dyn Surroundings,
) -> Vec<Why> {
    let slots: Vec<_> = slots.collect();
    let told = slots.iter().take(REASONS_MAX);
    let mut reasons: Vec<_> = told.map(|slot| why_step(run, *slot, around)).collect();
    if slots.len() > REASONS_MAX {
        let more = slots.len() - REASONS_MAX;
        reasons.push(bare(format!("{more} more"), "open", "they wait likewise"));
    }
    reasons
}

fn why_step(run: &RunState, index: Slot, around: &dyn Surroundings) -> Why {
    let step = run.step(index);
    let subject = format!("step {}", run.name(index));
    let Some(waker) = &step.waker else {
        let text = match &step.error {
            Some(error) => format!("it has ended: {}: {}", error.code, error.message),
            None => "it has ended".to_owned(),
        };
        return bare(subject, step.status.as_str(), &text);
    };
    let (text, word, until) = waits_for(run, index, waker);
    let because = match waker {
        Waker::Needs => {
            let open = unmet(run, index).flat_map(|need| match run.open_handler(need) {
                Some(handler) => open_in(run, [handler]).collect::<Vec<_>>(),
                None => vec![need],
            });
            open.map(|need| why_step(run, need, around)).collect()
        }
        Waker::Steps => {
            let block = step.block.as_ref();
            let passes = block
                .into_iter()
                .flat_map(|block| block.open.iter().copied());
            let undo = step
                .undo_pass
                .filter(|pass| run.pass(*pass).status.is_open());
            let passes = passes.chain(undo);
            why_steps(
                run,
                open_in(run, passes).chain(run.undone_of_block(index)),
                around,
            )
        }
        Waker::Child { run } => vec![around.other(run)],
        _ => {
            let undo = step.undo.as_deref();
            let task = undo.or(step.task.as_deref());
            let task = task.map(|task| why_task(run, index, undo.is_some(), task, around));
            task.into_iter().collect()
        }
    };
    Why {
        subject,
        state: step.status.as_str().to_owned(),
        waker: word.to_owned(),
        text: format!("waits for {text}"),
        until,
        because,
    }
}

fn why_task(
    run: &RunState,
    index: Slot,
    undo: bool,
    task: &TaskState,
    around: &dyn Surroundings,
) -> Why {
    let kind = if undo { "undo" } else { "task" };
    let running = task.holder.is_some();
    let number = task.attempt + u32::from(!running);
    let subject = format!("{kind} {}#{number}", run.name(index));
    let (mut text, word, until) = match &task.waker {
        Some(waker) => {
            let (text, word, until) = waits_for(run, index, waker);
            (format!("waits for {text}"), word, until)
        }
        None => ("it has ended".to_owned(), "none", None),
    };
    let key = TaskId {
        run: run.id.clone(),
        step: index,
        undo,
    };
    let lacking = match task.waker {
        Some(Waker::Agent { .. }) => around.lacking(&key),
        _ => Vec::new(),
    };
    if task.cancel_requested {
        text.push_str("; it is asked to stop");
    }
    if let Some(ended) = &task.last_error {
        let error = &ended.error;
        text.push_str(&format!("; before: {}: {}", error.code, error.message));
    }
    Why {
        subject,
        state: task.status.as_str().to_owned(),
        waker: word.to_owned(),
        text,
        until,
        because: lacking
            .into_iter()
            .map(|(agent, lack)| bare(format!("agent {agent}"), "not taking it", &lack))
            .collect(),
    }
}
