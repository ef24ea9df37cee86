//! What must hold in every state of every run. Each rule gives its name, so that a test of the
//! rules can see which one found what.

use std::collections::BTreeSet;

use phisync::engine::{
    PassId, Phase, RunState, RunStatus, Slot, StepState, StepStatus, TaskState, TaskStatus, Waker,
};
use phisync_state::Timestamp;

/// A rule that a state breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// Where.
    pub what: String,
}

/// Every rule that `run` breaks at `now`.
#[must_use]
pub fn violations(run: &RunState, now: Timestamp) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut check = |rule, holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            let what = what();
            found.push(Violation { rule, what });
        }
    };
    let open = run.status == RunStatus::Running;
    check(
        "an open run has a waker, a closed one none",
        run.waker.is_some() == open && open == (run.phase != Phase::Closed),
        &|| format!("{:?} {:?} {:?}", run.status, run.phase, run.waker),
    );
    check(
        "whoever waits for nobody's decision is woken by a clock",
        !open || !run.incidents.is_empty() || run.next_deadline().is_some(),
        &|| format!("{:?}", run.phase),
    );
    check(
        "nothing is due that was not done",
        run.next_deadline().is_none_or(|at| at > now),
        &|| format!("{:?}", run.next_deadline()),
    );
    check(
        "a closed run has no clock",
        open || run.next_deadline().is_none(),
        &|| format!("{:?}", run.next_deadline()),
    );
    check(
        "a run is parked exactly while an incident is open",
        (!run.incidents.is_empty() && run.phase == Phase::Compensating)
            == matches!(run.waker, Some(Waker::Incident { .. })),
        &|| format!("{:?}", run.waker),
    );
    for pass in (0u32..).map(PassId).zip(&run.passes) {
        let slots = run.slots_of(pass.0);
        let unended = slots
            .filter(|slot| run.step(*slot).outcome.is_none() || run.open_handler(*slot).is_some())
            .count();
        let visiting = run.walk.as_ref().map_or(0, |_| {
            let own = run.passes.iter().skip(1);
            let states = own.filter(|own| own.owner.is_none() && own.round.is_some());
            states.filter(|state| state.status.is_open()).count()
        });
        let unended = match pass.0 {
            PassId::MAIN => unended + visiting,
            _ => unended,
        };
        check(
            "open steps are counted right",
            pass.1.open as usize == unended && (open || unended == 0),
            &|| format!("{} counted, {unended} open", pass.1.open),
        );
    }
    let ended = run.steps.iter().filter(|s| s.outcome.is_some());
    let order: BTreeSet<_> = ended.map(|step| step.ended_order).collect();
    check(
        "steps end one after the other",
        order == (1..=run.ended_steps).collect(),
        &|| format!("{order:?}"),
    );
    for (index, step) in run.slots().zip(&run.steps) {
        let id = || run.name(index);
        check(
            "a step waits exactly until it has ended",
            step.waker.is_some() == waits(run, index, step),
            &|| format!("{}: {:?} {:?}", id(), step.status, step.waker),
        );
        check(
            "a step that waits for its needs has an open one",
            step.waker != Some(Waker::Needs)
                || run
                    .needs(index)
                    .any(|need| run.step(need).outcome.is_none()),
            &id,
        );
        let wakers = [&step.task, &step.undo].map(|task| task.as_deref());
        let wakers = wakers.into_iter().flatten().map(|task| &task.waker);
        for waker in wakers.chain([&step.waker]).flatten() {
            check(
                "a waker with a deadline has a timer",
                deadline(waker)
                    .is_none_or(|until| run.next_deadline().is_some_and(|at| at <= until)),
                &|| format!("{}: {waker:?}", id()),
            );
        }
        for task in [&step.task, &step.undo].into_iter().flatten() {
            check(
                "a task waits exactly until it is final",
                task.waker.is_some() != is_final(task),
                &|| format!("{}: {:?} {:?}", id(), task.status, task.waker),
            );
            check(
                "a running task has a holder, and no other has one",
                task.holder.is_some() == (task.status == TaskStatus::Running),
                &id,
            );
            check("a closed run has no live task", open || is_final(task), &id);
        }
    }
    found
}

fn is_final(task: &TaskState) -> bool {
    matches!(
        task.status,
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled
    )
}

fn waits(run: &RunState, index: Slot, step: &StepState) -> bool {
    let parked = run.incidents.contains_key(&index);
    step.outcome.is_none() || step.status == StepStatus::Compensating || parked
}

fn deadline(waker: &Waker) -> Option<Timestamp> {
    match waker {
        Waker::Agent { until }
        | Waker::Lease { until, .. }
        | Waker::Event { until, .. }
        | Waker::Person { until } => Some(*until),
        Waker::Timer { at } => Some(*at),
        Waker::Files { until } => *until,
        Waker::Needs
        | Waker::Steps
        | Waker::Child { .. }
        | Waker::Undo
        | Waker::Incident { .. } => None,
    }
}
