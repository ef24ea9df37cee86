//! The commands of `README.md` and of the examples' pages, run in a place of their own.
//!
//! What builds the workspace is left to the gate; the rest is run as it stands there.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::page;
use crate::server::phisync;

/// A reader at a shell, who has `phisync` on the path.
pub(crate) struct Reader {
    pub(crate) directory: PathBuf,
    background: Vec<Child>,
}

impl Reader {
    /// One who begins in `directory`.
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            background: Vec::new(),
        }
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        // Takes over what `phisync` is told by its environment.
        let program = phisync();
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_phisync"))
            .parent()
            .expect("a directory");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
        shell
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .env("PHISYNC_LISTEN", "127.0.0.1:0")
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .args(["-c", line]);
        shell
    }

    /// Types one line; a `cd` at its end is followed.
    pub(crate) fn types(&mut self, line: &str) -> Output {
        let (line, moves_to) = match line.split_once("&& cd ") {
            Some((line, directory)) => (line, Some(directory.trim())),
            None => (line, None),
        };
        let output = self.shell(line).output().expect("a shell");
        self.directory.extend(moves_to);
        output
    }

    /// Types a line that ends in `&` and waits for its first words.
    pub(crate) fn types_in_background(&mut self, line: &str) {
        let line = format!("exec {}", line.trim_end_matches('&'));
        let mut child = self
            .shell(&line)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let stdout = child.stdout.take().expect("a pipe");
        let mut first = String::new();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut first).expect("a line");
        assert!(!first.is_empty(), "{line} said nothing");
        self.background.push(child);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for child in &mut self.background {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The commands of a block: what stands behind `$`, without remarks.
pub(crate) fn commands(block: &str) -> Vec<String> {
    let lines = block.lines().filter_map(|line| line.strip_prefix("$ "));
    lines
        .map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned())
        .collect()
}

#[test]
fn the_commands_under_use_it_in_the_readme_do_what_they_say() {
    let readme = page::text("README.md");
    let (_, part) = readme.split_once("## Use it\n").expect("the heading");
    let block = page::blocks(part).into_iter().next().expect("a block");
    let place = tempfile::tempdir().expect("a directory");
    let mut reader = Reader::at(place.path());
    let mut run: Option<String> = None;
    let commands = commands(&block.text);
    assert!(commands.len() > 5, "{commands:?}");
    for line in commands {
        if line.ends_with('&') {
            reader.types_in_background(&line);
            continue;
        }
        let line = match &run {
            Some(run) => line.replace("RUN", run),
            None => line,
        };
        let output = reader.types(&line);
        assert!(output.status.success(), "{line}: {output:?}");
        if line.starts_with("phisync run start") {
            let started = String::from_utf8_lossy(&output.stdout);
            run = started.split_whitespace().next().map(str::to_owned);
        }
    }
    let run = run.expect("a run was started");
    let output = reader.types(&format!("phisync run result {run}"));
    assert!(
        output.status.success(),
        "the run did not complete: {output:?}"
    );
}

/// The commands of an example's page with the exit code that each ends with; `None` for one that
/// waits for a person.
type Endings = &'static [Option<i32>];

const EXAMPLES: [(&str, Endings); 5] = [
    ("otters", &[Some(0)]),
    ("release-approval", &[None, Some(0)]),
    ("repo-audit", &[Some(0), Some(0)]),
    ("shell-agents", &[Some(0)]),
    ("trip-saga", &[Some(1), Some(0)]),
];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn the_commands_on_the_pages_of_the_examples_end_as_they_say() {
    let place = tempfile::tempdir().expect("a directory");
    for folder in ["docs", "examples"] {
        copy(&page::repository().join(folder), &place.path().join(folder));
    }
    let mut reader = Reader {
        directory: place.path().to_owned(),
        background: Vec::new(),
    };
    for (example, endings) in EXAMPLES {
        let page = page::text(&format!("examples/{example}/README.md"));
        let block = page::blocks(&page).into_iter().next().expect("a block");
        let lines: Vec<&str> = block.text.lines().collect();
        assert_eq!(lines.len(), endings.len(), "{example}");
        for (line, ending) in lines.into_iter().zip(endings) {
            let line = line.replace("cargo run -- ", "phisync ");
            assert!(line.starts_with("phisync exec "), "{line}");
            let Some(code) = ending else { continue };
            let output = reader.types(&line);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(*code), "{line}\n{said}");
        }
    }
}
