//! Steps without order between them that touch the same thing.

use std::collections::BTreeMap;

use super::scopes::Scopes;
use crate::diagnostic::Note;
use crate::expr::Expr;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{FileOp, Owner, StepKind, Template};
use crate::source::Span;

/// Pairs that are looked at for one thing.
const PAIRS_MAX: usize = 2_000;

/// What two steps need to know of each other.
pub(super) struct Together<'a, 'n> {
    pub(super) draft: &'a Draft<'n>,
    pub(super) order: &'a Order,
    pub(super) scopes: &'a Scopes,
}

impl Together<'_, '_> {
    /// Whether two steps can run at the same time.
    pub(super) fn unordered(&self, a: usize, b: usize) -> bool {
        a != b && !self.order.is_before(a, b) && !self.order.is_before(b, a) && !self.exclude(a, b)
    }

    /// Whether only one of two steps runs: they stand in different cases of a switch, or one is
    /// inside the other.
    pub(super) fn exclude(&self, a: usize, b: usize) -> bool {
        let path = |step: usize| {
            let mut path: Vec<usize> = self.scopes.around(step).collect();
            path.reverse();
            path.push(step);
            path
        };
        let (a, b) = (path(a), path(b));
        // What undoes a step runs when nothing else does.
        if self.undo_among(&a) != self.undo_among(&b) {
            return true;
        }
        let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        if shared == a.len() || shared == b.len() {
            return true;
        }
        let Some(block) = shared.checked_sub(1).map(|at| a[at]) else {
            return self.body(a[0]) != self.body(b[0]);
        };
        let kind = &self.draft.steps[block].step.kind;
        let (a, b) = (self.body(a[shared]), self.body(b[shared]));
        // Handlers of a step come after it, one of them at most.
        a != b && !matches!(kind, StepKind::Parallel(_))
    }

    /// The body among those of `path` that undoes a step.
    fn undo_among(&self, path: &[usize]) -> Option<usize> {
        let mut bodies = path.iter().map(|step| self.body(*step));
        bodies.find(|body| matches!(self.draft.bodies()[*body].owner, Owner::Undo(_)))
    }

    fn body(&self, step: usize) -> usize {
        self.draft.steps[step].step.body.get()
    }

    /// The block around `step` of which several items run at once.
    fn many_at_once(&self, step: usize) -> Option<usize> {
        self.scopes.around(step).find(|outer| {
            let step = &self.draft.steps[*outer].step;
            matches!(&step.kind, StepKind::Foreach(spec) if spec.concurrency > 1)
        })
    }
}

/// PHI419, PHI420 and PHI424.
pub(super) fn all(cx: &mut Cx<'_>, together: &Together<'_, '_>) {
    variables(cx, together);
    files(cx, together);
}

fn variables(cx: &mut Cx<'_>, together: &Together<'_, '_>) {
    let steps = &together.draft.steps;
    let mut writers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, draft) in steps.iter().enumerate() {
        if let StepKind::Set(set) = &draft.step.kind {
            for (name, _) in &set.values {
                writers.entry(name).or_default().push(at);
            }
        }
    }
    if writers.is_empty() {
        return;
    }
    for (name, writers) in &writers {
        for (second, at) in writers.iter().enumerate() {
            cx.sink.enter(steps[*at].id_span);
            let id = &steps[*at].step.id;
            let span = steps[*at].nested_span("set", name);
            if let Some(block) = together.many_at_once(*at) {
                let note = format!(
                    "items of `{}` write `vars.{name}` in no order",
                    steps[block].step.id
                );
                cx.sink.push(
                    Note::error("PHI419", span, note)
                        .also(steps[block].id_span, "several items run at once")
                        .help("say `concurrency: 1`, or read the results from the block's output"),
                );
                continue;
            }
            let earlier = writers[..second].iter().take(PAIRS_MAX);
            for other in earlier.filter(|other| together.unordered(**other, *at)) {
                let first = &steps[*other].step.id;
                cx.sink.push(
                    Note::error(
                        "PHI419",
                        span,
                        format!("`{first}` and `{id}` write `vars.{name}` in no order"),
                    )
                    .also(steps[*other].nested_span("set", name), "written here too")
                    .help(format!("add `{first}` to the needs of `{id}`")),
                );
            }
        }
    }
    for (at, draft) in steps.iter().enumerate() {
        for name in reads(draft) {
            let Some(writers) = writers.get(name.as_str()) else {
                continue;
            };
            let other = writers.iter().find(|other| together.unordered(**other, at));
            if let Some(other) = other.filter(|_| !writes(draft, &name)) {
                cx.sink.enter(draft.id_span);
                let (id, writer) = (&draft.step.id, &steps[*other].step.id);
                cx.sink.push(
                    Note::warning(
                        "PHI420",
                        draft.id_span,
                        format!("`{id}` reads `vars.{name}` while `{writer}` may write it"),
                    )
                    .also(steps[*other].nested_span("set", &name), "written here")
                    .help(format!("put `{id}` before or after `{writer}`")),
                );
            }
        }
    }
}

fn writes(draft: &StepDraft<'_>, name: &str) -> bool {
    matches!(&draft.step.kind, StepKind::Set(set) if set.values.iter().any(|(n, _)| n == name))
}

/// The variables that a step reads.
fn reads(draft: &StepDraft<'_>) -> Vec<String> {
    let mut names = Vec::new();
    draft.step.for_each_expr(&mut |expr: &Expr| {
        for path in expr.reads() {
            if let Some(rest) = path.strip_prefix("vars.") {
                names.push(rest.split('.').next().unwrap_or(rest).to_owned());
            }
        }
    });
    names.sort();
    names.dedup();
    names
}

/// PHI424: files that are written by name.
fn files(cx: &mut Cx<'_>, together: &Together<'_, '_>) {
    let steps = &together.draft.steps;
    let mut writers: BTreeMap<(String, String), Vec<(usize, Span)>> = BTreeMap::new();
    for (at, draft) in steps.iter().enumerate() {
        let StepKind::Files(files) = &draft.step.kind else {
            continue;
        };
        for (place, change) in files.changes.iter().enumerate() {
            let span = super::files::change_span(draft, place, "path");
            let root = files
                .participants
                .get(change.participant)
                .map_or("", |participant| participant.root.as_str());
            let mut paths = vec![&change.path];
            if let FileOp::Move(to) = &change.op {
                paths.push(to);
            }
            for path in paths {
                if let Template::Literal(serde_json::Value::String(path)) = path {
                    let key = (root.to_owned(), path.clone());
                    writers.entry(key).or_default().push((at, span));
                }
            }
        }
    }
    for ((_, path), writers) in &writers {
        for (second, (at, span)) in writers.iter().enumerate() {
            let earlier = writers[..second].iter().take(PAIRS_MAX);
            for (other, first) in earlier.filter(|(other, _)| together.unordered(*other, *at)) {
                cx.sink.enter(steps[*at].id_span);
                let (a, b) = (&steps[*other].step.id, &steps[*at].step.id);
                cx.sink.push(
                    Note::error(
                        "PHI424",
                        *span,
                        format!("`{a}` and `{b}` write file `{path}` in no order"),
                    )
                    .also(*first, "written here too")
                    .help(format!("add `{a}` to the needs of `{b}`")),
                );
            }
        }
    }
}
