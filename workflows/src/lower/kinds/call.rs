//! `call`: another workflow as a step.

use super::super::Cx;
use super::super::fields::IdForm;
use super::super::keys::CALL;
use crate::diagnostic::Note;
use crate::machine::{CallSpec, OnParentCancel, VersionRange};
use crate::syntax::{Entry, Node};

pub(super) fn read(cx: &mut Cx<'_>, entry: &Entry) -> Option<CallSpec> {
    // The name alone is short for a map with nothing else.
    if entry.value.as_str().is_some() {
        return Some(CallSpec {
            workflow: workflow(cx, "call", &entry.value)?,
            version: None,
            wait: true,
            on_parent_cancel: OnParentCancel::Cancel,
            unwinds: false,
        });
    }
    let map = cx.map("call", &entry.value)?;
    cx.keys(map, &CALL);
    let version = map.get("version").and_then(|entry| {
        let text = cx.name("version", &entry.value)?;
        match VersionRange::parse(&text) {
            Ok(range) => Some(range),
            Err(problem) => {
                cx.sink.push(
                    Note::error(
                        "PHI104",
                        entry.value.span,
                        format!("`{text}` is not a range of versions"),
                    )
                    .label(problem)
                    .help("write `^1.2`, `1.4.0` or `>=1.0, <3`"),
                );
                None
            }
        }
    });
    let wait = map
        .get("wait")
        .and_then(|entry| cx.boolean("wait", &entry.value));
    let on_parent_cancel = map.get("on_parent_cancel").and_then(|entry| {
        let choices = [
            ("cancel", OnParentCancel::Cancel),
            ("abandon", OnParentCancel::Abandon),
        ];
        cx.one_of("on_parent_cancel", &entry.value, &choices)
    });
    let Some(name) = map.get("workflow") else {
        cx.missing("`call`", "workflow", entry.key_span, "workflow: NAME");
        return None;
    };
    Some(CallSpec {
        workflow: workflow(cx, "workflow", &name.value)?,
        version,
        wait: wait.unwrap_or(true),
        on_parent_cancel: on_parent_cancel.unwrap_or(OnParentCancel::Cancel),
        unwinds: false,
    })
}

fn workflow(cx: &mut Cx<'_>, key: &str, node: &Node) -> Option<String> {
    let name = cx.name(key, node)?;
    if name.contains("${{") {
        return cx.literal(key, node);
    }
    cx.id(&name, node.span, IdForm::Kebab).then_some(name)
}
