//! The polls that wait for a task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use phisync_agents::assignment::Waiting;
use phisync_agents::protocol::Task;

use crate::engine::TaskId;

use super::{Coordinator, Now};

/// Names a poll that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PollId(u64);

/// What a poll gets at once.
#[derive(Debug)]
pub enum Polled {
    /// These tasks; none if the poll was not willing to wait.
    Tasks(Vec<Task>),
    /// It waits; see [`Coordinator::take_handed`].
    Waiting(PollId),
}

/// What a waiting poll got: none if its time ran out.
#[derive(Debug)]
pub struct Handed {
    /// Which poll.
    pub poll: PollId,
    /// What.
    pub tasks: Vec<Task>,
}

#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) agent: String,
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) max: u32,
    until: Duration,
}

/// The polls that wait, and those that were served by the operation under way.
#[derive(Default)]
pub(super) struct Polls {
    next: u64,
    waiting: BTreeMap<PollId, Poll>,
    ends: BTreeSet<(Duration, PollId)>,
    by_agent: BTreeMap<String, VecDeque<PollId>>,
    /// Those of the waiting agents that could take a task now.
    pub(super) seats: Waiting,
    /// Agents of whom `seats` may be wrong.
    moved: BTreeSet<String>,
    /// Served, but not committed yet.
    pub(super) serving: Vec<(Poll, Handed)>,
    served: Vec<Handed>,
    /// Tasks that became ready, agents that became free, and types that are below their limit again,
    /// since polls were last served.
    pub(super) fresh: Vec<TaskId>,
    pub(super) freed: BTreeSet<String>,
    pub(super) reopened: BTreeSet<String>,
}

impl Polls {
    fn wait(&mut self, poll: Poll) -> PollId {
        self.next += 1;
        let id = PollId(self.next);
        self.insert(id, poll);
        id
    }

    fn insert(&mut self, id: PollId, poll: Poll) {
        let queue = self.by_agent.entry(poll.agent.clone()).or_default();
        queue.push_back(id);
        self.ends.insert((poll.until, id));
        self.moved.insert(poll.agent.clone());
        self.waiting.insert(id, poll);
    }

    pub(super) fn remove(&mut self, id: PollId) -> Option<Poll> {
        let poll = self.waiting.remove(&id)?;
        self.ends.remove(&(poll.until, id));
        self.moved.insert(poll.agent.clone());
        if let Some(queue) = self.by_agent.get_mut(&poll.agent) {
            queue.retain(|other| *other != id);
            if queue.is_empty() {
                self.by_agent.remove(&poll.agent);
            }
        }
        Some(poll)
    }

    pub(super) fn oldest_of(&self, agent: &str) -> Option<(PollId, &Poll)> {
        let id = *self.by_agent.get(agent)?.front()?;
        Some((id, self.waiting.get(&id)?))
    }

    pub(super) fn someone_waits_as(&self, agent: &str) -> bool {
        self.by_agent.contains_key(agent)
    }

    /// Notes that what `agent` may take has changed.
    pub(super) fn has_moved(&mut self, agent: &str) {
        if self.someone_waits_as(agent) {
            self.moved.insert(agent.to_owned());
        }
    }

    /// Notes that `agent` may take what it could not take before.
    pub(super) fn is_free(&mut self, agent: &str) {
        if self.someone_waits_as(agent) {
            self.freed.insert(agent.to_owned());
        }
    }

    /// The agents of whom `seats` may be wrong, once.
    pub(super) fn take_moved(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.moved)
    }

    pub(super) fn keep_handed(&mut self) {
        let serving = self.serving.drain(..);
        self.served.extend(serving.map(|(_, handed)| handed));
    }

    pub(super) fn take_back_handed(&mut self) {
        for (poll, handed) in std::mem::take(&mut self.serving) {
            self.insert(handed.poll, poll);
        }
    }
}

impl Coordinator {
    /// Lets a poll wait for which there is nothing now.
    pub(super) fn wait_for_tasks(
        &mut self,
        agent: &str,
        capabilities: Option<&[String]>,
        max: u32,
        wait: Duration,
        now: Now,
    ) -> PollId {
        let poll = self.polls.wait(Poll {
            agent: agent.to_owned(),
            capabilities: capabilities.map(<[String]>::to_vec),
            max,
            until: now.mono.saturating_add(wait),
        });
        self.reseat_moved(now);
        poll
    }

    /// Takes back a poll whose caller is gone. `false`: it was served already.
    pub fn forget_poll(&mut self, poll: PollId) -> bool {
        self.polls.remove(poll).is_some()
    }

    /// What waiting polls got since the last call.
    pub fn take_handed(&mut self) -> Vec<Handed> {
        std::mem::take(&mut self.polls.served)
    }

    /// Ends the waiting polls of one agent, with nothing: whoever may still ask comes again.
    pub fn end_polls_of(&mut self, agent: &str) {
        while let Some((poll, _)) = self.polls.oldest_of(agent) {
            self.polls.remove(poll);
            let tasks = Vec::new();
            self.polls.served.push(Handed { poll, tasks });
        }
    }

    /// The earliest end of a waiting poll.
    pub(super) fn next_poll_end(&self) -> Option<Duration> {
        self.polls.ends.first().map(|(until, _)| *until)
    }

    pub(super) fn end_polls(&mut self, now: Now) {
        let over = self.polls.ends.iter();
        let over = over.take_while(|(until, _)| *until <= now.mono);
        let over: Vec<_> = over.map(|(_, poll)| *poll).collect();
        for poll in over {
            if let Some(ended) = self.polls.remove(poll) {
                self.vouch(&ended.agent, now);
            }
            let tasks = Vec::new();
            self.polls.served.push(Handed { poll, tasks });
        }
    }
}
