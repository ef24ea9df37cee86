//! Who is calling. Identity comes from a bearer token and from nothing else.
//!
//! The owner's token lies in the data directory, readable by the owner alone; everybody else's is
//! shown once and kept as a hash.

mod store;
mod token;

use crate::coordinator::Decider;

pub use store::{TokenStore, TokenStoreError};
pub use token::{Secret, hash_token};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, and acting as anybody.
    Admin,
    /// Starting and ending runs, and incidents.
    Operator,
    /// Deciding approvals, as the person named.
    Person,
    /// Doing tasks, as the agent named.
    Agent,
    /// Looking.
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Operator,
        Self::Person,
        Self::Agent,
        Self::Viewer,
    ];

    /// All of them, as users write them.
    pub const WORDS: [&'static str; 5] = ["admin", "operator", "person", "agent", "viewer"];

    /// From a user's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "admin" => Some(Self::Admin),
            "operator" => Some(Self::Operator),
            "person" | "approver" => Some(Self::Person),
            "agent" => Some(Self::Agent),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }

    /// As users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Person => "person",
            Self::Agent => "agent",
            Self::Viewer => "viewer",
        }
    }

    /// Whether a token of this role belongs to somebody by name.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Person | Self::Agent)
    }
}

/// A caller whose token was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it may do.
    pub role: Role,
    /// Whose token it is; lower-case.
    pub name: Option<String>,
    /// Whom the owner acts as; lower-case.
    pub acting_as: Option<String>,
}

/// Why a caller may not do a thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(pub String);

impl Caller {
    /// The name that is journalled.
    #[must_use]
    pub fn display(&self) -> &str {
        let name = self.acting_as.as_deref().or(self.name.as_deref());
        name.unwrap_or(match self.role {
            Role::Admin => "owner",
            role => role.as_str(),
        })
    }

    /// The agent that calls, or that the owner acts as.
    ///
    /// # Errors
    /// Another role, or an owner who does not say as whom.
    pub fn agent(&self) -> Result<String, NotAllowed> {
        match (self.role, &self.name, &self.acting_as) {
            (Role::Agent, Some(name), _) | (Role::Admin, _, Some(name)) => Ok(name.clone()),
            (Role::Admin, _, None) => Err(NotAllowed(
                "say which agent you are: the owner acts as one with the header `Phisync-Agent: \
                 NAME` (on the command line, `--as NAME`)"
                    .to_owned(),
            )),
            (role, ..) => Err(NotAllowed(format!(
                "this is for agents, and the token is of role `{}`",
                role.as_str()
            ))),
        }
    }

    /// Who decides an approval. `is_person` tells declared people from agents.
    ///
    /// # Errors
    /// A role that decides nothing.
    pub fn decider(&self, is_person: impl Fn(&str) -> bool) -> Result<Decider, NotAllowed> {
        match (self.role, &self.name, &self.acting_as) {
            (Role::Admin, _, None) => Ok(Decider::Owner),
            (Role::Admin, _, Some(name)) if is_person(name) => Ok(Decider::Person(name.clone())),
            (Role::Person, Some(name), _) => Ok(Decider::Person(name.clone())),
            (Role::Admin, _, Some(name)) | (Role::Agent, Some(name), _) => {
                Ok(Decider::Agent(name.clone()))
            }
            (role, ..) => Err(NotAllowed(format!(
                "approvals are decided by people, and the token is of role `{}`",
                role.as_str()
            ))),
        }
    }

    /// Whoever may start and end runs.
    ///
    /// # Errors
    /// Another role.
    pub fn operator(&self) -> Result<(), NotAllowed> {
        match self.role {
            Role::Admin | Role::Operator => Ok(()),
            role @ (Role::Person | Role::Agent | Role::Viewer) => Err(NotAllowed(format!(
                "this is for operators, and the token is of role `{}`",
                role.as_str()
            ))),
        }
    }

    /// Whoever does anything here, not only looks.
    ///
    /// # Errors
    /// A viewer.
    pub fn member(&self) -> Result<(), NotAllowed> {
        match self.role {
            Role::Admin | Role::Operator | Role::Person | Role::Agent => Ok(()),
            Role::Viewer => Err(NotAllowed(
                "this changes something, and the token is a viewer's".to_owned(),
            )),
        }
    }

    /// The owner alone.
    ///
    /// # Errors
    /// Another role.
    pub fn admin(&self) -> Result<(), NotAllowed> {
        match self.role {
            Role::Admin => Ok(()),
            role @ (Role::Operator | Role::Person | Role::Agent | Role::Viewer) => {
                Err(NotAllowed(format!(
                    "this is for the owner, and the token is of role `{}`",
                    role.as_str()
                )))
            }
        }
    }
}
