//! Ids that become file names.
//!
//! One grammar for every door: such an id is a single path component on every system, never a
//! device, and never differs from another one by case alone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// `[a-z0-9][a-z0-9_-]{0,62}` and no Windows device name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileId(Arc<str>);

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileIdError {
    /// It is empty or too long.
    #[error("an id has 1 to {FILE_ID_MAX} characters, not {0}")]
    Length(usize),
    /// A character is not allowed where it stands.
    #[error("an id is made of [a-z0-9_-] and begins with [a-z0-9]: `{}` is not allowed", .0.escape_default())]
    Character(char),
    /// Windows takes it for a device.
    #[error("`{0}` names a device on Windows")]
    Device(String),
}

/// The most characters of an id.
pub const FILE_ID_MAX: usize = 63;

impl FileId {
    /// Checks a text.
    ///
    /// # Errors
    /// See [`FileIdError`].
    pub fn new(text: &str) -> Result<Self, FileIdError> {
        check(text, FILE_ID_MAX)?;
        Ok(Self(Arc::from(text)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The grammar with a length of the caller's.
pub(crate) fn check(text: &str, longest: usize) -> Result<(), FileIdError> {
    let allowed = |(index, c): (usize, char)| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || (index > 0 && matches!(c, '_' | '-'))
    };
    if let Some((_, c)) = text.char_indices().find(|&at| !allowed(at)) {
        return Err(FileIdError::Character(c));
    }
    if text.is_empty() || text.len() > longest {
        return Err(FileIdError::Length(text.len()));
    }
    if is_device(text) {
        return Err(FileIdError::Device(text.to_owned()));
    }
    Ok(())
}

fn is_device(text: &str) -> bool {
    let numbered = text
        .strip_prefix("com")
        .or_else(|| text.strip_prefix("lpt"))
        .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    numbered || matches!(text, "con" | "prn" | "aux" | "nul")
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FileId {
    type Err = FileIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for FileId {
    type Error = FileIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<FileId> for String {
    fn from(id: FileId) -> Self {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::FileId;

    #[test]
    fn names_that_mean_something_to_a_file_system_are_refused() {
        let long = "a".repeat(64);
        for text in [
            "", ".", "..", "../a", "a/b", "a\\b", "a:b", "c:", "-a", "_a", "A", "a.", "a ", "con",
            "nul", "com1", "lpt9", "nul.txt", "\u{e9}", "a\0", "a\n", &long,
        ] {
            assert!(FileId::new(text).is_err(), "{text:?}");
        }
        for text in ["a", "0", "r-7f3", "com", "com10", "console", &long[..63]] {
            assert!(FileId::new(text).is_ok(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_id_is_a_direct_child_and_its_own_lower_case(text in "[a-zA-Z0-9_./\\\\: \\-]{0,8}") {
            if let Ok(id) = FileId::new(&text) {
                let path = std::path::Path::new("/data").join(id.as_str());
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("/data")));
                prop_assert_eq!(text.to_lowercase(), text);
            }
        }
    }
}
