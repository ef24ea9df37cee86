//! Tests of the whole system. A file per subject; the harness is the package's library.

#[cfg(unix)]
mod access;
mod asking;
#[cfg(unix)]
mod calls;
mod chaos;
#[cfg(unix)]
mod control;
mod coverage;
mod crashes;
#[cfg(unix)]
mod documents;
#[cfg(unix)]
mod durability;
#[cfg(unix)]
mod errors;
#[cfg(unix)]
mod examples;
#[cfg(unix)]
mod faults;
mod files;
#[cfg(target_os = "linux")]
mod full_disk;
mod hostile;
#[cfg(unix)]
mod language;
#[cfg(unix)]
mod lifecycle;
#[cfg(unix)]
mod locks;
#[cfg(unix)]
mod mailbox;
#[cfg(unix)]
mod mcp;
#[cfg(unix)]
mod mcp_clients;
mod membership;
mod orchestrators;
mod power;
mod proving;
#[cfg(unix)]
mod python;
#[cfg(unix)]
mod queue;
mod races;
#[cfg(unix)]
mod registering;
mod replay;
#[cfg(unix)]
mod reporting;
mod scenarios;
#[cfg(unix)]
mod secrets;
#[cfg(unix)]
mod segments;
#[cfg(unix)]
mod transactions;
mod wakers;
#[cfg(unix)]
mod wire;
#[cfg(unix)]
mod workers;
