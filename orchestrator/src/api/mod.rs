//! The doors of the server.

pub mod http;
