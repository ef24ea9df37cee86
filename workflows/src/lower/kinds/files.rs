//! `files`: changes of several files as one.

use std::time::Duration;

use super::super::Cx;
use super::super::fields::{IdForm, excluded};
use super::super::keys::{CHANGE, EXPECT, FILES, PARTICIPANT};
use super::unread;
use crate::diagnostic::Note;
use crate::machine::{
    FileChange, FileExpect, FileLock, FileOp, FilesSpec, OnConflict, Participant,
};
use crate::source::Span;
use crate::syntax::{Entry, Kind, Map, Node};

const PREPARE_TIMEOUT: Duration = Duration::from_secs(300);

impl FilesSpec {
    /// What puts back the files of a step.
    pub(super) const REVERT: Self = Self {
        participants: Vec::new(),
        changes: Vec::new(),
        allow: Vec::new(),
        lock: FileLock::Exclusive,
        prepare_timeout: PREPARE_TIMEOUT,
        // Somebody has changed a file since: waiting does not take that back.
        on_conflict: OnConflict::Fail,
        reverts: true,
    };
}

/// The name of the participant that a plain `root` makes.
const PLAIN: &str = "root";

pub(super) fn read(cx: &mut Cx<'_>, entry: &Entry) -> Option<FilesSpec> {
    let map = cx.map("files", &entry.value)?;
    cx.keys(map, &FILES);
    let participants = participants(cx, map, entry.key_span);
    let allow = match map.get("allow") {
        None => Vec::new(),
        Some(allow) => cx.names("allow", &allow.value),
    };
    let allow = allow.into_iter().map(|(glob, _)| glob).collect();
    let changes = match map.get("changes") {
        None => {
            let example = "changes: [{ path: PATH, op: write, content: TEXT }]";
            cx.missing("`files`", "changes", entry.key_span, example);
            Vec::new()
        }
        Some(changes) => read_changes(cx, &changes.value, &participants),
    };
    let lock = map.get("lock").and_then(|entry| {
        let choices = [("exclusive", FileLock::Exclusive), ("none", FileLock::None)];
        cx.one_of("lock", &entry.value, &choices)
    });
    let prepare_timeout = map
        .get("prepare_timeout")
        .and_then(|entry| cx.duration("prepare_timeout", &entry.value));
    let on_conflict = map.get("on_conflict").and_then(|entry| {
        let choices = [("fail", OnConflict::Fail), ("retry", OnConflict::Retry)];
        cx.one_of("on_conflict", &entry.value, &choices)
    });
    if participants.is_empty() || changes.is_empty() {
        return None;
    }
    Some(FilesSpec {
        participants,
        changes,
        allow,
        lock: lock.unwrap_or(FileLock::Exclusive),
        prepare_timeout: prepare_timeout.unwrap_or(PREPARE_TIMEOUT),
        on_conflict: on_conflict.unwrap_or(OnConflict::Fail),
        reverts: false,
    })
}

fn participants(cx: &mut Cx<'_>, map: &Map, key_span: Span) -> Vec<Participant> {
    let Some(written) = cx.one_key(map, "`files`", &["root", "participants"], key_span) else {
        return Vec::new();
    };
    if written.key == "root" {
        return root(cx, PLAIN, &written.value).into_iter().collect();
    }
    let Some(fields) = cx.map("participants", &written.value) else {
        return Vec::new();
    };
    if fields.entries.is_empty() {
        cx.empty("participants", written.value.span);
    }
    let mut participants = Vec::with_capacity(fields.entries.len());
    for field in &fields.entries {
        cx.id(&field.key, field.key_span, IdForm::Snake);
        let Some(inner) = cx.map(&field.key, &field.value) else {
            continue;
        };
        cx.keys(inner, &PARTICIPANT);
        match inner.get("root") {
            Some(entry) => participants.extend(root(cx, &field.key, &entry.value)),
            None => cx.missing("a participant", "root", field.key_span, "root: FOLDER"),
        }
    }
    participants
}

fn root(cx: &mut Cx<'_>, name: &str, node: &Node) -> Option<Participant> {
    cx.name("root", node)?;
    let root = cx.literal("root", node)?;
    Some(Participant {
        name: name.to_owned(),
        root,
    })
}

fn read_changes(cx: &mut Cx<'_>, node: &Node, participants: &[Participant]) -> Vec<FileChange> {
    let Some(items) = node.as_seq() else {
        cx.wrong_type("changes", "a list of changes", node);
        return Vec::new();
    };
    if items.is_empty() {
        cx.empty("changes", node.span);
    }
    let changes = items.iter().filter_map(|item| {
        let map = cx.map("changes", item)?;
        cx.keys(map, &CHANGE);
        change(cx, map, item.span, participants)
    });
    changes.collect()
}

fn change(
    cx: &mut Cx<'_>,
    map: &Map,
    span: Span,
    participants: &[Participant],
) -> Option<FileChange> {
    let first = map.entries.first().map_or(span, |entry| entry.key_span);
    if map.get("path").is_none() {
        cx.missing("a change", "path", first, "path: PATH");
    }
    let op = match map.get("op") {
        Some(entry) => op(cx, map, entry),
        None => {
            cx.missing("a change", "op", first, "op: write");
            None
        }
    };
    let participant = participant(cx, map, first, participants);
    let mode = map.get("mode").and_then(|entry| mode(cx, &entry.value));
    let expect = map.get("expect").and_then(|entry| expect(cx, entry));
    Some(FileChange {
        participant: participant?,
        path: unread(),
        op: op?,
        expect,
        mode,
    })
}

fn op(cx: &mut Cx<'_>, map: &Map, entry: &Entry) -> Option<FileOp> {
    const VALUES: [&str; 3] = ["content", "patch", "to"];
    let choices = [
        ("write", Some("content")),
        ("patch", Some("patch")),
        ("delete", None),
        ("move", Some("to")),
        ("mkdir", None),
    ];
    let value = cx.one_of("op", &entry.value, &choices)?;
    let op = entry.value.as_str().unwrap_or_default();
    for key in VALUES.iter().filter(|key| Some(**key) != value) {
        if let Some(other) = map.get(key) {
            let message = format!("`{key}` does not apply to `op: {op}`");
            cx.sink.push(Note::error("PHI107", other.key_span, message));
        }
    }
    if let Some(key) = value
        && map.get(key).is_none()
    {
        let place = format!("`op: {op}`");
        cx.missing(&place, key, entry.value.span, &format!("{key}: VALUE"));
        return None;
    }
    Some(match op {
        "write" => FileOp::Write(unread()),
        "patch" => FileOp::Patch(unread()),
        "move" => FileOp::Move(unread()),
        "mkdir" => FileOp::MakeDir,
        _ => FileOp::Delete,
    })
}

fn participant(
    cx: &mut Cx<'_>,
    map: &Map,
    first: Span,
    participants: &[Participant],
) -> Option<usize> {
    let Some(entry) = map.get("in") else {
        return match participants {
            [] => None,
            [_] => Some(0),
            _ => {
                let example = format!("in: {}", participants[0].name);
                cx.missing("a change", "in", first, &example);
                None
            }
        };
    };
    let name = cx.name("in", &entry.value)?;
    let found = participants.iter().position(|known| known.name == name);
    if found.is_none() && !participants.is_empty() {
        let span = entry.value.span;
        let known = participants.iter().map(|known| known.name.as_str());
        let mut note = Note::error("PHI711", span, format!("unknown participant `{name}`"));
        note = match cx.nearest(&name, known) {
            Some(near) => note
                .label(format!("did you mean `{near}`?"))
                .edit(span, near),
            None => note.help("declare it in `participants`"),
        };
        cx.sink.push(note);
    }
    found
}

/// Permission bits, in octal digits.
fn mode(cx: &mut Cx<'_>, node: &Node) -> Option<u32> {
    let scalar = node.as_scalar()?;
    let mode = u32::from_str_radix(&scalar.text, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o777 && scalar.kind == Kind::Str);
    if mode.is_none() {
        let mut note = Note::error(
            "PHI104",
            node.span,
            format!("`{}` is not a mode", scalar.text),
        )
        .help("write the permission bits as a quoted octal number: `mode: \"755\"`");
        let octal = scalar.text.len() <= 4
            && !scalar.text.is_empty()
            && scalar.text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if octal && scalar.kind != Kind::Str {
            note = note.edit(node.span, format!("\"{}\"", scalar.text));
        }
        cx.sink.push(note);
    }
    mode
}

fn expect(cx: &mut Cx<'_>, entry: &Entry) -> Option<FileExpect> {
    let map = cx.map("expect", &entry.value)?;
    cx.keys(map, &EXPECT);
    if let (Some(sha256), Some(exists)) = (map.get("sha256"), map.get("exists")) {
        let (first, second) = (("sha256", sha256.key_span), ("exists", exists.key_span));
        cx.sink.push(excluded(second, first, "says that it exists"));
    }
    if map.get("sha256").is_some() {
        return Some(FileExpect::Sha256(unread()));
    }
    let Some(exists) = map.get("exists") else {
        let example = "exists: true` or `sha256: DIGEST";
        cx.missing("`expect`", "exists", entry.key_span, example);
        return None;
    };
    cx.boolean("exists", &exists.value).map(FileExpect::Exists)
}
