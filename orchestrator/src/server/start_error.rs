//! Why a server does not start: in words, as an exit code, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use phisync_agents::registry::RegistryError;
use phisync_state::transaction::RootsError;
use phisync_state::{FsckError, Head, OpenError, ReadError};

use crate::identity::TokenStoreError;

/// Why a server did not start. Nothing was changed, but for a torn tail that was cut.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An address that other machines reach.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The journal does not go through a head that was seen before.
    #[error("the data directory is not the one that `{expected}` was seen in: {how}")]
    RolledBack {
        /// That head.
        expected: Head,
        /// How it shows.
        how: &'static str,
    },
    /// The directory cannot be held against a head.
    #[error(transparent)]
    Fsck(#[from] FsckError),
    /// The store opened but cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The team cannot be read.
    #[error(transparent)]
    Agents(#[from] RegistryError),
    /// The file of the team cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    AgentsFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenStoreError),
    /// A working tree that is not there.
    #[error("cannot use the root `{}`: {source}", path.display())]
    Root {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A working tree that cannot be declared.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A run id that is none.
    #[error("`{0}` is not a run id")]
    BadRunId(String),
    /// The system refuses a thread or a file.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl StartError {
    /// The exit code of a program that ends with this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. }
            | Self::NotLoopback(_)
            | Self::BadRunId(_)
            | Self::Roots(_)
            | Self::Root { .. } => 2,
            Self::Store(OpenError::NotUsable { .. }) => 74,
            Self::Store(OpenError::Held { .. }) => 75,
            Self::Store(OpenError::Corrupt(_)) | Self::Read(ReadError::Corrupt { .. }) => 76,
            Self::RolledBack { .. } => 77,
            Self::Fsck(FsckError::Corrupt(_)) => 76,
            Self::Fsck(FsckError::Io { .. }) => 74,
            Self::Fsck(FsckError::Newer { .. })
            | Self::Store(OpenError::Newer { .. })
            | Self::Read(ReadError::Newer { .. }) => 78,
            Self::Agents(_) => 6,
            Self::AgentsFile { .. } => 3,
            Self::Tokens(_) | Self::Read(ReadError::Io { .. }) | Self::System { .. } => 74,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there; `--listen 127.0.0.1:0` picks a free port"
            }
            Self::NotLoopback(_) => {
                "tokens would cross the network in plain text; listen on 127.0.0.1 and put a \
                 TLS proxy in front"
            }
            Self::Store(OpenError::Held { .. }) => {
                "commands talk to the running server by themselves; stop it to open the \
                 directory otherwise"
            }
            Self::Store(OpenError::NotUsable { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                "nothing was changed; `phisync serve --read-only` shows what is in it"
            }
            Self::Store(OpenError::Corrupt(_)) | Self::Read(ReadError::Corrupt { .. }) => {
                "nothing was changed; `phisync doctor` says what can be done"
            }
            Self::RolledBack { .. } => {
                "an older copy of the directory was put back, or it is another one; nothing was \
                 changed"
            }
            Self::Store(OpenError::Newer { .. }) | Self::Read(ReadError::Newer { .. }) => {
                "use the newer phisync that wrote it"
            }
            Self::Agents(error) => return error.hint.clone(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}
