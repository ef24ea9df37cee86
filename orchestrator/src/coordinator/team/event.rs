//! What is journalled about an agent: the facts of the stream `agent/NAME`.

use std::time::Duration;

use phisync_agents::detector::Verdict;
use phisync_agents::registry::Description;
use phisync_state::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::{RunId, Transition};

use super::{from_word, word};

/// A fact of the stream `agent/NAME`. Format version 1. Single heartbeats are not journalled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentEvent {
    /// The detector changed its mind.
    VerdictChanged {
        /// `unseen alive suspect dead`.
        from: String,
        /// Likewise.
        to: String,
        /// How long it had been silent, in milliseconds.
        silent_ms: u64,
        /// The silence that makes it dead, in milliseconds.
        limit_ms: u64,
        /// The rhythm from which the limit was found; absent where it was declared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rhythm: Option<Evidence>,
        /// When.
        at: Timestamp,
    },
    /// It took a task. Written where the agent has a rate, and where several orchestrators share the
    /// store: it moves the version that the claims of the others expect, so that none of them exceeds
    /// the agent's concurrency.
    TaskTaken {
        /// The run of the task.
        run: RunId,
        /// When its rate would be unused again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        full_at: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
    /// Somebody asked it to end what it holds and to take nothing more.
    Drained {
        /// Who.
        by: String,
        /// Why, if they said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// It may take tasks again.
    Undrained {
        /// Who said so.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody took it into the team, or described it anew.
    Registered {
        /// What it is, with every default written out.
        agent: Description,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody took it out of the team.
    Removed {
        /// Who.
        by: String,
        /// Why, if they said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
}

/// What a verdict by rhythm rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Phi at the time of the verdict.
    pub phi: f64,
    /// Mean gap between signs of life, in milliseconds.
    pub mean_ms: u64,
    /// Standard deviation of the gaps, in milliseconds.
    pub deviation_ms: u64,
    /// How many gaps there were.
    pub gaps: u64,
}

impl AgentEvent {
    /// What the fact changed about `agent`, as the transition log tells it.
    #[must_use]
    pub fn transition(&self, agent: &str) -> Option<Transition> {
        let (from, to, silent_ms, limit_ms, rhythm) = match self {
            Self::VerdictChanged {
                from,
                to,
                silent_ms,
                limit_ms,
                rhythm,
                ..
            } => (from, to, silent_ms, limit_ms, rhythm),
            Self::Drained { by, reason, .. } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}"));
                let cause = format!("drained by {by}{}", why.unwrap_or_default());
                return Some(service(agent, "open", "drained", cause));
            }
            Self::Undrained { by, .. } => {
                let cause = format!("may take tasks again, says {by}");
                return Some(service(agent, "drained", "open", cause));
            }
            Self::Registered {
                agent: words, by, ..
            } => {
                let can = words.capabilities.join(", ");
                let cause = format!("registered by {by}, can do: {can}");
                return Some(service(agent, "outside", "open", cause));
            }
            Self::Removed { by, reason, .. } => {
                let why = reason.as_ref().map(|reason| format!(": {reason}"));
                let cause = format!("removed by {by}{}", why.unwrap_or_default());
                return Some(service(agent, "open", "outside", cause));
            }
            Self::TaskTaken { .. } => return None,
        };
        let seconds = |millis: &u64| Duration::from_millis(*millis).as_secs_f64();
        let cause = match from_word(to) {
            Some(Verdict::Alive) if from_word(from).is_none() => "first heard of".to_owned(),
            Some(Verdict::Alive) => "heard of again".to_owned(),
            Some(Verdict::Suspect | Verdict::Dead) | None => {
                let (silent, limit) = (seconds(silent_ms), seconds(limit_ms));
                let phi = rhythm.as_ref().map(|rhythm| {
                    let mean = seconds(&rhythm.mean_ms);
                    format!(", phi {:.1} at a gap of {mean}s", rhythm.phi)
                });
                format!(
                    "silent for {silent}s of {limit}s{}",
                    phi.unwrap_or_default()
                )
            }
        };
        Some(Transition {
            subject: format!("agent {agent}"),
            from: word(from_word(from)),
            to: word(from_word(to)),
            cause,
        })
    }
}

fn service(agent: &str, from: &'static str, to: &'static str, cause: String) -> Transition {
    Transition {
        subject: format!("agent {agent}"),
        from,
        to,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::AgentEvent;

    /// Written once and never again: every later version reads them.
    #[test]
    fn facts_of_version_1_are_read_and_written_as_they_were() {
        for line in [
            r#"{"verdict_changed":{"from":"unseen","to":"alive","silent_ms":0,"limit_ms":60000,"at":1795339800000000}}"#,
            r#"{"verdict_changed":{"from":"alive","to":"dead","silent_ms":13000,"limit_ms":12500,"rhythm":{"phi":8.5,"mean_ms":5000,"deviation_ms":1250,"gaps":19},"at":1795339800000000}}"#,
            r#"{"task_taken":{"run":"r1","at":1795339800000000}}"#,
            r#"{"task_taken":{"run":"r1","full_at":1795339802000000,"at":1795339800000000}}"#,
            r#"{"drained":{"by":"owner","reason":"updates","at":1795339800000000}}"#,
            r#"{"undrained":{"by":"owner","at":1795339800000000}}"#,
            r#"{"registered":{"agent":{"name":"Helper","capabilities":["web"],"pool":"default","concurrency":2,"silence":"60s","detector":"deadline","rate":"30/m"},"by":"owner","at":1795339800000000}}"#,
            r#"{"removed":{"by":"owner","reason":"done","at":1795339800000000}}"#,
        ] {
            let fact: AgentEvent = serde_json::from_str(line).expect(line);
            assert_eq!(serde_json::to_string(&fact).expect("a fact prints"), line);
        }
    }
}
