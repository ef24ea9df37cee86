//! Names of files below a root, as every system can hold them.
//!
//! One grammar for every door and every system: what Windows or macOS would take for another file,
//! a device or a stream is refused on Linux too, so that a transaction means the same everywhere.
//! Whether a link stands in the way is the tree's business, not the name's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes of a path.
pub const PATH_BYTES_MAX: usize = 1024;

/// The most bytes of one part: room is left for what phisync appends to a name.
const PART_BYTES_MAX: usize = 180;

/// What the names of unfinished work begin with; nobody else may use it.
pub(super) const OWN_PREFIX: &str = ".phisync-";

/// A path relative to a root: parts joined by `/`, none of them special to any system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(Arc<str>);

/// Why a text is no path below a root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreePathError {
    /// Nothing at all.
    #[error("the path is empty")]
    Empty,
    /// Too long, as a whole or a part of it.
    #[error("a path has at most {PATH_BYTES_MAX} bytes, and each part of it {PART_BYTES_MAX}")]
    TooLong,
    /// It starts at the top of the file system or of a drive.
    #[error("`{0}` is absolute: paths start at the root that the change names")]
    Absolute(String),
    /// `.`, `..` or nothing between two slashes.
    #[error("`{0}` has the part `{1}`, which does not name a file")]
    Relative(String, String),
    /// A character that some system treats as special.
    #[error("`{}` has the character `{}`, which not every system can hold", .0.escape_debug(), .1.escape_unicode())]
    Character(String, char),
    /// Windows opens a device of that name.
    #[error("`{0}` has the part `{1}`, which names a device on Windows")]
    Device(String, String),
    /// Windows drops the end of such a name.
    #[error("`{0}` has the part `{1}`, whose last character Windows drops")]
    Ending(String, String),
    /// Not for transactions.
    #[error("`{0}` has the part `{1}`, which belongs to the tools that keep the directory")]
    Reserved(String, String),
}

impl TreePath {
    /// Checks a path.
    ///
    /// # Errors
    /// See [`TreePathError`].
    pub fn new(text: &str) -> Result<Self, TreePathError> {
        if text.is_empty() {
            return Err(TreePathError::Empty);
        }
        if text.starts_with(['/', '\\']) || drive(text) {
            return Err(TreePathError::Absolute(text.to_owned()));
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(TreePathError::TooLong);
        }
        if let Some(c) = text.chars().find(|c| special(*c)) {
            return Err(TreePathError::Character(text.to_owned(), c));
        }
        for part in text.split('/') {
            check_part(text, part)?;
        }
        Ok(Self(Arc::from(text)))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, from the root down.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The directory that holds it; `None` is the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(Arc::from(parent)))
    }

    /// `name` in the directory `parent`, for names of our own making.
    pub(super) fn inside(parent: Option<&Self>, name: &str) -> Self {
        match parent {
            Some(parent) => Self(Arc::from(format!("{parent}/{name}"))),
            None => Self(Arc::from(name)),
        }
    }

    /// What a system that does not tell upper case from lower takes for the same path.
    pub(super) fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

fn drive(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':')
}

/// Separators, streams, wildcards, what is not shown, and what reverses what is shown.
fn special(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\u{ad}' | '\u{feff}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

fn check_part(text: &str, part: &str) -> Result<(), TreePathError> {
    let whole = || text.to_owned();
    if matches!(part, "" | "." | "..") {
        return Err(TreePathError::Relative(whole(), part.to_owned()));
    }
    if part.len() > PART_BYTES_MAX {
        return Err(TreePathError::TooLong);
    }
    if part.ends_with(['.', ' ']) {
        return Err(TreePathError::Ending(whole(), part.to_owned()));
    }
    let folded = part.to_lowercase();
    if device(&folded) {
        return Err(TreePathError::Device(whole(), part.to_owned()));
    }
    // `git~1` is the short name by which Windows knows `.git`.
    if matches!(&*folded, ".git" | "git~1" | ".phisync") || folded.starts_with(OWN_PREFIX) {
        return Err(TreePathError::Reserved(whole(), part.to_owned()));
    }
    Ok(())
}

fn device(folded: &str) -> bool {
    let stem = folded.split('.').next().unwrap_or(folded).trim_end();
    let numbered = ["com", "lpt"].iter().any(|port| {
        let number = stem.strip_prefix(port);
        number.is_some_and(|number| {
            let mut chars = number.chars();
            let digit = chars.next();
            let port = digit
                .is_some_and(|c| c.is_ascii_digit() || matches!(c, '\u{b9}' | '\u{b2}' | '\u{b3}'));
            port && chars.next().is_none()
        })
    });
    numbered || matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TreePath {
    type Error = TreePathError;

    /// Also takes the names of unfinished work, which journals hold.
    fn try_from(text: String) -> Result<Self, TreePathError> {
        match text.rsplit_once('/') {
            Some((parent, name)) if name.starts_with(OWN_PREFIX) => {
                Ok(Self::inside(Some(&Self::new(parent)?), name))
            }
            None if text.starts_with(OWN_PREFIX) => Ok(Self::inside(None, &text)),
            _ => Self::new(&text),
        }
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TreePath;

    #[test]
    fn what_some_system_takes_for_something_else_is_refused() {
        let long = "a".repeat(181);
        let deep = "a/".repeat(600) + "a";
        for text in [
            "",
            "/etc/passwd",
            "\\x",
            "c:x",
            "C:/x",
            "../x",
            "a/../x",
            "a/./b",
            "a//b",
            "a/",
            ".",
            "a\\b",
            "a:b",
            "a/b:stream",
            "con",
            "a/NUL",
            "aux.txt",
            "com1",
            "LPT9.log",
            "com\u{b9}",
            "con .txt",
            "a.",
            "a ",
            "a/b. /c",
            "a\nb",
            "a\0",
            "a\u{202e}b",
            ".git/config",
            "x/.GIT/hooks/a",
            "git~1/config",
            ".g\u{200c}it/x",
            ".phisync/journal/x",
            ".Phisync/x",
            ".phisync-t-1-0.tmp",
            "a*",
            "a?",
            "a|b",
            &long,
            &deep,
        ] {
            assert!(TreePath::new(text).is_err(), "{text:?}");
        }
        for text in [
            "a",
            "src/model.rs",
            ".gitignore",
            "a b/c",
            "com",
            "com10",
            "console.rs",
            "a..b",
            "...a",
            "Cargo.toml",
            "\u{e4}/\u{f6}.md",
            "a@b+c=d",
            ".github/x.yml",
        ] {
            assert!(TreePath::new(text).is_ok(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_root(text in "[a-zA-Z0-9_./\\\\: ~\\-]{0,14}") {
            if let Ok(path) = TreePath::new(&text) {
                let mut depth = 0;
                for component in std::path::Path::new(path.as_str()).components() {
                    prop_assert!(matches!(component, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert_eq!(depth, path.parts().count());
            }
        }
    }
}
