//! Secrets: resolved on the machine of the worker, handed to the command in its environment, and
//! taken out of everything that it writes.
//!
//! A task only names them. `NAME` is looked up as the variable `PHISYNC_SECRET_NAME` (in capitals,
//! dashes as underscores) of the worker, then as a line `NAME=VALUE` of the file that
//! `PHISYNC_SECRETS_FILE` names, which only its owner may read. A command gets those that its task
//! names, and no others.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

const PREFIX: &str = "PHISYNC_SECRET_";
const FILE: &str = "PHISYNC_SECRETS_FILE";

/// Shorter values are not looked for in what a command writes: they are in every text.
const MASKED_FROM: usize = 4;

/// What stands in the place of a value.
const MASK: &[u8] = b"***";

/// Why a secret cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// Nobody said what it is.
    #[error("secret `{name}` is not known here: set `{variable}` where the agent runs")]
    Unknown { name: String, variable: String },
    /// The file cannot be used.
    #[error("cannot use the file of secrets `{path}`: {cause}")]
    File { path: String, cause: io::Error },
}

/// The secrets of one task.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    /// The variable and the value of each.
    values: Vec<(String, String)>,
}

impl Secrets {
    /// Looks up what a task names.
    pub(super) fn of(names: &[String]) -> Result<Self, SecretError> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let file = match env::var_os(FILE) {
            Some(path) => read(Path::new(&path)).map_err(|cause| SecretError::File {
                path: path.to_string_lossy().into_owned(),
                cause,
            })?,
            None => String::new(),
        };
        let values = names.iter().map(|name| {
            let variable = variable(name);
            let value = env::var(&variable).ok().or_else(|| in_file(&file, name));
            match value.filter(|value| !value.is_empty()) {
                Some(value) => Ok((variable, value)),
                None => Err(SecretError::Unknown {
                    name: name.clone(),
                    variable,
                }),
            }
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Self { values })
    }

    /// Puts them into the environment of a command, and takes all others out.
    pub(super) fn hand_to(&self, command: &mut Command) {
        let others = env::vars_os().map(|(name, _)| name);
        for name in others.filter(is_secret) {
            command.env_remove(name);
        }
        command.env_remove(FILE);
        command.envs(self.values.iter().cloned());
    }

    /// What a command wrote, without the values: as they are, and as JSON writes them.
    pub(super) fn mask(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.values.iter().fold(bytes, |bytes, (_, value)| {
            if value.len() < MASKED_FROM {
                return bytes;
            }
            let quoted = serde_json::Value::from(value.as_str()).to_string();
            let escaped = quoted.trim_matches('"').as_bytes();
            replaced(replaced(bytes, value.as_bytes()), escaped)
        })
    }
}

fn is_secret(name: &OsString) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

fn read(path: &Path) -> io::Result<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("others can read it: chmod 600"));
        }
    }
    fs::read_to_string(path)
}

fn in_file(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.starts_with('#'));
    lines.find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn replaced(bytes: Vec<u8>, value: &[u8]) -> Vec<u8> {
    if value.is_empty() || !bytes.windows(value.len()).any(|part| part == value) {
        return bytes;
    }
    let mut masked = Vec::with_capacity(bytes.len());
    let mut rest = &bytes[..];
    while let Some((first, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(value) {
            masked.extend_from_slice(MASK);
            rest = behind;
        } else {
            masked.push(*first);
            rest = behind;
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(value: &str) -> Secrets {
        Secrets {
            values: vec![(variable("scanner-token"), value.to_owned())],
        }
    }

    #[test]
    fn a_value_is_masked_as_it_is_and_as_json_writes_it() {
        let secrets = secrets("hun\"ter2");
        let said = br#"{"a": "hun\"ter2"} hun"ter2 hunter2"#.to_vec();
        let masked = String::from_utf8(secrets.mask(said)).expect("text");
        assert_eq!(masked, r#"{"a": "***"} *** hunter2"#);
    }

    #[test]
    fn a_value_that_is_in_every_text_is_left() {
        assert_eq!(secrets("a").mask(b"banana".to_vec()), b"banana");
    }

    #[test]
    fn a_line_of_the_file_is_a_name_and_its_value() {
        let text = "# ours\nother = x\nscanner-token = t=1 \n";
        assert_eq!(in_file(text, "scanner-token").as_deref(), Some("t=1"));
        assert_eq!(in_file(text, "scanner"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "a=b\n").expect("written");
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(file.path(), open).expect("its own file");
        let refused = read(file.path()).expect_err("others can read it");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}
