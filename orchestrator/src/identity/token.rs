//! Tokens: 256 random bits with a public part, as `phs_1a2b3c4d_<64 hexadecimal digits>`.

use std::fmt;

use phisync_state::env::Entropy;
use sha2::{Digest as _, Sha256};

/// A whole token. Prints as its public part.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one. `entropy` must be fit for secrets.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let id = entropy.next_u64() >> 32;
        let mut token = format!("phs_{id:08x}_");
        for _ in 0..4 {
            token.push_str(&format!("{:016x}", entropy.next_u64()));
        }
        Self(token)
    }

    /// From a file or a header.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The whole token: for its holder, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The public part.
    #[must_use]
    pub fn id(&self) -> &str {
        let end = self.0.match_indices('_').nth(1).map(|(at, _)| at);
        self.0.get(..end.unwrap_or(0)).unwrap_or("")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_***", self.id())
    }
}

/// SHA-256 in hexadecimal. Tokens are compared by it, so that how long a comparison takes tells
/// nothing about the token.
#[must_use]
pub fn hash_token(token: &str) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digest = Sha256::digest(token.as_bytes());
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| DIGITS[usize::from(digit)]).collect()
}

#[cfg(test)]
mod tests {
    use phisync_state::env::SeededEntropy;

    use super::*;

    #[test]
    fn a_token_never_prints_its_secret_part() {
        let token = Secret::generate(&mut SeededEntropy::new(7));
        let secret = &token.reveal()[token.id().len() + 1..];
        assert_eq!(secret.len(), 64);
        assert!(!format!("{token:?}").contains(secret));
        assert!(token.reveal().starts_with(token.id()));
    }
}
