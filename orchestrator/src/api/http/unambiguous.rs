//! JSON in which no object names a key twice, at any depth.
//!
//! Of two values under one name readers keep the first, the last or none, and what is kept verbatim
//! is read by many: so there is no meaning to store. Nesting beyond serde_json's limit is refused too.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads `bytes` for its form alone.
///
/// # Errors
/// What is no JSON, or names a key twice.
pub(super) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Form>(bytes).map(|Form| ())
}

struct Form;

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_str<E>(self, _: &str) -> Result<Form, E> {
        Ok(Form)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Form, A::Error> {
        while let Some(Form) = items.next_element()? {}
        Ok(Form)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Form, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Form = entries.next_value()?;
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format!("the key `{twice}` stands twice")));
            }
        }
        Ok(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for sound in [
            "null",
            "[1, -1, 1.5, \"a\", true]",
            r#"{"a": {"a": [{"a": 1}, {"a": 2}]}}"#,
        ] {
            check(sound.as_bytes()).expect("each key stands once");
        }
        for (text, place) in [
            (r#"{"a": 1, "a": 1}"#, "line 1 column 16"),
            (r#"[{"b": {"a": 1, "\u0061": 2}}]"#, "line 1 column 28"),
        ] {
            let refused = check(text.as_bytes())
                .expect_err("`a` stands twice")
                .to_string();
            assert_eq!(refused, format!("the key `a` stands twice at {place}"));
        }
        let deep = ["[".repeat(300), "]".repeat(300)].concat();
        check(deep.as_bytes()).expect_err("too deep");
    }
}
