//! Names of agents and people: safe as file names everywhere, compared without case.

use std::fmt;

/// Longest name, in bytes.
const LENGTH_MAX: usize = 63;

/// Names that Windows keeps for devices, whatever extension follows.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A name as declared, and the lower-case key it goes by in paths, keys and logs.
///
/// Two names are equal when their keys are.
#[derive(Clone, Debug)]
pub struct AgentName {
    key: String,
    declared: String,
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there, or more than 63 bytes.
    #[error("a name has 1 to {LENGTH_MAX} characters, this one has {length}")]
    Length {
        /// What was counted, in bytes.
        length: usize,
    },
    /// A character outside the grammar.
    #[error("`{name}` is no name: letters, digits, `-` and `_`, the first a letter or digit")]
    Grammar {
        /// What was given, control characters escaped.
        name: String,
    },
    /// A device of Windows.
    #[error("`{name}` is the name of a device on Windows")]
    Device {
        /// What was given.
        name: String,
    },
}

impl AgentName {
    /// Checks `declared` against the grammar `[a-z0-9][a-z0-9_-]{0,62}`, ignoring ASCII case.
    ///
    /// # Errors
    /// The first rule that `declared` breaks.
    pub fn parse(declared: &str) -> Result<Self, NameError> {
        if declared.is_empty() || declared.len() > LENGTH_MAX {
            let length = declared.len();
            return Err(NameError::Length { length });
        }
        let first_is_plain = declared.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest_is_plain = declared
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !first_is_plain || !rest_is_plain {
            let name = declared.escape_debug().to_string();
            return Err(NameError::Grammar { name });
        }
        let key = declared.to_ascii_lowercase();
        if DEVICES.contains(&key.as_str()) {
            return Err(NameError::Device {
                name: declared.to_owned(),
            });
        }
        Ok(Self {
            key,
            declared: declared.to_owned(),
        })
    }

    /// The lower-case form, by which names are compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The form its owner wrote, for people to read.
    #[must_use]
    pub fn declared(&self) -> &str {
        &self.declared
    }
}

impl PartialEq for AgentName {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for AgentName {}

impl PartialOrd for AgentName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AgentName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declared)
    }
}

#[cfg(test)]
mod tests {
    use super::AgentName;

    #[test]
    fn names_compare_without_case_and_keep_their_spelling() {
        let name = AgentName::parse("WebC").expect("a plain name");
        assert_eq!(name, AgentName::parse("webc").expect("a plain name"));
        assert_eq!((name.key(), name.declared()), ("webc", "WebC"));
    }

    #[test]
    fn what_could_leave_a_directory_or_open_a_device_is_no_name() {
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a:b",
            "a.b",
            "CON",
            "lpt9",
            "-a",
            "\u{e9}",
            "a\u{1b}[0m",
            &long,
        ] {
            assert!(AgentName::parse(bad).is_err(), "{bad:?} passed");
        }
        assert!(AgentName::parse(&"a".repeat(63)).is_ok());
    }
}
