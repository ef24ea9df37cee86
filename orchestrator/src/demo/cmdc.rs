//! CMDC, who works at the command line: writes the audit report, and takes it away again.
//!
//! The report appears under its name whole or not at all. It is written into a directory below the
//! current one; nothing that somebody else wrote is replaced or removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Failure;
use super::report::{Item, Links, Measures, Plan, Report, Security};
use super::tree::sha256;

/// What the report is made of and where it goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// A directory below the current one; made if it is missing.
    out_dir: String,
    plan: Plan,
    measures: Measures,
    security: Security,
    /// Absent where the tree has no Markdown.
    #[serde(default)]
    links: Option<Links>,
    #[serde(default)]
    triage: Vec<Item>,
}

/// A written report.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    /// Relative to the current directory, with `/`.
    path: String,
    sha256: String,
    bytes: usize,
    summary: String,
}

/// Writes the report of run `run`. Doing it again changes nothing.
///
/// # Errors
/// `app.bad_path` if the directory is not one below the current directory, `app.report_exists` if
/// another file has the report's name.
pub(super) fn report(run: &str, order: &Order) -> Result<Written, Failure> {
    report_below(Path::new("."), run, order)
}

fn report_below(base: &Path, run: &str, order: &Order) -> Result<Written, Failure> {
    let report = Report {
        run,
        plan: &order.plan,
        measures: &order.measures,
        security: &order.security,
        links: order.links.as_ref(),
        triage: &order.triage,
    };
    let page = report.render();
    let name = file_name(run)?;
    let segments = segments(&order.out_dir)?;
    let directory = make_directories(base, &segments)?;
    let path = directory.join(&name);
    match fs::read(&path) {
        Ok(there) if there == page.as_bytes() => {}
        Ok(_) => {
            return Err(Failure::lasting(
                "app.report_exists",
                format!("`{name}` in `{}` is another file", order.out_dir),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_whole(&directory, &name, page.as_bytes())
                .map_err(|error| cannot("write", &name, &error))?;
        }
        Err(error) => return Err(cannot("read", &name, &error)),
    }
    let shown: Vec<&str> = segments.iter().copied().chain([name.as_str()]).collect();
    Ok(Written {
        path: shown.join("/"),
        sha256: sha256(page.as_bytes()),
        bytes: page.len(),
        summary: report.summary(),
    })
}

/// A report to take away, as `audit.report` described it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdrawal {
    /// Empty if no attempt is known to have written one.
    path: String,
    sha256: String,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(super) struct Withdrawn {
    /// False if there was nothing to remove any more.
    removed: bool,
}

/// Removes a report, if it is still the file that was written.
///
/// # Errors
/// `app.report_changed` if somebody changed it since: their work stays.
pub(super) fn unreport(withdrawal: &Withdrawal) -> Result<Withdrawn, Failure> {
    unreport_below(Path::new("."), withdrawal)
}

fn unreport_below(base: &Path, withdrawal: &Withdrawal) -> Result<Withdrawn, Failure> {
    let path = withdrawal.path.as_str();
    if path.is_empty() {
        return Ok(Withdrawn { removed: false });
    }
    let location = base.join(segments(path)?.iter().collect::<PathBuf>());
    let there = match fs::read(&location) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Withdrawn { removed: false });
        }
        Err(error) => return Err(cannot("read", path, &error)),
    };
    if sha256(&there) != withdrawal.sha256 {
        return Err(Failure::lasting(
            "app.report_changed",
            format!("`{path}` was changed since it was written, so it stays"),
        ));
    }
    fs::remove_file(&location).map_err(|error| cannot("remove", path, &error))?;
    Ok(Withdrawn { removed: true })
}

/// The run's id becomes part of a file name, so its shape is checked here too.
fn file_name(run: &str) -> Result<String, Failure> {
    let fits = (1..=63).contains(&run.len())
        && run
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    if !fits {
        return Err(Failure::lasting(
            "app.bad_path",
            format!("run id `{run}` is no part of a file name"),
        ));
    }
    Ok(format!("report-{run}.md"))
}

/// The names of a relative path that only goes down.
fn segments(path: &str) -> Result<Vec<&str>, Failure> {
    let refused = || {
        Failure::lasting(
            "app.bad_path",
            format!("`{path}` does not lead below the current directory"),
        )
    };
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or_else(refused)?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(refused());
            }
        }
    }
    if names.is_empty() {
        return Err(refused());
    }
    Ok(names)
}

/// Makes what is missing of `base/a/b/c`, for the owner alone. A symbolic link on the way could lead
/// out of `base` and is refused.
fn make_directories(base: &Path, segments: &[&str]) -> Result<PathBuf, Failure> {
    let mut directory = base.to_owned();
    for name in segments {
        directory.push(name);
        match owned_directory(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot("make", name, &error)),
        }
        let metadata =
            fs::symlink_metadata(&directory).map_err(|error| cannot("look at", name, &error))?;
        if !metadata.is_dir() {
            return Err(Failure::lasting(
                "app.bad_path",
                format!("`{name}` is not a directory"),
            ));
        }
    }
    Ok(directory)
}

#[cfg(unix)]
fn owned_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn owned_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Temporary file, sync, rename, sync of the directory. Two attempts of one task may write at the
/// same time: each has its own temporary file, and both write the same bytes.
fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, directory.join(name)));
    if let Err(error) = written {
        // The first error is the one to report; what is left is a hidden file of this process.
        drop(fs::remove_file(&temporary));
        return Err(error);
    }
    sync_directory(directory)
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Directories cannot be opened for syncing there.
#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn cannot(verb: &str, what: &str, error: &io::Error) -> Failure {
    Failure::lasting("app.report_io", format!("cannot {verb} `{what}`: {error}"))
}

#[cfg(test)]
mod tests;
