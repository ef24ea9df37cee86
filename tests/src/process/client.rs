//! Foreign programs that speak to a server: what `tests/clients/prepare` installs beside the build.

use std::path::{Path, PathBuf};

use super::binary::BuildPlace;

/// A program or directory that `prepare` installed; `None`, said aloud, if it did not.
///
/// # Panics
/// In CI, where nothing is skipped.
#[must_use]
pub fn client(what: &str) -> Option<PathBuf> {
    let path = BuildPlace::of_this_test().target.join("clients").join(what);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "`{}` is missing: run tests/clients/prepare",
        path.display()
    );
    eprintln!("skipped: run tests/clients/prepare for `{what}`");
    None
}

/// A file of `tests/clients`.
#[must_use]
pub fn client_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}
