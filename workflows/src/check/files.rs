//! Changes of files: paths, and what protects the work of others.

use std::collections::BTreeMap;

use crate::diagnostic::Note;
use crate::lower::{Cx, StepDraft};
use crate::machine::{FileOp, FilesSpec, StepKind, Template};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// PHI708 to PHI712 and PHI804 of one step.
pub(super) fn step(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    let StepKind::Files(files) = &step.step.kind else {
        return;
    };
    participants(cx, step, files);
    whole_tree(cx, step);
    let mut written: BTreeMap<(usize, &str), Span> = BTreeMap::new();
    let mut computed = None;
    for (at, change) in files.changes.iter().enumerate() {
        let target = match &change.op {
            FileOp::Move(to) => Some((to, "to")),
            FileOp::Write(_) | FileOp::Patch(_) | FileOp::Delete | FileOp::MakeDir => None,
        };
        for (path, key) in std::iter::once((&change.path, "path")).chain(target) {
            let span = change_span(step, at, key);
            let Template::Literal(path) = path else {
                computed.get_or_insert(span);
                continue;
            };
            let Some(path) = path.as_str() else { continue };
            if leaves_root(path) {
                cx.sink.push(
                    Note::error("PHI708", span, format!("path `{path}` leaves its root"))
                        .help("paths are relative to the root of their tree, without `..`"),
                );
            }
            if let Some(first) = written.get(&(change.participant, path)) {
                cx.sink.push(
                    Note::error("PHI709", span, format!("`{path}` is changed twice"))
                        .also(*first, "first here")
                        .help("all changes of a step happen at once: make it one change"),
                );
            }
            written.entry((change.participant, path)).or_insert(span);
        }
        if change.expect.is_none() && !matches!(change.op, FileOp::MakeDir) {
            cx.sink.push(
                Note::warning(
                    "PHI710",
                    change_span(step, at, "path"),
                    "change without `expect`: somebody's update may be lost",
                )
                .help(
                    "say what must hold before: `expect: { sha256: ... }` or `{ exists: false }`",
                ),
            );
        }
    }
    if let Some(span) = computed.filter(|_| files.allow.is_empty()) {
        cx.sink.push(
            Note::error(
                "PHI712",
                span,
                format!(
                    "a path of `{}` is an expression, and `allow` is missing",
                    step.step.id
                ),
            )
            .help("`allow: [\"src/**\"]` says which paths it may become"),
        );
    }
}

/// PHI711, as a remark: one tree needs no names.
fn participants(cx: &mut Cx<'_>, step: &StepDraft<'_>, files: &FilesSpec) {
    let written = fields(step).and_then(|map| map.get("participants"));
    if let (Some(entry), [only]) = (written, files.participants.as_slice()) {
        cx.sink.push(
            Note::info(
                "PHI711",
                entry.key_span,
                "one participant: a plain transaction",
            )
            .help(format!("write `root: {}`", only.root)),
        );
    }
}

/// PHI804.
fn whole_tree(cx: &mut Cx<'_>, step: &StepDraft<'_>) {
    for glob in step.nested_items("files", "allow") {
        let text = glob.as_str().unwrap_or_default();
        if matches!(text.trim_start_matches("./"), "**" | "**/*" | "*") {
            cx.sink.push(
                Note::warning(
                    "PHI804",
                    glob.span,
                    format!("`{text}` covers the whole tree"),
                )
                .help("name the folders that the step is about, as `src/**`"),
            );
        }
    }
}

fn fields<'n>(step: &StepDraft<'n>) -> Option<&'n Map> {
    step.map.get("files")?.value.as_map()
}

/// The place of a key of a change, or of the change.
pub(super) fn change_span(step: &StepDraft<'_>, at: usize, key: &str) -> Span {
    let changes = step.nested_items("files", "changes");
    let Some(node) = changes.get(at) else {
        return step.id_span;
    };
    let value = Node::as_map(node).and_then(|map| map.get(key));
    value.map_or(node.span, |entry| entry.value.span)
}

/// Whether a path does not stay below the folder that it is relative to, on any system.
pub(super) fn leaves_root(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':');
    path.starts_with(['/', '\\', '~']) || drive || path.split(['/', '\\']).any(|part| part == "..")
}
