//! The file of tokens: `tokens.json`, format version 1, hashes only.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use phisync_state::Timestamp;
use phisync_state::env::{Disk, Entropy};
use phisync_state::env::{read_all, replace_file};
use serde::{Deserialize, Serialize};

use crate::protocol::TokenSummary;
use crate::runtime::DataPaths;

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

    /// Who holds this token; `None` for an unknown one.
    #[must_use]
    pub fn identify(&self, token: &str) -> Option<Caller> {
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
        Some(caller(entry.role, entry.name.clone()))
    }

    /// Makes a token and keeps its hash. The answer is the only time that it is seen.
    ///
    /// # Errors
    /// The file system's; the token is then not valid.
    pub fn create(
        &mut self,
        role: Role,
        name: Option<&str>,
        entropy: &mut dyn Entropy,
        now: Timestamp,
    ) -> Result<Secret, TokenStoreError> {
        let token = Secret::generate(entropy);
        let mut tokens = self.entries.clone();
        tokens.push(Entry {
            id: token.id().to_owned(),
            sha256: hash_token(token.reveal()),
            role,
            name: name.map(str::to_lowercase),
            created_at: now,
        });
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
        Ok(token)
    }

    /// All tokens but the owner's, without what makes them valid.
    #[must_use]
    pub fn list(&self) -> Vec<TokenSummary> {
        let entries = self.entries.iter().map(|entry| TokenSummary {
            id: entry.id.clone(),
            role: entry.role.as_str().to_owned(),
            name: entry.name.clone(),
            created_at: entry.created_at.to_string(),
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
            let temporary = path.with_extension("token.tmp");
            let line = format!("{}\n", token.reveal());
            replace_file(disk, &path, &temporary, line.as_bytes(), true)
                .map_err(|source| io_error("write", path, source))?;
            Ok(token)
        }
        Err(source) => Err(io_error("read", path, source)),
    }
}
