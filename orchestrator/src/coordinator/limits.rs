//! Limits on types of tasks, and the rests that rates impose on types and agents.
//!
//! How many of a type are held follows from the leases. How far a rate is used up is journalled with every
//! task taken, in the stream `limit/TYPE` or the agent's own, so a restart gives nothing away. Who
//! rests is woken by a clock, never by being asked again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_agents::rate::Rate;
use phisync_agents::registry::Registry;
use phisync_state::{StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::engine::{RunId, TaskId};

use super::sharing::Sharing;
use super::{Coordinator, Now, Refusal, recovery};

/// A fact of the stream `limit/TYPE`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LimitEvent {
    /// A task of the type was taken. Written where the type has a rate, and where several orchestrators
    /// share the store, so that all of them together keep the limit.
    TaskTaken {
        /// The run of the task.
        run: RunId,
        /// When the rate would be unused again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        full_at: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
}

/// The limit on one type.
struct TypeLimit {
    concurrency: Option<u32>,
    rate: Option<Rate>,
    held: u32,
    full_at: Timestamp,
    version: Version,
}

impl TypeLimit {
    fn is_busy(&self) -> bool {
        self.concurrency.is_some_and(|most| self.held >= most)
    }

    /// How long the rate lets nobody take one; `None`: one may be taken.
    fn resting(&self, now: Timestamp) -> Option<Duration> {
        resting(self.rate, self.full_at, now)
    }
}

/// How long a rate lets nothing happen; `None`: it does.
pub(super) fn resting(rate: Option<Rate>, full_at: Timestamp, now: Timestamp) -> Option<Duration> {
    let next = rate?.next(full_at.as_micros(), now.as_micros());
    let wait = Timestamp::from_micros(next).since(now);
    (!wait.is_zero()).then_some(wait)
}

/// Who rests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    Agent(String),
    Type(String),
}

/// See the module.
#[derive(Default)]
pub(super) struct Limits {
    types: BTreeMap<String, TypeLimit>,
    holders: BTreeMap<TaskId, String>,
    rests: BTreeSet<(Timestamp, Rest)>,
}

impl Limits {
    pub(super) fn of(registry: &Registry) -> Self {
        let types = registry.types.iter().map(|spec| {
            let limit = TypeLimit {
                concurrency: spec.concurrency,
                rate: spec.rate,
                held: 0,
                full_at: Timestamp::default(),
                version: 0,
            };
            (spec.name.clone(), limit)
        });
        Self {
            types: types.collect(),
            ..Self::default()
        }
    }

    pub(super) fn is_limited(&self, task_type: &str) -> bool {
        self.types.contains_key(task_type)
    }

    /// The types of which no task may be taken at `now`.
    pub(super) fn closed(&self, now: Timestamp) -> BTreeSet<String> {
        let types = self.types.iter();
        let closed = types.filter(|(_, t)| t.is_busy() || t.resting(now).is_some());
        closed.map(|(name, _)| name.clone()).collect()
    }

    /// Why no task of a type may be taken at `now`, in words that follow its name.
    pub(super) fn why_closed(&self, task_type: &str, now: Timestamp) -> Option<String> {
        let limit = self.types.get(task_type)?;
        if let Some(most) = limit.concurrency.filter(|_| limit.is_busy()) {
            return Some(format!("is at its limit ({} of {most})", limit.held));
        }
        let wait = limit.resting(now)?;
        let seconds = wait.as_millis().div_ceil(1000);
        Some(format!("has used up its rate for {seconds}s"))
    }

    /// The runs of the tasks of all types of which as many are held as may be.
    pub(super) fn runs_at_a_limit(&self) -> BTreeSet<RunId> {
        let busy = |name: &String| self.types.get(name).is_some_and(TypeLimit::is_busy);
        let held = self.holders.iter().filter(|(_, name)| busy(name));
        held.map(|(task, _)| task.run.clone()).collect()
    }

    pub(super) fn hold(&mut self, task: &TaskId, task_type: &str) {
        if let Some(limit) = self.types.get_mut(task_type) {
            limit.held += 1;
            self.holders.insert(task.clone(), task_type.to_owned());
        }
    }

    /// Lets a task go; its type, if that has a limit.
    pub(super) fn let_go(&mut self, task: &TaskId) -> Option<String> {
        let task_type = self.holders.remove(task)?;
        if let Some(limit) = self.types.get_mut(&task_type) {
            limit.held = limit.held.saturating_sub(1);
        }
        Some(task_type)
    }

    pub(super) fn replay(&mut self, task_type: &str, event: &LimitEvent, version: Version) {
        // A type without a limit any more has a past but no part in what follows.
        if let Some(limit) = self.types.get_mut(task_type) {
            let LimitEvent::TaskTaken { full_at, .. } = event;
            limit.full_at = full_at.unwrap_or(limit.full_at);
            limit.version = version;
        }
    }

    /// When the next rest ends.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.rests.first().map(|(at, _)| *at)
    }

    /// Wakes an agent at the end of its rest.
    pub(super) fn wake_agent(&mut self, name: &str, at: Timestamp) {
        self.rests.insert((at, Rest::Agent(name.to_owned())));
    }
}

fn stream(task_type: &str) -> StreamName {
    StreamName::new(format!("limit/{task_type}"))
}

impl Coordinator {
    /// Uses the limit on a task's type for one that is taken.
    pub(super) fn use_limit(&mut self, task: &TaskId, now: Now) {
        let Some(task_type) = self.limited_type(task) else {
            return;
        };
        let Some(limit) = self.limits.types.get_mut(&task_type) else {
            return;
        };
        if limit.rate.is_none() && self.sharing == Sharing::Alone {
            return;
        }
        let full_at = limit.rate.map(|rate| {
            let full_at = rate.take(limit.full_at.as_micros(), now.wall.as_micros());
            Timestamp::from_micros(full_at)
        });
        limit.full_at = full_at.unwrap_or(limit.full_at);
        let taken = LimitEvent::TaskTaken {
            run: task.run.clone(),
            full_at,
            at: now.wall,
        };
        self.batch.add(stream(&task_type), limit.version, &[taken]);
        limit.version += 1;
        self.wake_when_open(&task_type, now);
    }

    /// Offers the waiting tasks of a type again at the end of its rest, if it rests.
    pub(super) fn wake_when_open(&mut self, task_type: &str, now: Now) {
        let limit = self.limits.types.get(task_type);
        if let Some(wait) = limit.and_then(|limit| limit.resting(now.wall)) {
            let at = now.wall.saturating_add(wait);
            let rest = Rest::Type(task_type.to_owned());
            self.limits.rests.insert((at, rest));
        }
    }

    /// Lets those take tasks again whose rest is over.
    pub(super) fn end_rests(&mut self, now: Now) {
        while let Some((at, rest)) = self.limits.rests.pop_first() {
            if at > now.wall {
                self.limits.rests.insert((at, rest));
                return;
            }
            match rest {
                Rest::Agent(name) => {
                    self.polls.has_moved(&name);
                    self.polls.is_free(&name);
                }
                Rest::Type(name) => {
                    self.polls.reopened.insert(name);
                }
            }
        }
    }

    /// Learns how far the limits are used up, and of which runs others have given tasks away.
    pub(super) fn learn_of_limits(
        &mut self,
        ahead: &BTreeMap<StreamName, Version>,
        runs: &mut BTreeSet<RunId>,
    ) -> Result<(), Refusal> {
        let known = self.limits.types.iter();
        let known: Vec<_> = known.map(|(name, l)| (name.clone(), l.version)).collect();
        for (name, known) in known {
            let stream = stream(&name);
            let before = ahead.get(&stream);
            let news = self.news(&stream, known, before)?;
            if before.is_some()
                && let Some(limit) = self.limits.types.get_mut(&name)
            {
                limit.full_at = Timestamp::default();
                limit.version = 0;
            }
            let known = before.copied().unwrap_or(known);
            for record in news {
                let event: LimitEvent = recovery::decode(&record)?;
                self.limits.replay(&name, &event, record.version);
                let LimitEvent::TaskTaken { run, .. } = event;
                if record.version > known {
                    runs.insert(run);
                }
            }
        }
        Ok(())
    }
}
