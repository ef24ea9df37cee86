//! How fields of facts are left out, and what they are when they are: what an old journal does not
//! say must read as it was meant when it was written.

use serde::Deserialize as _;

use crate::engine::RawJson;

/// A payload that is there and `null` is there: without this, serde reads it as absent, and a replay
/// would know less than the run that wrote it.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(
    json: D,
) -> Result<Option<RawJson>, D::Error> {
    RawJson::deserialize(json).map(Some)
}

pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

pub(super) fn is_one(number: &u32) -> bool {
    *number == 1
}

pub(super) fn one() -> u32 {
    1
}
