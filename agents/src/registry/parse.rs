//! From the text of `agents.yaml` to a [`Registry`], with the place of what is wrong.
//!
//! The YAML reader knows positions only while it reads: an error raised inside a visitor gets the
//! place of the node being visited. So every check stands in a visitor, at the smallest node it
//! concerns; the words of a refusal travel beside the error, in [`Refusal`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::nearest::nearest;
use super::{AgentSpec, PersonSpec, Registry, RegistryError, SILENCE_DEFAULT, duration};
use crate::AgentName;

/// Largest file, in bytes: a team is small.
const BYTES_MAX: usize = 256 * 1024;

/// Largest `concurrency`; more is a slip of the finger.
const CONCURRENCY_MAX: u32 = 10_000;

const TOP_KEYS: [&str; 3] = ["phisync", "agents", "people"];
const AGENT_KEYS: [&str; 5] = [
    "capabilities",
    "concurrency",
    "command",
    "silence",
    "detector",
];
const PERSON_KEYS: [&str; 1] = ["roles"];

/// Keys of the language that later versions implement.
const AGENT_KEYS_LATER: [&str; 2] = ["pool", "rate"];

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
    let (what, hint) = refusal.0.into_inner().unwrap_or_else(|| {
        let words = cause.to_string();
        let place = format!(" at line {line} column {column}");
        (words.replace(&place, ""), None)
    });
    Err(error(line, column, what, hint))
}

/// What is wrong and what to do, of the one fault that ended the reading.
#[derive(Default)]
struct Refusal(RefCell<Option<(String, Option<String>)>>);

impl Refusal {
    fn because<E: de::Error>(&self, what: String, hint: Option<String>) -> E {
        let error = E::custom(&what);
        self.0.replace(Some((what, hint)));
        error
    }

    fn unknown_key<E: de::Error>(&self, key: &str, of: &str, known: &[&str]) -> E {
        let hint = match nearest(key, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys are {}", listed(known)),
        };
        self.because(
            format!("unknown key `{}` in {of}", key.escape_debug()),
            Some(hint),
        )
    }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Reads the entries of one mapping.
trait Reader<'de> {
    /// Checks a key where it stands.
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E>;
    /// Reads the value of a key that passed.
    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A mapping without repeated keys.
struct Mapping<'a, R> {
    expected: &'static str,
    refusal: &'a Refusal,
    reader: R,
}

impl<'de, R: Reader<'de>> DeserializeSeed<'de> for Mapping<'_, R> {
    type Value = R;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<R, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, R: Reader<'de>> Visitor<'de> for Mapping<'_, R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<R, A::Error> {
        let mut seen = Vec::new();
        loop {
            let key = Key {
                refusal: self.refusal,
                seen: &seen,
                reader: &mut self.reader,
            };
            let Some(key) = map.next_key_seed(key)? else {
                return Ok(self.reader);
            };
            self.reader.value(&key, &mut map)?;
            seen.push(key);
        }
    }
}

struct Key<'a, R> {
    refusal: &'a Refusal,
    seen: &'a [String],
    reader: &'a mut R,
}

impl<'de, R: Reader<'de>> DeserializeSeed<'de> for Key<'_, R> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de, R: Reader<'de>> Visitor<'de> for Key<'_, R> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.seen.iter().any(|seen| seen == key) {
            return Err(self.refusal.because(
                format!("the key `{}` stands here twice", key.escape_debug()),
                None,
            ));
        }
        self.reader.key(key)?;
        Ok(key.to_owned())
    }
}

/// One scalar, read by `check`.
struct Scalar<'a, F> {
    expected: &'static str,
    refusal: &'a Refusal,
    check: F,
}

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for Scalar<'_, F> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Scalar<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.check)(text).map_err(|what| self.refusal.because(what, None))
    }
}

/// A list of texts, each passed through `check` with those before it.
struct Texts<'a> {
    expected: &'static str,
    refusal: &'a Refusal,
    check: fn(&str, &[String]) -> Result<(), String>,
    at_least_one: bool,
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = Vec<String>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        loop {
            let element = Scalar {
                expected: "text",
                refusal: self.refusal,
                check: |text: &str| (self.check)(text, &texts).map(|()| text.to_owned()),
            };
            let Some(text) = list.next_element_seed(element)? else {
                break;
            };
            texts.push(text);
        }
        if texts.is_empty() && self.at_least_one {
            return Err(self.refusal.because("the list is empty".to_owned(), None));
        }
        Ok(texts)
    }
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
            concurrency: 1,
            command: None,
            silence: SILENCE_DEFAULT,
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
        } else if AGENT_KEYS_LATER.contains(&key) {
            let what = format!("`{key}` in {of} is not implemented yet");
            Err(self.refusal.because(what, Some("leave it out".to_owned())))
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
            _ => map.next_value_seed(Scalar {
                expected: "the name of a detector",
                refusal,
                check: |text: &str| match text {
                    "deadline" => Ok(()),
                    "phi" => {
                        Err("`detector: phi` is not implemented yet, only `deadline` is".to_owned())
                    }
                    _ => Err(format!(
                        "`{}` is no detector; `deadline` is",
                        text.escape_debug()
                    )),
                },
            })?,
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

fn word(text: &str, before: &[String]) -> Result<(), String> {
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

fn concurrency(text: &str) -> Result<u32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|n| (1..=CONCURRENCY_MAX).contains(n));
    number.ok_or_else(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is no number of tasks from 1 to {CONCURRENCY_MAX}")
    })
}

fn silence(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is no duration such as `500ms`, `60s` or `2h30m`, longer than nothing")
    })
}
