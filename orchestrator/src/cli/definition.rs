//! A workflow file on its way to a machine: read, compiled, its diagnostics shown.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use phisync_workflows::{
    Catalog, CatalogWorkflow, Compiled, Machine, Severity, SourceText, compile_beside, render,
};

use super::exit_code::ExitCode;
use super::output::Output;
use super::report::{Report, plain};

/// The name that stands for standard input.
const STDIN: &str = "-";

/// A workflow file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {}", path.display(), plain(cause))]
pub(crate) struct ReadError {
    path: PathBuf,
    cause: io::Error,
}

/// Reads the text of a workflow file; `-` is standard input.
///
/// # Errors
/// When it cannot be read. What is not UTF-8 is the compiler's to complain about.
pub(crate) fn read(path: &Path) -> Result<SourceText, ReadError> {
    let failed = |cause| ReadError {
        path: path.to_owned(),
        cause,
    };
    if is_stdin(path) {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(SourceText::from_bytes("<stdin>", bytes));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    Ok(SourceText::from_bytes(path.display().to_string(), bytes))
}

/// Puts `text` into the place of a workflow file: whole or not at all. A link keeps its target, and the
/// file its permissions.
///
/// # Errors
/// For standard input, and when the file cannot be written; it is as it was then.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Report> {
    if is_stdin(path) {
        let message = "standard input cannot be written";
        return Err(Report::new(ExitCode::Usage, message).hint("name a file"));
    }
    let failed = |cause: io::Error| {
        let message = format!("cannot write `{}`: {}", path.display(), plain(&cause));
        Report::new(ExitCode::Unusable, message)
    };
    let target = path.canonicalize().map_err(failed)?;
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(".phisync-new");
    let beside = target.with_file_name(name);
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::metadata(&target))
        .and_then(|known| std::fs::set_permissions(&beside, known.permissions()))
        .and_then(|()| std::fs::rename(&beside, &target));
    written.map_err(|cause| {
        // The copy is of no use; that it could not be removed either changes nothing.
        drop(std::fs::remove_file(&beside));
        failed(cause)
    })
}

/// The one workflow in `path`, compiled. Errors and warnings go to stderr; remarks are for `check`.
///
/// # Errors
/// When the file cannot be read, has errors, or does not hold exactly one workflow.
pub(crate) fn machine(output: &Output, path: &Path) -> Result<Machine, Report> {
    machine_beside(output, &read(path)?, None, &[])
}

/// The one workflow of a text, compiled beside those of others.
///
/// # Errors
/// As for [`machine`].
pub(crate) fn machine_beside(
    output: &Output,
    source: &SourceText,
    catalog: Option<&Catalog>,
    others: &[CatalogWorkflow],
) -> Result<Machine, Report> {
    let compiled = told(output, source, catalog, others)?;
    only(source.name(), compiled)
}

/// All workflows of a text, compiled beside those of others.
///
/// # Errors
/// When there are errors, or no workflow.
pub(crate) fn machines(
    output: &Output,
    source: &SourceText,
    catalog: Option<&Catalog>,
    others: &[CatalogWorkflow],
) -> Result<Vec<Machine>, Report> {
    let compiled = told(output, source, catalog, others)?;
    match compiled.machines.len() {
        2.. if !compiled.has_errors() => Ok(compiled.machines),
        _ => Ok(vec![only(source.name(), compiled)?]),
    }
}

/// A text compiled, its errors and warnings told.
fn told(
    output: &Output,
    source: &SourceText,
    catalog: Option<&Catalog>,
    others: &[CatalogWorkflow],
) -> Result<Compiled, Report> {
    let compiled = compile_beside(source, catalog, others);
    let mut told = compiled.diagnostics.clone();
    told.retain(|diagnostic| diagnostic.severity != Severity::Info);
    if !told.is_empty() {
        output.say_painted(render::text(source, &told, output.color()).trim_end())?;
    }
    Ok(compiled)
}

/// Whether a file of the command line is standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

/// Whether a word of the command line means a file. No name of a workflow or a run has a dot or a
/// separator, so what has one was meant as a file even if it is not there.
pub(crate) fn is_file(word: &str) -> bool {
    word == STDIN || word.contains(['.', '/', '\\']) || Path::new(word).is_file()
}

/// The one workflow of a text, called `name`.
///
/// # Errors
/// When there are errors, no workflow, or several.
pub(crate) fn only(name: &str, compiled: Compiled) -> Result<Machine, Report> {
    if compiled.has_errors() {
        let message = format!("`{name}` is no valid workflow");
        return Err(Report::new(ExitCode::Invalid, message));
    }
    let mut machines = compiled.machines;
    match (machines.pop(), machines.len()) {
        (Some(machine), 0) => Ok(machine),
        (None, _) => {
            let message = format!("`{name}` holds no workflow");
            Err(Report::new(ExitCode::Invalid, message))
        }
        (Some(_), others) => {
            let message = format!("`{name}` holds {} workflows", others + 1);
            Err(Report::new(ExitCode::Invalid, message)
                .hint("put the one to run into a file of its own"))
        }
    }
}

impl From<ReadError> for Report {
    fn from(error: ReadError) -> Self {
        let exit = match error.cause.kind() {
            io::ErrorKind::NotFound => ExitCode::NotFound,
            _ => ExitCode::Unusable,
        };
        Self::new(exit, error)
    }
}
