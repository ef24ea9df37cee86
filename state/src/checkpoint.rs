//! Signed statements that a journal went through a head.
//!
//! The chain of hashes finds accidents; whoever may write the directory can write a new one that
//! verifies. A checkpoint is signed (Ed25519, RFC 8032) with a key that is kept elsewhere, so that the
//! journal can be held against it for ever. It says nothing about what happened after it. Files and
//! where keys lie are the caller's business.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey as Key, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::env::Entropy;
use crate::journal::frame::to_hex;
use crate::{Head, Timestamp};

/// The format this program writes.
const FORMAT: u64 = 1;

/// What a file with a secret key begins with.
const SECRET_PREFIX: &str = "phisync-signing-key-1:";

/// The secret half: whoever has it can state anything. Never shown by `Debug`.
pub struct SigningKey(Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

/// The public half: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.0.as_bytes()))
    }
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key.
    #[error("a public key is 64 hexadecimal digits, as `phisync store key` prints it")]
    Public,
    /// Not a secret key.
    #[error("a signing key is one line, as `phisync store key` writes it")]
    Secret,
}

impl std::str::FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = from_hex(text.trim()).ok_or(KeyError::Public)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Public)?;
        Ok(Self(key))
    }
}

impl SigningKey {
    /// A new one. `entropy` must be fit for secrets.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut seed = [0; 32];
        for eight in seed.chunks_exact_mut(8) {
            eight.copy_from_slice(&entropy.next_u64().to_le_bytes());
        }
        Self(Key::from_bytes(&seed))
    }

    /// Reads what [`Self::reveal`] gave.
    ///
    /// # Errors
    /// [`KeyError::Secret`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim().strip_prefix(SECRET_PREFIX);
        let seed = digits.and_then(from_hex).ok_or(KeyError::Secret)?;
        Ok(Self(Key::from_bytes(&seed)))
    }

    /// The secret as the one line of its file.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}\n", to_hex(self.0.as_bytes()))
    }

    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

/// The statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal went through it.
    pub head: Head,
    /// In this life of the store.
    pub epoch: u64,
    /// When it was signed, by the signer's clock.
    pub at: Timestamp,
    signed_by: PublicKey,
    signature: Signature,
}

/// A checkpoint as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    phisync_checkpoint: u64,
    head: String,
    epoch: u64,
    at: i64,
    public_key: String,
    signature: String,
}

/// Why a checkpoint counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("it is no checkpoint: {0}")]
    Malformed(String),
    /// A newer program wrote it.
    #[error("it has format {0}, which needs a newer program")]
    Newer(u64),
    /// Somebody else signed it.
    #[error("it is signed with the key `{0}`, not with the one that was given")]
    OtherKey(Box<PublicKey>),
    /// It is not what was signed.
    #[error("its signature does not match: it is not what was signed")]
    Forged,
}

impl Checkpoint {
    /// Signs that a journal went through `head`.
    #[must_use]
    pub fn sign(key: &SigningKey, head: Head, epoch: u64, at: Timestamp) -> Self {
        let signature = key.0.sign(&message(&head, epoch, at));
        Self {
            head,
            epoch,
            at,
            signed_by: key.public(),
            signature,
        }
    }

    /// Reads one and checks that `key` signed it.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn verified(text: &str, key: &PublicKey) -> Result<Self, CheckpointError> {
        let malformed = |what: &str| CheckpointError::Malformed(what.to_owned());
        let number = serde_json::from_str::<serde_json::Value>(text);
        let number = number.map_err(|error| malformed(&error.to_string()))?;
        let number = number["phisync_checkpoint"].as_u64();
        match number.ok_or_else(|| malformed("it does not say so"))? {
            FORMAT => {}
            newer if newer > FORMAT => return Err(CheckpointError::Newer(newer)),
            _ => return Err(malformed("its format does not exist")),
        }
        let file: File =
            serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        let head: Head = file.head.parse().map_err(|_| malformed("its head"))?;
        let signed_by = file.public_key.parse();
        let signed_by: PublicKey = signed_by.map_err(|_| malformed("its public key"))?;
        let signature = from_hex(&file.signature).ok_or_else(|| malformed("its signature"))?;
        let signature = Signature::from_bytes(&signature);
        if signed_by != *key {
            return Err(CheckpointError::OtherKey(Box::new(signed_by)));
        }
        let at = Timestamp::from_micros(file.at);
        let signed = message(&head, file.epoch, at);
        let verified = key.0.verify_strict(&signed, &signature);
        verified.map_err(|_| CheckpointError::Forged)?;
        Ok(Self {
            head,
            epoch: file.epoch,
            at,
            signed_by,
            signature,
        })
    }
}

impl fmt::Display for Checkpoint {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = File {
            phisync_checkpoint: FORMAT,
            head: self.head.to_string(),
            epoch: self.epoch,
            at: self.at.as_micros(),
            public_key: self.signed_by.to_string(),
            signature: to_hex(&self.signature.to_bytes()),
        };
        f.write_str(&serde_json::to_string(&file).map_err(|_| fmt::Error)?)
    }
}

/// What is signed. Its first line says what for, so that no other signature of the key passes for one.
fn message(head: &Head, epoch: u64, at: Timestamp) -> Vec<u8> {
    format!(
        "phisync-checkpoint-{FORMAT}\n{head}\n{epoch}\n{}\n",
        at.as_micros()
    )
    .into_bytes()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Checkpoint, CheckpointError, KeyError, PublicKey, SigningKey};
    use crate::env::SeededEntropy;
    use crate::{Head, Seq, Timestamp};

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut SeededEntropy::new(seed))
    }

    fn checkpoint() -> Checkpoint {
        let head = Head {
            seq: Seq(7),
            hash: Arc::from("ab".repeat(32)),
        };
        let at = Timestamp::from_micros(1_795_348_800_000_000);
        Checkpoint::sign(&key(1), head, 1, at)
    }

    #[test]
    fn what_was_signed_is_verified_and_nothing_else_is() {
        let signed = checkpoint();
        let text = signed.to_string();
        let public = key(1).public();
        assert_eq!(Checkpoint::verified(&text, &public), Ok(signed));
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let refused = Checkpoint::verified(&changed, &public);
            assert!(refused.is_err(), "byte {index}: {changed}");
        }
        let other = Checkpoint::verified(&text, &key(2).public());
        assert_eq!(other, Err(CheckpointError::OtherKey(Box::new(public))));
    }

    #[test]
    fn a_forger_with_a_key_of_his_own_is_told() {
        let text = checkpoint().to_string();
        let public = key(1).public();
        // Another head under the same name of the key.
        let forged = text.replace("7:abab", "8:abab");
        assert_eq!(
            Checkpoint::verified(&forged, &public),
            Err(CheckpointError::Forged)
        );
        let newer = text.replace("checkpoint\":1", "checkpoint\":2");
        assert_eq!(
            Checkpoint::verified(&newer, &public),
            Err(CheckpointError::Newer(2))
        );
    }

    #[test]
    fn keys_survive_their_files_and_secrets_are_not_shown() {
        let key = key(3);
        let read = SigningKey::parse(&key.reveal()).expect("it was written so");
        assert_eq!(read.public(), key.public());
        let public: PublicKey = key.public().to_string().parse().expect("it was shown so");
        assert_eq!(public, key.public());
        let secret = key.reveal();
        let digits = secret.trim_end().rsplit(':').next().expect("digits");
        assert!(!format!("{key:?}").contains(digits));
        assert_eq!(SigningKey::parse("x").err(), Some(KeyError::Secret));
        assert_eq!("x".parse::<PublicKey>(), Err(KeyError::Public));
    }

    /// As version 1 wrote it; never made again.
    #[test]
    fn a_checkpoint_of_format_1_is_verified() {
        let text = include_str!("../tests/fixtures/checkpoint-v1/checkpoint.json");
        let public = include_str!("../tests/fixtures/checkpoint-v1/public-key.txt");
        let public = public.parse().expect("a key");
        let read = Checkpoint::verified(text, &public).expect("it is as signed");
        assert_eq!(read, checkpoint());
    }
}
