//! Which versions of a workflow a call accepts.

use std::fmt;

use semver::{Version, VersionReq};

/// A range of semantic versions, as `^1.2` or `>=1.0, <3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange(VersionReq);

impl VersionRange {
    /// Reads a range.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        VersionReq::parse(text)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Whether `version` is in the range. A version that nobody numbered is in none.
    #[must_use]
    pub fn accepts(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| self.0.matches(&version))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
