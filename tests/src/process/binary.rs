//! The binary under test, built once by whoever asks first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the build of this very test lies.
#[derive(Debug)]
pub struct BuildPlace {
    /// The target directory.
    pub target: PathBuf,
    /// Its part for this profile, where binaries are.
    profile: PathBuf,
}

impl BuildPlace {
    /// From the path of this executable: `TARGET/PROFILE/deps/it-HASH`.
    ///
    /// # Panics
    /// When this is no test that cargo built.
    #[must_use]
    pub fn of_this_test() -> Self {
        let this = std::env::current_exe().expect("a test knows its own executable");
        let mut above = this.ancestors().skip(2).map(Path::to_owned);
        let profile = above
            .next()
            .expect("a test lies two levels below its profile");
        let target = above.next().expect("a profile lies in a target directory");
        Self { target, profile }
    }

    fn profile_name(&self) -> String {
        let name = self.profile.file_name().unwrap_or_default();
        match name.to_string_lossy().as_ref() {
            "debug" => "dev".to_owned(),
            name => name.to_owned(),
        }
    }
}

/// The path of `phisync`, of this profile and of the sources as they are now.
///
/// # Panics
/// When it does not build.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let place = BuildPlace::of_this_test();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let built = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--package",
                "phisync",
                "--bin",
                "phisync",
            ])
            .args(["--profile", &place.profile_name()])
            .arg("--target-dir")
            .arg(&place.target)
            .status();
        let built = built.expect("cargo can be started");
        assert!(built.success(), "`phisync` does not build: {built}");
        let name = format!("phisync{}", std::env::consts::EXE_SUFFIX);
        place.profile.join(name)
    })
}
