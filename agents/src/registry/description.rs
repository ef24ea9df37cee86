//! An agent that somebody describes outside the file, in the words of the file.
//!
//! What is registered while a server runs keeps the same rules as `agents.yaml`, because the same checks
//! read it. The words themselves are journalled, with every default written out, so that a default that
//! changes later changes nobody.

use serde::{Deserialize, Serialize};

use super::limits::rate;
use super::parse::{concurrency, detector, silence, word};
use super::{AgentSpec, POOL_DEFAULT};
use crate::AgentName;

/// More is no description of one agent.
const CAPABILITIES_MAX: usize = 256;

/// An agent in words. It has no command: whoever registers it starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name, as people read it.
    pub name: String,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The group it belongs to.
    #[serde(default = "pool_default")]
    pub pool: String,
    /// How many tasks it may hold.
    #[serde(default = "concurrency_default")]
    pub concurrency: u32,
    /// The silence after which it counts as dead, as `90s`.
    #[serde(default = "silence_default")]
    pub silence: String,
    /// `deadline` or `phi`.
    #[serde(default = "detector_default")]
    pub detector: String,
    /// How often it may take a task, as `30/m`; `None`: whenever it has room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// Why a description describes no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct BadDescription {
    /// Which part of it, by its key in `agents.yaml`.
    pub key: &'static str,
    /// What is wrong with that.
    pub what: String,
}

fn pool_default() -> String {
    POOL_DEFAULT.to_owned()
}

fn concurrency_default() -> u32 {
    1
}

fn silence_default() -> String {
    "60s".to_owned()
}

fn detector_default() -> String {
    "deadline".to_owned()
}

impl Description {
    /// An agent of which nothing but the name is known.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            capabilities: Vec::new(),
            pool: pool_default(),
            concurrency: concurrency_default(),
            silence: silence_default(),
            detector: detector_default(),
            rate: None,
        }
    }

    /// Reads the words.
    ///
    /// # Errors
    /// The first that breaks a rule of `agents.yaml`.
    pub fn read(&self) -> Result<AgentSpec, BadDescription> {
        let bad = |key| move |what| BadDescription { key, what };
        let name = AgentName::parse(&self.name).map_err(|fault| bad("name")(fault.to_string()))?;
        if self.capabilities.len() > CAPABILITIES_MAX {
            let what = format!("there are more than {CAPABILITIES_MAX}");
            return Err(bad("capabilities")(what));
        }
        let mut capabilities: Vec<String> = Vec::with_capacity(self.capabilities.len());
        for capability in &self.capabilities {
            word(capability, &capabilities).map_err(bad("capabilities"))?;
            capabilities.push(capability.clone());
        }
        capabilities.sort();
        word(&self.pool, &[]).map_err(bad("pool"))?;
        let rate = self.rate.as_deref().map(rate).transpose();
        Ok(AgentSpec {
            name,
            capabilities,
            pool: self.pool.clone(),
            concurrency: concurrency(&self.concurrency.to_string()).map_err(bad("concurrency"))?,
            command: None,
            silence: silence(&self.silence).map_err(bad("silence"))?,
            detector: detector(&self.detector).map_err(bad("detector"))?,
            rate: rate.map_err(bad("rate"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BadDescription, Description};
    use crate::registry::Registry;

    #[test]
    fn a_described_agent_is_the_agent_that_the_file_would_declare() {
        for (line, words) in [
            ("Dc: {}", r#"{"name":"Dc"}"#),
            (
                "Dc: { capabilities: [web, code], pool: night, concurrency: 3, silence: 2m, detector: phi, rate: 30/m }",
                r#"{"name":"Dc","capabilities":["web","code"],"pool":"night","concurrency":3,"silence":"2m","detector":"phi","rate":"30/m"}"#,
            ),
        ] {
            let file = format!("phisync: 1\nagents:\n  {line}\n");
            let declared = Registry::parse("agents.yaml", &file).expect("a team");
            let described: Description = serde_json::from_str(words).expect("words");
            assert_eq!(described.read().as_ref(), Ok(&declared.agents[0]), "{line}");
        }
    }

    #[test]
    fn each_word_keeps_the_rule_of_its_key() {
        let words = Description::of("dc");
        for (wrong, key) in [
            (Description::of("d c"), "name"),
            (
                Description {
                    capabilities: vec!["web".to_owned(), "web".to_owned()],
                    ..words.clone()
                },
                "capabilities",
            ),
            (
                Description {
                    capabilities: (0..257).map(|n| format!("c{n}")).collect(),
                    ..words.clone()
                },
                "capabilities",
            ),
            (
                Description {
                    pool: String::new(),
                    ..words.clone()
                },
                "pool",
            ),
            (
                Description {
                    concurrency: 0,
                    ..words.clone()
                },
                "concurrency",
            ),
            (
                Description {
                    silence: "0s".to_owned(),
                    ..words.clone()
                },
                "silence",
            ),
            (
                Description {
                    detector: "dowsing".to_owned(),
                    ..words.clone()
                },
                "detector",
            ),
            (
                Description {
                    rate: Some("often".to_owned()),
                    ..words
                },
                "rate",
            ),
        ] {
            let refused = wrong.read();
            assert!(
                matches!(&refused, Err(BadDescription { key: found, .. }) if *found == key),
                "{refused:?}"
            );
        }
    }
}
