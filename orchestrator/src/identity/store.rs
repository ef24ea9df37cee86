//! The file of tokens: `tokens.json`, format version 1, hashes only.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use phisync_state::Timestamp;
use phisync_state::env::{Disk, Entropy};
use phisync_state::env::{read_all, replace_file};
use serde::{Deserialize, Serialize};

use crate::paths::DataPaths;
use crate::protocol::TokenSummary;

use super::{Caller, Role, Secret, hash_token};

/// Far more than anybody needs.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    id: String,
    sha256: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    phisync_tokens: u32,
    tokens: Vec<Entry>,
}

/// Why tokens cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    /// The file system's word.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` is not a file of tokens: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// How it shows.
        reason: String,
    },
}

/// All tokens of a data directory.
pub struct TokenStore {
    disk: Arc<dyn Disk>,
    paths: DataPaths,
    admin: Secret,
    admin_hash: String,
    entries: Vec<Entry>,
}

impl TokenStore {
    /// Reads the tokens; makes the owner's if there is none yet.
    ///
    /// # Errors
    /// See [`TokenStoreError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        paths: DataPaths,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, TokenStoreError> {
        let admin = owners_token(&*disk, &paths, entropy)?;
        let path = paths.tokens_json();
        let entries = match read_all(&*disk, &path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(io_error("read", path, source)),
            Ok(bytes) => {
                let file = serde_json::from_slice::<File>(&bytes);
                let file = file.map_err(|error| TokenStoreError::Malformed {
                    path,
                    reason: error.to_string(),
                })?;
                file.tokens
            }
        };
        Ok(Self {
            admin_hash: hash_token(admin.reveal()),
            disk,
            paths,
            admin,
            entries,
        })
    }

    /// The owner's token.
    #[must_use]
    pub fn admin(&self) -> &Secret {
        &self.admin
    }

    /// Who holds this token; `None` for one that is unknown, was revoked or has expired by `now`.
    #[must_use]
    pub fn identify(&self, token: &str, now: Timestamp) -> Option<Caller> {
        let hash = hash_token(token);
        let caller = |role, name| Caller {
            role,
            name,
            acting_as: None,
        };
        if hash == self.admin_hash {
            return Some(caller(Role::Admin, None));
        }
        let entry = self.entries.iter().find(|entry| entry.sha256 == hash)?;
        if entry.expires_at.is_some_and(|end| end <= now) {
            return None;
        }
        Some(caller(entry.role, entry.name.clone()))
    }

    /// Makes a token and keeps its hash. The answer is the only time that it is seen. It is valid until
    /// `expires_at`, or until it is revoked.
    ///
    /// # Errors
    /// The file system's; the token is then not valid.
    pub fn create(
        &mut self,
        role: Role,
        name: Option<&str>,
        entropy: &mut dyn Entropy,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<Secret, TokenStoreError> {
        let token = Secret::generate(entropy);
        let mut tokens = self.entries.clone();
        tokens.push(Entry {
            id: token.id().to_owned(),
            sha256: hash_token(token.reveal()),
            role,
            name: name.map(str::to_lowercase),
            created_at: now,
            expires_at,
        });
        self.keep(tokens)?;
        Ok(token)
    }

    /// Ends a token; from now on it identifies nobody. `false`: there is none of that id.
    ///
    /// # Errors
    /// The file system's; the token is then still valid.
    pub fn revoke(&mut self, id: &str) -> Result<bool, TokenStoreError> {
        let mut tokens = self.entries.clone();
        tokens.retain(|entry| entry.id != id);
        if tokens.len() == self.entries.len() {
            return Ok(false);
        }
        self.keep(tokens)?;
        Ok(true)
    }

    /// Whose a token is: its role, and for a personal one the name.
    #[must_use]
    pub fn owner_of(&self, id: &str) -> Option<(Role, Option<&str>)> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        Some((entry.role, entry.name.as_deref()))
    }

    /// Ends every token of one agent or person; how many there were.
    ///
    /// # Errors
    /// The file system's; the tokens are then still valid.
    pub fn revoke_all_of(&mut self, role: Role, name: &str) -> Result<usize, TokenStoreError> {
        let name = name.to_lowercase();
        let mut tokens = self.entries.clone();
        tokens.retain(|entry| entry.role != role || entry.name.as_ref() != Some(&name));
        let ended = self.entries.len() - tokens.len();
        if ended > 0 {
            self.keep(tokens)?;
        }
        Ok(ended)
    }

    /// Puts a new token in the place of another, for the same role and name and until the same end; the old
    /// one identifies nobody from now on. `None`: there is none of that id.
    ///
    /// # Errors
    /// The file system's; the old token is then still the valid one.
    pub fn rotate(
        &mut self,
        id: &str,
        entropy: &mut dyn Entropy,
        now: Timestamp,
    ) -> Result<Option<Secret>, TokenStoreError> {
        let token = Secret::generate(entropy);
        if id == self.admin.id() {
            write_owners_token(&*self.disk, &self.paths, &token)?;
            self.admin_hash = hash_token(token.reveal());
            self.admin = token.clone();
            return Ok(Some(token));
        }
        let mut tokens = self.entries.clone();
        let Some(entry) = tokens.iter_mut().find(|entry| entry.id == id) else {
            return Ok(None);
        };
        entry.id = token.id().to_owned();
        entry.sha256 = hash_token(token.reveal());
        entry.created_at = now;
        self.keep(tokens)?;
        Ok(Some(token))
    }

    /// Puts `tokens` in the place of those that are valid.
    fn keep(&mut self, tokens: Vec<Entry>) -> Result<(), TokenStoreError> {
        let file = File {
            phisync_tokens: 1,
            tokens,
        };
        let path = self.paths.tokens_json();
        let bytes =
            serde_json::to_vec_pretty(&file).map_err(|error| TokenStoreError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        let temporary = path.with_extension("json.tmp");
        replace_file(&*self.disk, &path, &temporary, &bytes, true)
            .map_err(|source| io_error("write", path, source))?;
        self.entries = file.tokens;
        Ok(())
    }

    /// All tokens but the owner's, without what makes them valid.
    #[must_use]
    pub fn list(&self) -> Vec<TokenSummary> {
        let entries = self.entries.iter().map(|entry| TokenSummary {
            id: entry.id.clone(),
            role: entry.role.as_str().to_owned(),
            name: entry.name.clone(),
            created_at: entry.created_at.to_string(),
            expires_at: entry.expires_at.map(|end| end.to_string()),
        });
        entries.collect()
    }
}

fn io_error(verb: &'static str, path: PathBuf, source: io::Error) -> TokenStoreError {
    TokenStoreError::Io { verb, path, source }
}

fn owners_token(
    disk: &dyn Disk,
    paths: &DataPaths,
    entropy: &mut dyn Entropy,
) -> Result<Secret, TokenStoreError> {
    let path = paths.admin_token();
    match read_all(disk, &path, 4096) {
        Ok(bytes) => {
            // What is no text is no token either, and too short without it.
            let text = String::from_utf8(bytes).unwrap_or_default();
            if text.trim().len() < 32 {
                return Err(TokenStoreError::Malformed {
                    path,
                    reason: "the owner's token is cut short; remove the file to get a new one"
                        .to_owned(),
                });
            }
            Ok(Secret::from_text(&text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let token = Secret::generate(entropy);
            write_owners_token(disk, paths, &token)?;
            Ok(token)
        }
        Err(source) => Err(io_error("read", path, source)),
    }
}

fn write_owners_token(
    disk: &dyn Disk,
    paths: &DataPaths,
    token: &Secret,
) -> Result<(), TokenStoreError> {
    let path = paths.admin_token();
    let temporary = path.with_extension("token.tmp");
    let line = format!("{}\n", token.reveal());
    replace_file(disk, &path, &temporary, line.as_bytes(), true)
        .map_err(|source| io_error("write", path, source))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use phisync_state::Timestamp;
    use phisync_state::env::{Disk as _, SeededEntropy, SimDisk};

    use super::{Role, TokenStore};
    use crate::paths::DataPaths;

    fn open(disk: &SimDisk) -> TokenStore {
        let paths = DataPaths::new(PathBuf::from("/data"));
        let shared = Arc::new(disk.clone());
        TokenStore::open(shared, paths, &mut SeededEntropy::new(1)).expect("tokens")
    }

    fn disk() -> SimDisk {
        let disk = SimDisk::new();
        disk.make_dir("/data".as_ref()).expect("a directory");
        disk
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);
    const LATER: Timestamp = Timestamp::from_micros(2_000_000);

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked_and_after_a_restart_alike() {
        let disk = disk();
        let mut dice = SeededEntropy::new(2);
        let mut tokens = open(&disk);
        let kept = tokens.create(Role::Agent, Some("WEBC"), &mut dice, NOW, Some(LATER));
        let kept = kept.expect("a token");
        let gone = tokens
            .create(Role::Viewer, None, &mut dice, NOW, None)
            .expect("a token");
        assert!(tokens.identify(gone.reveal(), NOW).is_some());
        assert!(tokens.revoke(gone.id()).expect("written"));
        assert!(!tokens.revoke(gone.id()).expect("nothing to write"));
        for tokens in [tokens, open(&disk)] {
            let caller = tokens.identify(kept.reveal(), NOW).expect("known");
            assert_eq!(caller.name.as_deref(), Some("webc"));
            assert!(tokens.identify(kept.reveal(), LATER).is_none());
            assert!(tokens.identify(gone.reveal(), NOW).is_none());
        }
    }

    #[test]
    fn a_rotated_token_keeps_its_role_and_the_old_one_is_worth_nothing() {
        let disk = disk();
        let mut dice = SeededEntropy::new(2);
        let mut tokens = open(&disk);
        let old = tokens
            .create(Role::Operator, None, &mut dice, NOW, None)
            .expect("a token");
        let owner = tokens.admin().clone();
        for (old, role) in [(old, Role::Operator), (owner, Role::Admin)] {
            let new = tokens.rotate(old.id(), &mut dice, LATER).expect("written");
            let new = new.expect("a token of that id");
            for tokens in [&tokens, &open(&disk)] {
                assert!(tokens.identify(old.reveal(), LATER).is_none());
                let caller = tokens.identify(new.reveal(), LATER).expect("known");
                assert_eq!(caller.role, role);
            }
        }
        assert!(
            tokens
                .rotate("phs_00000000", &mut dice, NOW)
                .expect("read")
                .is_none()
        );
    }
}
