//! Transactions over several trees: seen whole or not at all, whatever goes wrong.

mod crashes;
mod format;
#[cfg(unix)]
mod links;
mod strangers;
mod world;
