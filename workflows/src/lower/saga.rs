//! `saga`: of the workflow, of a `try`, of a `do`.

use super::Cx;
use super::keys::SAGA;
use crate::diagnostic::Note;
use crate::machine::{OnUndoFailure, Saga, SagaMode, SagaTriggers, UndoOrder};
use crate::syntax::{Map, Node};

/// A mode, or a map; what is not written is as in `defaults`.
pub(super) fn read(cx: &mut Cx<'_>, node: &Node, defaults: Saga) -> Saga {
    if node.as_scalar().is_some() && !node.is_null() {
        let mode = mode(cx, "saga", node).unwrap_or(defaults.mode);
        return Saga { mode, ..defaults };
    }
    let Some(map) = cx.map("saga", node) else {
        return defaults;
    };
    cx.keys(map, &SAGA);
    let mode = map
        .get("mode")
        .and_then(|entry| mode(cx, "mode", &entry.value));
    let order = map.get("order").and_then(|entry| {
        let choices = [
            ("reverse", UndoOrder::Reverse),
            ("relaxed", UndoOrder::Relaxed),
        ];
        cx.one_of("order", &entry.value, &choices)
    });
    let on_failure = map.get("on_compensation_failure").and_then(|entry| {
        let choices = [
            ("halt", OnUndoFailure::Halt),
            ("continue", OnUndoFailure::Continue),
        ];
        cx.one_of("on_compensation_failure", &entry.value, &choices)
    });
    Saga {
        mode: mode.unwrap_or(defaults.mode),
        order: order.unwrap_or(defaults.order),
        triggers: triggers(cx, map).unwrap_or(defaults.triggers),
        on_compensation_failure: on_failure.unwrap_or(defaults.on_compensation_failure),
    }
}

/// `none` and not `off`, which half of all YAML tools read as a bool.
fn mode(cx: &mut Cx<'_>, key: &str, node: &Node) -> Option<SagaMode> {
    if node.as_scalar().is_some_and(|scalar| scalar.text == "off") {
        cx.sink.push(
            Note::error("PHI104", node.span, "`off` is not one of `auto` and `none`")
                .label("a bool in YAML 1.1 tools")
                .edit(node.span, "none"),
        );
        return None;
    }
    let choices = [("auto", SagaMode::Auto), ("none", SagaMode::Off)];
    cx.one_of(key, node, &choices)
}

fn triggers(cx: &mut Cx<'_>, map: &Map) -> Option<SagaTriggers> {
    const NAMES: [&str; 3] = ["failure", "cancel", "timeout"];
    let entry = map.get("triggers")?;
    let mut triggers = SagaTriggers {
        failure: false,
        cancel: false,
        timeout: false,
    };
    for (name, span) in cx.names("triggers", &entry.value) {
        match name.as_str() {
            "failure" => triggers.failure = true,
            "cancel" => triggers.cancel = true,
            "timeout" => triggers.timeout = true,
            other => cx.not_one_of(other, span, NAMES.into_iter()),
        }
    }
    Some(triggers)
}
