//! The names of transactions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::env::Entropy;
use crate::{FileId, FileIdError, StreamName};

/// As `t-7k2m9x4q1c`; it is part of file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(FileId);

/// No vowels, so that no words come out.
const DIGITS: &[u8; 30] = b"0123456789bcdfghjkmnpqrstvwxyz";

/// 49 bits: a million transactions of one store have two equal names once in a thousand stores.
const LENGTH: usize = 10;

/// A name leaves room in the names of stages.
const LENGTH_MAX: usize = 40;

impl TransactionId {
    /// A new name.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bits = entropy.next_u64();
        let mut text = String::from("t-");
        for _ in 0..LENGTH {
            let count = DIGITS.len() as u64;
            let index = usize::try_from(bits % count).expect("a remainder is below its divisor");
            text.push(char::from(DIGITS[index]));
            bits /= count;
        }
        Self(FileId::new(&text).expect("the alphabet is the grammar's"))
    }

    /// Reads a name.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, FileIdError> {
        if text.len() > LENGTH_MAX {
            return Err(FileIdError::Length(text.len()));
        }
        FileId::new(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> StreamName {
        StreamName::new(format!("tx/{}", self.0))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
