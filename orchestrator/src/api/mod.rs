//! The doors of the server.

pub mod http;
pub mod mcp;
