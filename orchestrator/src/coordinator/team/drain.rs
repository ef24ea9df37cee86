//! Draining: an agent ends what it holds and is given nothing more, until somebody says otherwise.

use crate::coordinator::{Coordinator, Now, Refusal};
use crate::protocol::AgentDetail;

use super::{Agent, AgentEvent};

impl Coordinator {
    /// Gives an agent nothing more. Once more is harmless: the first word counts.
    ///
    /// # Errors
    /// An agent that is not in the team.
    pub fn drain(
        &mut self,
        name: &str,
        by: &str,
        reason: Option<&str>,
        now: Now,
    ) -> Result<AgentDetail, Refusal> {
        let drained = AgentEvent::Drained {
            by: by.to_owned(),
            reason: reason.map(str::to_owned),
            at: now.wall,
        };
        self.set_drained(name, &drained, now)
    }

    /// Lets a drained agent take tasks again. Once more is harmless.
    ///
    /// # Errors
    /// An agent that is not in the team.
    pub fn undrain(&mut self, name: &str, by: &str, now: Now) -> Result<AgentDetail, Refusal> {
        let undrained = AgentEvent::Undrained {
            by: by.to_owned(),
            at: now.wall,
        };
        self.set_drained(name, &undrained, now)
    }

    fn set_drained(
        &mut self,
        name: &str,
        event: &AgentEvent,
        now: Now,
    ) -> Result<AgentDetail, Refusal> {
        let key = name.to_lowercase();
        self.transact(now, |c| {
            let agent = c.agents.get_mut(&key).ok_or_else(|| no_agent(name))?;
            let drain = matches!(event, AgentEvent::Drained { .. });
            if agent.is_drained() == drain {
                return Ok(());
            }
            c.batch.add(Agent::stream(&key), agent.version, &[event]);
            agent.version += 1;
            agent.believe(event);
            c.stale_views.agents_changed();
            c.polls.has_moved(&key);
            if drain {
                c.unstick(&key);
            } else {
                c.polls.is_free(&key);
            }
            Ok(())
        })?;
        self.agent(name, now)
    }
}

pub(super) fn no_agent(name: &str) -> Refusal {
    Refusal::NotFound {
        what: "agent",
        id: name.to_owned(),
    }
}
