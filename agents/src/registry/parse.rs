//! From the text of `agents.yaml` to a [`Registry`], with the place of what is wrong.
//!
//! Which keys there are, and what their values may be. How a check gets its place stands in `yaml.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{self, DeserializeSeed, Error as _, MapAccess};

use super::limits::{TypesReader, rate};
use super::yaml::{Mapping, Reader, Refusal, Scalar, Texts};
use super::{
    AgentSpec, POOL_DEFAULT, PersonSpec, Registry, RegistryError, SILENCE_DEFAULT, duration,
};
use crate::AgentName;
use crate::detector::Detector;

/// Largest file, in bytes: a team is small.
const BYTES_MAX: usize = 256 * 1024;

/// Largest `concurrency`; more is a slip of the finger.
const CONCURRENCY_MAX: u32 = 10_000;

const TOP_KEYS: [&str; 4] = ["phisync", "agents", "people", "types"];
const AGENT_KEYS: [&str; 7] = [
    "capabilities",
    "pool",
    "concurrency",
    "command",
    "silence",
    "detector",
    "rate",
];
const PERSON_KEYS: [&str; 1] = ["roles"];

pub(super) fn registry(file_name: &str, text: &str) -> Result<Registry, RegistryError> {
    let error = |line, column, what: String, hint| RegistryError {
        file: file_name.to_owned(),
        line,
        column,
        what,
        hint,
    };
    if text.len() > BYTES_MAX {
        let what = format!("the file has {} bytes, more than {BYTES_MAX}", text.len());
        return Err(error(1, 1, what, None));
    }
    let refusal = Refusal::default();
    let mut registry = Registry::default();
    let top = Mapping {
        expected: "a mapping with `agents` and `people`",
        refusal: &refusal,
        reader: Top {
            registry: &mut registry,
            refusal: &refusal,
        },
    };
    let Err(cause) = top.deserialize(serde_yaml::Deserializer::from_str(text)) else {
        return Ok(registry);
    };
    let (line, column) = cause
        .location()
        .map_or((1, 1), |at| (at.line(), at.column()));
    let (what, hint) = refusal.into_words().unwrap_or_else(|| {
        let words = cause.to_string();
        let place = format!(" at line {line} column {column}");
        (words.replace(&place, ""), None)
    });
    Err(error(line, column, what, hint))
}

struct Top<'a> {
    registry: &'a mut Registry,
    refusal: &'a Refusal,
}

impl<'de> Reader<'de> for Top<'_> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        if TOP_KEYS.contains(&key) {
            return Ok(());
        }
        Err(self.refusal.unknown_key(key, "the file", &TOP_KEYS))
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let refusal = self.refusal;
        match key {
            "phisync" => map.next_value_seed(Scalar {
                expected: "1",
                refusal,
                check: |text: &str| match text {
                    "1" => Ok(()),
                    _ => Err(format!(
                        "version `{}` is not known, only `1` is",
                        text.escape_debug()
                    )),
                },
            }),
            "agents" => {
                let people = self.registry.people.iter();
                let names = Names::new(people.map(|person| &person.name), refusal);
                self.registry.agents = names.read("a mapping from names to agents", map)?;
                Ok(())
            }
            "types" => {
                let types = Mapping {
                    expected: "a mapping from task types to limits",
                    refusal,
                    reader: TypesReader::new(refusal),
                };
                self.registry.types = map.next_value_seed(types)?.into_types();
                Ok(())
            }
            _ => {
                let agents = self.registry.agents.iter();
                let names = Names::new(agents.map(|agent| &agent.name), refusal);
                self.registry.people = names.read("a mapping from names to people", map)?;
                Ok(())
            }
        }
    }
}

/// What stands under a name.
trait Entry: Sized {
    fn read<'de, A: MapAccess<'de>>(
        name: AgentName,
        map: &mut A,
        refusal: &Refusal,
    ) -> Result<Self, A::Error>;
}

/// A mapping from names to entries; no name is taken twice, in any case, by agents or people.
struct Names<'a, E> {
    taken: BTreeMap<String, String>,
    name: Option<AgentName>,
    entries: Vec<E>,
    refusal: &'a Refusal,
}

impl<'a, E: Entry> Names<'a, E> {
    fn new<'n>(taken: impl Iterator<Item = &'n AgentName>, refusal: &'a Refusal) -> Self {
        let taken = taken.map(|name| (name.key().to_owned(), name.declared().to_owned()));
        Self {
            taken: taken.collect(),
            name: None,
            entries: Vec::new(),
            refusal,
        }
    }

    fn read<'de, A: MapAccess<'de>>(
        self,
        expected: &'static str,
        map: &mut A,
    ) -> Result<Vec<E>, A::Error> {
        let refusal = self.refusal;
        let mapping = Mapping {
            expected,
            refusal,
            reader: self,
        };
        map.next_value_seed(mapping).map(|names| names.entries)
    }
}

impl<'de, T: Entry> Reader<'de> for Names<'_, T> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        let parsed = AgentName::parse(key);
        let name = parsed.map_err(|fault| self.refusal.because(fault.to_string(), None))?;
        if let Some(earlier) = self.taken.get(name.key()) {
            let what = format!("the name `{name}` is taken by `{earlier}`");
            let hint = "names compare without case, and agents and people share them".to_owned();
            return Err(self.refusal.because(what, Some(hint)));
        }
        self.taken
            .insert(name.key().to_owned(), name.declared().to_owned());
        self.name = Some(name);
        Ok(())
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let Some(name) = self.name.take() else {
            return Err(A::Error::custom(format!("`{key}` has no checked name")));
        };
        self.entries.push(T::read(name, map, self.refusal)?);
        Ok(())
    }
}

impl Entry for AgentSpec {
    fn read<'de, A: MapAccess<'de>>(
        name: AgentName,
        map: &mut A,
        refusal: &Refusal,
    ) -> Result<Self, A::Error> {
        let agent = Self {
            name,
            capabilities: Vec::new(),
            pool: POOL_DEFAULT.to_owned(),
            concurrency: 1,
            command: None,
            silence: SILENCE_DEFAULT,
            detector: Detector::default(),
            rate: None,
        };
        let mapping = Mapping {
            expected: "a mapping that describes an agent",
            refusal,
            reader: AgentReader { agent, refusal },
        };
        map.next_value_seed(mapping).map(|read| read.agent)
    }
}

impl Entry for PersonSpec {
    fn read<'de, A: MapAccess<'de>>(
        name: AgentName,
        map: &mut A,
        refusal: &Refusal,
    ) -> Result<Self, A::Error> {
        let roles = Vec::new();
        let person = Self { name, roles };
        let mapping = Mapping {
            expected: "a mapping that describes a person",
            refusal,
            reader: PersonReader { person, refusal },
        };
        map.next_value_seed(mapping).map(|read| read.person)
    }
}

struct AgentReader<'a> {
    agent: AgentSpec,
    refusal: &'a Refusal,
}

impl<'de> Reader<'de> for AgentReader<'_> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        let of = format!("agent `{}`", self.agent.name);
        if AGENT_KEYS.contains(&key) {
            Ok(())
        } else {
            Err(self.refusal.unknown_key(key, &of, &AGENT_KEYS))
        }
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let refusal = self.refusal;
        let agent = &mut self.agent;
        match key {
            "capabilities" => {
                agent.capabilities = words("a list of capabilities", map, refusal)?;
            }
            "pool" => {
                agent.pool = map.next_value_seed(Scalar {
                    expected: "the name of a pool",
                    refusal,
                    check: |text: &str| word(text, &[]).map(|()| text.to_owned()),
                })?;
            }
            "concurrency" => {
                agent.concurrency = map.next_value_seed(Scalar {
                    expected: "a number of tasks",
                    refusal,
                    check: concurrency,
                })?;
            }
            "command" => {
                let command = map.next_value_seed(Texts {
                    expected: "a list: the program, then its arguments",
                    refusal,
                    check: argument,
                    at_least_one: true,
                })?;
                agent.command = Some(command);
            }
            "silence" => {
                agent.silence = map.next_value_seed(Scalar {
                    expected: "a duration",
                    refusal,
                    check: silence,
                })?;
            }
            "rate" => {
                agent.rate = Some(map.next_value_seed(Scalar {
                    expected: "a rate",
                    refusal,
                    check: rate,
                })?);
            }
            _ => {
                agent.detector = map.next_value_seed(Scalar {
                    expected: "the name of a detector",
                    refusal,
                    check: detector,
                })?;
            }
        }
        Ok(())
    }
}

struct PersonReader<'a> {
    person: PersonSpec,
    refusal: &'a Refusal,
}

impl<'de> Reader<'de> for PersonReader<'_> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        if PERSON_KEYS.contains(&key) {
            return Ok(());
        }
        let of = format!("person `{}`", self.person.name);
        Err(self.refusal.unknown_key(key, &of, &PERSON_KEYS))
    }

    fn value<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        self.person.roles = words("a list of roles", map, self.refusal)?;
        Ok(())
    }
}

/// A list of distinct words, sorted.
fn words<'de, A: MapAccess<'de>>(
    expected: &'static str,
    map: &mut A,
    refusal: &Refusal,
) -> Result<Vec<String>, A::Error> {
    let mut words = map.next_value_seed(Texts {
        expected,
        refusal,
        check: word,
        at_least_one: false,
    })?;
    words.sort();
    Ok(words)
}

pub(super) fn word(text: &str, before: &[String]) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 63 || !text.chars().all(plain) {
        let shown = text.escape_debug();
        return Err(format!(
            "`{shown}` is no word: 1 to 63 letters, digits, `-`, `_` and `.`"
        ));
    }
    if before.iter().any(|earlier| earlier == text) {
        return Err(format!("`{text}` stands here twice"));
    }
    Ok(())
}

fn argument(text: &str, before: &[String]) -> Result<(), String> {
    if before.is_empty() && text.is_empty() {
        return Err("the program has no name".to_owned());
    }
    if text.contains('\0') {
        return Err("an argument cannot contain a NUL character".to_owned());
    }
    Ok(())
}

pub(super) fn concurrency(text: &str) -> Result<u32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|n| (1..=CONCURRENCY_MAX).contains(n));
    number.ok_or_else(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is no number of tasks from 1 to {CONCURRENCY_MAX}")
    })
}

pub(super) fn detector(text: &str) -> Result<Detector, String> {
    match text {
        "deadline" => Ok(Detector::Deadline),
        "phi" => Ok(Detector::Phi),
        _ => Err(format!(
            "`{}` is no detector; `deadline` and `phi` are",
            text.escape_debug()
        )),
    }
}

pub(super) fn silence(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is no duration such as `500ms`, `60s` or `2h30m`, longer than nothing")
    })
}
