//! The Model Context Protocol: the HTTP API in another coat.
//!
//! A tool, a resource and a prompt each become one request to `/v1`, asked through a [`Door`] that
//! knows who is asking; so what somebody may do is decided in one place, for every way in. This
//! module knows the protocol's shapes and no rule of runs, tasks or roles.

mod arguments;
mod door;
mod prompts;
mod resources;
mod server;
mod tools;

pub use door::{Answer, Ask, Door, DoorError, Identity};
pub use server::Server;
pub use tools::{Audience, catalogue};
