//! The expressions of blocks: what their bodies can read, and what comes out of them.

use super::super::kinds::unread_condition;
use super::super::types::error_type;
use super::super::value::Values;
use super::super::{Cx, StepDraft};
use super::kinds::item_error;
use super::steps::Entered;
use super::views::Views;
use super::{Filler, Output, typed_entries};
use crate::diagnostic::Note;
use crate::expr::{Env, ExprError, ObjectType, Type};
use crate::machine::{
    BodyIndex, ForeachSpec, Join, LoopSpec, LoopTest, ParallelSpec, StepKind, SwitchDefault,
    SwitchSpec, Then, Tolerance,
};
use crate::source::Span;
use crate::syntax::{Map, Node};

type Amend<'a> = dyn Fn(&ExprError, &str, Note) -> Note + 'a;

impl Filler<'_, '_> {
    pub(super) fn enter_block(&mut self, cx: &mut Cx<'_>, index: usize, entered: &mut Entered) {
        let amend = self.views.amend(cx.source, index);
        let StepDraft { step, map, .. } = &mut self.steps[index];
        let Some(entry) = map.get(step.kind.name()).or_else(|| map.get("steps")) else {
            return;
        };
        let fields = entry.value.as_map();
        let base = entered.base.clone();
        match (&mut step.kind, fields) {
            (StepKind::Foreach(spec), Some(fields)) => {
                let inner = enter_foreach(cx, fields, entry.key_span, spec, entered, &amend);
                entered.bodies.push((spec.body, inner));
                let item = [&spec.as_name, &spec.index_as];
                // `yield` reads the item, too.
                entered.env = item.into_iter().fold(entered.env.clone(), |env, name| {
                    let ty = entered.bodies[0].1.type_of(name).unwrap_or(Type::Any);
                    env.variable(name, ty)
                });
            }
            (StepKind::Loop(spec), Some(fields)) => {
                let iter = enter_loop(cx, fields, spec, entered, &amend);
                entered.env = entered.env.clone().variable("iter", iter.clone());
                entered
                    .bodies
                    .push((spec.body, base.variable("iter", iter)));
            }
            (StepKind::Switch(spec), Some(fields)) => {
                enter_switch(cx, fields, spec, entered, &amend);
            }
            (StepKind::Parallel(spec), _) => {
                let bodies = spec.branches.iter().map(|(_, body)| (*body, base.clone()));
                entered.bodies.extend(bodies);
            }
            (StepKind::Try(spec), _) => {
                let failed = base.clone().variable("error", error_type());
                entered.bodies.push((spec.body, base.clone()));
                let catch = spec.catch.iter().map(|catch| (catch.body, failed.clone()));
                entered.bodies.extend(catch);
                entered.bodies.extend(spec.finally.map(|body| (body, base)));
            }
            (StepKind::Do(spec), _) => entered.bodies.push((spec.body, base)),
            _ => {}
        }
    }

    pub(super) fn leave_block(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        entered: &Entered,
    ) -> Output {
        if matches!(self.steps[index].step.kind, StepKind::Switch(_)) {
            return self.leave_switch(cx, index, entered);
        }
        let (bodies, absent) = ends(&self.steps[index].step.kind);
        let inside = self.views.seen_inside(
            index,
            &entered.mentioned,
            &entered.env,
            &bodies,
            absent.as_deref(),
        );
        let amend = self.views.amend(cx.source, index);
        let StepDraft { step, map, .. } = &mut self.steps[index];
        let fields = map
            .get(step.kind.name())
            .and_then(|entry| entry.value.as_map());
        let mut values = Values {
            cx,
            env: &inside,
            amend: &amend,
        };
        if let (StepKind::Loop(spec), Some(fields)) = (&mut step.kind, fields) {
            leave_loop(&mut values, fields, spec, &entered.carried);
        }
        let yielded = map.get("yield").map(|entry| {
            let (template, ty) = values.value(&entry.value);
            step.yields = Some(template);
            (ty, &entry.value)
        });
        match &mut step.kind {
            StepKind::Foreach(spec) => {
                let item = match yielded {
                    Some((ty, _)) => Output::certain(ty),
                    None => self.views.last_output(self.views.outline.body(spec.body)),
                };
                Output::certain(foreach_type(spec, item))
            }
            StepKind::Loop(_) => loop_output(&mut values, yielded),
            StepKind::Parallel(spec) => match yielded {
                Some((ty, _)) => Output::certain(ty),
                None => branches(&self.views, spec),
            },
            StepKind::Try(spec) => {
                if let Some(fields) = fields {
                    let failed = inside.clone().variable("error", error_type());
                    let mut values = Values {
                        cx,
                        env: &failed,
                        amend: &amend,
                    };
                    let maps = fields.get("catch").and_then(|entry| entry.value.as_seq());
                    let maps = maps.unwrap_or_default().iter().filter_map(Node::as_map);
                    for (catch, map) in spec.catch.iter_mut().zip(maps) {
                        catch.when = map
                            .get("when")
                            .and_then(|entry| values.condition("when", &entry.value));
                    }
                }
                let body = spec.body;
                let handled = spec.catch.iter().any(|catch| catch.then == Then::Continue);
                match yielded {
                    Some((ty, _)) => Output::certain(ty),
                    None => {
                        let mut output = self.views.last_output(self.views.outline.body(body));
                        if handled {
                            let why = "a `catch` may have handled a failure";
                            output.absent.get_or_insert_with(|| why.to_owned());
                        }
                        output
                    }
                }
            }
            StepKind::Do(spec) => match yielded {
                Some((ty, _)) => Output::certain(ty),
                None => self.views.last_output(self.views.outline.body(spec.body)),
            },
            _ => Output::certain(Type::Any),
        }
    }

    /// The `yield`s of the cases, each of which sees its own body only.
    fn leave_switch(&mut self, cx: &mut Cx<'_>, index: usize, entered: &Entered) -> Output {
        let draft = &self.steps[index];
        let StepKind::Switch(spec) = &draft.step.kind else {
            return Output::certain(Type::Any);
        };
        let mut spec = spec.clone();
        let maps = case_maps(draft.map, &spec);
        let mut names = Vec::new();
        let mut outputs = Vec::new();
        for (case, map) in spec.cases.iter_mut().zip(maps) {
            names.push(case.id.clone());
            let bodies = [case.body];
            let mentioned = &entered.mentioned;
            let env = self
                .views
                .seen_inside(index, mentioned, &entered.env, &bodies, None)
                .with_certain(case.when.requires_success_of());
            let amend = self.views.amend(cx.source, index);
            let mut values = Values {
                cx,
                env: &env,
                amend: &amend,
            };
            match map.and_then(|map| map.get("yield")) {
                Some(entry) => {
                    let (template, ty) = values.value(&entry.value);
                    case.yields = Some(template);
                    outputs.push((case.id.clone(), Output::certain(ty)));
                }
                None => {
                    let output = self.views.last_output(self.views.outline.body(case.body));
                    outputs.push((case.id.clone(), output));
                }
            }
        }
        if let SwitchDefault::Body(body) = spec.default {
            names.push("default".to_owned());
            let output = self.views.last_output(self.views.outline.body(body));
            outputs.push(("default".to_owned(), output));
        }
        let skips = spec.default == SwitchDefault::Skip;
        self.steps[index].step.kind = StepKind::Switch(spec);
        Output {
            ty: switch_type(names, outputs),
            absent: skips.then(|| "it may be skipped: it has `default: skip`".to_owned()),
        }
    }
}

/// The bodies that `yield` and the like see into, and why nothing there is certain.
fn ends(kind: &StepKind) -> (Vec<BodyIndex>, Option<String>) {
    match kind {
        StepKind::Foreach(spec) => (vec![spec.body], None),
        StepKind::Loop(spec) => {
            let maybe_never = matches!(spec.test, LoopTest::While(_));
            let why = "a `while` loop may not run even once";
            (vec![spec.body], maybe_never.then(|| why.to_owned()))
        }
        StepKind::Parallel(spec) => {
            let all = spec.join == Join::All;
            let why = "the block can succeed without this branch";
            let bodies = spec.branches.iter().map(|(_, body)| *body).collect();
            (bodies, (!all).then(|| why.to_owned()))
        }
        StepKind::Try(spec) => {
            let why = "the body may have failed";
            let bodies = std::iter::once(spec.body)
                .chain(spec.catch.iter().map(|catch| catch.body))
                .collect();
            (bodies, (!spec.catch.is_empty()).then(|| why.to_owned()))
        }
        StepKind::Do(spec) => (vec![spec.body], None),
        _ => (Vec::new(), None),
    }
}

fn enter_foreach(
    cx: &mut Cx<'_>,
    fields: &Map,
    key_span: Span,
    spec: &mut ForeachSpec,
    entered: &Entered,
    amend: &Amend<'_>,
) -> Env {
    let mut item = Type::Any;
    if let Some(entry) = fields.get("in") {
        let mut values = Values {
            cx,
            env: &entered.env,
            amend,
        };
        if let Some((items, ty)) = values.expression("in", &entry.value) {
            item = match ty.items() {
                Some(item) => item,
                None => {
                    values.cx.sink.push(
                        Note::error(
                            "PHI308",
                            entry.value.span,
                            format!("`in` is {ty}, not a list or map"),
                        )
                        .help("a `foreach` runs once per item of a list, or per entry of a map"),
                    );
                    Type::Any
                }
            };
            spec.items = items;
        }
    }
    if spec.batch.is_some() {
        item = Type::list(item);
    }
    let hidden = [("as", &spec.as_name), ("index_as", &spec.index_as)];
    let hidden = hidden
        .into_iter()
        .find(|(_, name)| entered.base.knows(name));
    if let Some((key, name)) = hidden {
        let span = fields.get(key).map_or(key_span, |entry| entry.value.span);
        cx.sink.push(
            Note::warning(
                "PHI210",
                span,
                format!("`{name}` hides that of the `foreach` around it"),
            )
            .help(format!("name it with `{key}`")),
        );
    }
    entered
        .base
        .clone()
        .variable(&spec.as_name, item)
        .variable(&spec.index_as, Type::Int)
}

/// The type of `iter`; reads `carry` and `while`.
fn enter_loop(
    cx: &mut Cx<'_>,
    fields: &Map,
    spec: &mut LoopSpec,
    entered: &mut Entered,
    amend: &Amend<'_>,
) -> Type {
    let mut values = Values {
        cx,
        env: &entered.env,
        amend,
    };
    let carry = typed_entries(&mut values, fields, "carry");
    let types = carry.iter().map(|(name, _, ty)| {
        // Nothing is known of a value that begins with null.
        let ty = if *ty == Type::Null {
            Type::Any
        } else {
            ty.clone()
        };
        (name.clone(), ty)
    });
    entered.carried = types.collect();
    let iter = Type::object([
        ("index", Type::Int),
        ("is_last", Type::Bool),
        ("carry", Type::object(entered.carried.iter().cloned())),
    ]);
    spec.carry = carry
        .into_iter()
        .map(|(name, template, _)| (name, template))
        .collect();
    if let (LoopTest::While(_), Some(entry)) = (&spec.test, fields.get("while")) {
        let env = entered.env.clone().variable("iter", iter.clone());
        let mut values = Values {
            cx,
            env: &env,
            amend,
        };
        let test = values.condition("while", &entry.value);
        spec.test = LoopTest::While(test.unwrap_or_else(|| unread_condition(entry.key_span)));
    }
    iter
}

/// `next` and `until`.
fn leave_loop(
    values: &mut Values<'_, '_>,
    fields: &Map,
    spec: &mut LoopSpec,
    carried: &[(String, Type)],
) {
    let next = typed_entries(values, fields, "next");
    let nodes = fields.get("next").and_then(|entry| entry.value.as_map());
    for (name, _, ty) in &next {
        let carried = carried.iter().find(|(known, _)| known == name);
        let node = nodes.and_then(|nodes| nodes.get(name));
        if let (Some((_, carried)), Some(node)) = (carried, node)
            && !ty.comparable(carried)
        {
            values.expected(&node.value, &format!("{carried}, as in `carry`"), ty);
        }
    }
    spec.next = next
        .into_iter()
        .map(|(name, template, _)| (name, template))
        .collect();
    if let (LoopTest::Until(_), Some(entry)) = (&spec.test, fields.get("until")) {
        let test = values.condition("until", &entry.value);
        spec.test = LoopTest::Until(test.unwrap_or_else(|| unread_condition(entry.key_span)));
    }
}

/// What the loop yields, with how often it ran.
fn loop_output(values: &mut Values<'_, '_>, yielded: Option<(Type, &Node)>) -> Output {
    let counters = Type::object([("iterations", Type::Int), ("exhausted", Type::Bool)]);
    let ty = match yielded {
        None => counters,
        Some((ty, node)) => match ty.with_fields_of(&counters) {
            Some(ty) => ty,
            None => {
                values.expected(
                    node,
                    "a map, to which `iterations` and `exhausted` are added",
                    &ty,
                );
                Type::Any
            }
        },
    };
    Output::certain(ty)
}

fn enter_switch(
    cx: &mut Cx<'_>,
    fields: &Map,
    spec: &mut SwitchSpec,
    entered: &mut Entered,
    amend: &Amend<'_>,
) {
    let maps: Vec<&Map> = fields
        .get("cases")
        .and_then(|entry| entry.value.as_seq())
        .unwrap_or_default()
        .iter()
        .filter_map(Node::as_map)
        .collect();
    let complete = maps.len() == spec.cases.len();
    for (case, map) in spec.cases.iter_mut().zip(maps) {
        let mut values = Values {
            cx,
            env: &entered.env,
            amend,
        };
        if let Some(entry) = map.get("when").filter(|_| complete)
            && let Some(when) = values.condition("when", &entry.value)
        {
            case.when = when;
        }
        let certain = case.when.requires_success_of();
        entered
            .bodies
            .push((case.body, entered.base.with_certain(certain)));
    }
    if let SwitchDefault::Body(body) = spec.default {
        entered.bodies.push((body, entered.base.clone()));
    }
}

/// The maps of the cases, if all of them could be read.
fn case_maps<'n>(map: &'n Map, spec: &SwitchSpec) -> Vec<Option<&'n Map>> {
    let items = map
        .get("switch")
        .and_then(|entry| entry.value.as_map()?.get("cases"))
        .and_then(|entry| entry.value.as_seq())
        .unwrap_or_default();
    if items.len() != spec.cases.len() {
        return vec![None; spec.cases.len()];
    }
    items.iter().map(Node::as_map).collect()
}

/// `{case, output}`.
fn switch_type(names: Vec<String>, outputs: Vec<(String, Output)>) -> Type {
    let mut joined: Option<Type> = None;
    let mut absent = None;
    for (case, output) in outputs {
        if let Some(why) = output.absent {
            absent.get_or_insert_with(|| format!("case `{case}` may have none: {why}"));
        }
        if output.ty == Type::Null {
            continue;
        }
        joined = Some(match joined {
            Some(ty) => ty.join(&output.ty),
            None => output.ty,
        });
    }
    let object = ObjectType::default().field("case", Type::one_of(names));
    let ty = joined.unwrap_or(Type::Null);
    match absent {
        Some(why) => object.optional_field("output", ty, why),
        None => object.field("output", ty),
    }
    .into()
}

fn foreach_type(spec: &ForeachSpec, item: Output) -> Type {
    let tolerant = match spec.tolerate {
        Tolerance::Count(count) => count > 0,
        Tolerance::Percent(percent) => percent > 0.0,
    };
    let object = ObjectType::default().field("index", Type::Int).field(
        "outcome",
        Type::one_of(["succeeded", "failed", "cancelled"]),
    );
    let absent = item
        .absent
        .or_else(|| tolerant.then(|| "the item may have failed".to_owned()));
    let object = match absent {
        Some(why) => object.optional_field("output", item.ty, why),
        None => object.field("output", item.ty),
    };
    Type::object([
        ("items", Type::list(item_error(object).into())),
        ("succeeded", Type::Int),
        ("failed", Type::Int),
    ])
}

/// A map from branch to the output of its last step.
fn branches(views: &Views<'_, '_>, spec: &ParallelSpec) -> Output {
    let mut object = ObjectType::default();
    for (name, body) in &spec.branches {
        let output = views.last_output(views.outline.body(*body));
        let absent = match spec.join {
            Join::All => output.absent,
            Join::Any | Join::First | Join::AtLeast(_) => {
                Some("the block can succeed without this branch".to_owned())
            }
        };
        object = match absent {
            Some(why) => object.optional_field(name, output.ty, why),
            None => object.field(name, output.ty),
        };
    }
    Output::certain(object.into())
}
