//! What the program says about itself while it works: events of `tracing`, on stderr.
//!
//! Set up once, by the command that runs. Not part of any command's answer: data goes through
//! `cli::output`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A level or a list of `target=level` that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{given}` is no log level: {cause}")]
pub(crate) struct LevelError {
    given: String,
    cause: tracing_subscriber::filter::ParseError,
}

/// Writes events of `level` and above to stderr; `level` is a word (`error warn info debug trace
/// off`) or directives such as `phisync=debug,hyper=warn`.
///
/// # Errors
/// When `level` is neither.
pub(crate) fn start(level: &str, color: bool) -> Result<(), LevelError> {
    let filter = EnvFilter::try_new(level).map_err(|cause| LevelError {
        given: level.escape_debug().to_string(),
        cause,
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .finish();
    // Only a test that calls two commands in one process gets here twice; the first one stands.
    if subscriber.try_init().is_err() {
        tracing::debug!("a subscriber is installed already");
    }
    Ok(())
}
