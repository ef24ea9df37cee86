//! What is journalled about an agent: the facts of the stream `agent/NAME`.

use std::time::Duration;

use phisync_agents::detector::Verdict;
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
    /// It took a task. Written only where several orchestrators share the store: it moves the version
    /// that the claims of the others expect, so that none of them exceeds the agent's concurrency.
    TaskTaken {
        /// The run of the task.
        run: RunId,
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
        let Self::VerdictChanged {
            from,
            to,
            silent_ms,
            limit_ms,
            rhythm,
            ..
        } = self
        else {
            return None;
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
