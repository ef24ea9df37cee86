//! Limits in `agents.yaml`: how often, and how many of a type at once.

use serde::de::{self, MapAccess};

use super::parse::{concurrency, word};
use super::yaml::{Mapping, Reader, Refusal, Scalar};
use super::{TypeSpec, duration};
use crate::rate::Rate;

const TYPE_KEYS: [&str; 2] = ["concurrency", "rate"];

/// Reads `types`.
pub(super) struct TypesReader<'a> {
    types: Vec<TypeSpec>,
    refusal: &'a Refusal,
}

impl<'a> TypesReader<'a> {
    pub(super) fn new(refusal: &'a Refusal) -> Self {
        Self {
            types: Vec::new(),
            refusal,
        }
    }

    pub(super) fn into_types(self) -> Vec<TypeSpec> {
        self.types
    }
}

impl<'de> Reader<'de> for TypesReader<'_> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        word(key, &[]).map_err(|what| self.refusal.because(what, None))
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let spec = TypeSpec {
            name: key.to_owned(),
            concurrency: None,
            rate: None,
        };
        let limits = Mapping {
            expected: "a mapping with `concurrency` and `rate`",
            refusal: self.refusal,
            reader: LimitsReader {
                spec,
                refusal: self.refusal,
            },
        };
        self.types.push(map.next_value_seed(limits)?.spec);
        Ok(())
    }
}

struct LimitsReader<'a> {
    spec: TypeSpec,
    refusal: &'a Refusal,
}

impl<'de> Reader<'de> for LimitsReader<'_> {
    fn key<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        if TYPE_KEYS.contains(&key) {
            return Ok(());
        }
        let of = format!("type `{}`", self.spec.name);
        Err(self.refusal.unknown_key(key, &of, &TYPE_KEYS))
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let refusal = self.refusal;
        if key == "rate" {
            self.spec.rate = Some(map.next_value_seed(Scalar {
                expected: "a rate",
                refusal,
                check: rate,
            })?);
        } else {
            self.spec.concurrency = Some(map.next_value_seed(Scalar {
                expected: "a number of tasks",
                refusal,
                check: concurrency,
            })?);
        }
        Ok(())
    }
}

/// `30/m`, `2/90s`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let parsed = text.split_once('/').and_then(|(count, period)| {
        let count = count.parse().ok()?;
        let period = duration::parse(period).or_else(|| duration::parse(&format!("1{period}")))?;
        Rate::new(count, period)
    });
    parsed.ok_or_else(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is no rate such as `30/m`, `2/h` or `10/90s`")
    })
}
