//! Reading YAML so that every refusal has a place.
//!
//! The YAML reader knows positions only while it reads: an error raised inside a visitor gets the
//! place of the node being visited. So every check stands in a visitor, at the smallest node it
//! concerns; the words of a refusal travel beside the error, in [`Refusal`]. What the keys mean
//! stands in `parse.rs`.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::nearest::nearest;

/// What is wrong and what to do, of the one fault that ended the reading.
#[derive(Default)]
pub(super) struct Refusal(RefCell<Option<(String, Option<String>)>>);

impl Refusal {
    /// The words, if a visitor refused something.
    pub(super) fn into_words(self) -> Option<(String, Option<String>)> {
        self.0.into_inner()
    }

    pub(super) fn because<E: de::Error>(&self, what: String, hint: Option<String>) -> E {
        let error = E::custom(&what);
        self.0.replace(Some((what, hint)));
        error
    }

    pub(super) fn unknown_key<E: de::Error>(&self, key: &str, of: &str, known: &[&str]) -> E {
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
pub(super) trait Reader<'de> {
    /// Checks a key where it stands.
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E>;
    /// Reads the value of a key that passed.
    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A mapping without repeated keys.
pub(super) struct Mapping<'a, R> {
    pub(super) expected: &'static str,
    pub(super) refusal: &'a Refusal,
    pub(super) reader: R,
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
pub(super) struct Scalar<'a, F> {
    pub(super) expected: &'static str,
    pub(super) refusal: &'a Refusal,
    pub(super) check: F,
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
pub(super) struct Texts<'a> {
    pub(super) expected: &'static str,
    pub(super) refusal: &'a Refusal,
    pub(super) check: fn(&str, &[String]) -> Result<(), String>,
    pub(super) at_least_one: bool,
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
