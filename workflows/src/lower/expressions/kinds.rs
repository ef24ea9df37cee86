//! The expressions of each kind, and what its steps leave behind.

use super::super::fields::words;
use super::super::types::{approval_type, event_type, file_changes_type};
use super::super::value::Values;
use super::super::{Cx, StepDraft};
use super::steps::{Entered, with_result};
use super::{Filler, Output, prompt, typed_entries};
use crate::calls::{Callees, Found};
use crate::catalog::Interface;
use crate::diagnostic::Note;
use crate::expr::nearest::nearest;
use crate::expr::{ObjectType, Type, time};
use crate::machine::{
    ApprovalSpec, CallSpec, EmitSpec, FailSpec, FileExpect, FileOp, FilesSpec, InputSpec, OnExpiry,
    StepKind, TaskSpec, Template, WaitForSpec, WaitSpec,
};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Map, Node};

impl Filler<'_, '_> {
    /// What is evaluated when the step begins.
    pub(super) fn enter_kind(&mut self, cx: &mut Cx<'_>, index: usize, entered: &mut Entered) {
        if self.steps[index].step.kind.is_block() {
            self.enter_block(cx, index, entered);
            return;
        }
        let source = cx.source;
        let amend = self.views.amend(source, index);
        let mut values = Values {
            cx,
            env: &entered.env,
            amend: &amend,
        };
        let StepDraft { step, map, .. } = &mut self.steps[index];
        let fields = map
            .get(step.kind.name())
            .and_then(|entry| entry.value.as_map());
        match (&mut step.kind, fields) {
            (StepKind::Task(task), fields) => {
                let known = self.task_types.get(&task.task_type);
                let inputs = known.and_then(|known| known.input.as_ref());
                step.input = step_inputs(&mut values, map, ("task", &task.task_type), inputs);
                fill_task(&mut values, map, fields, task);
            }
            (StepKind::Approval(spec), Some(fields)) => fill_approval(&mut values, fields, spec),
            (StepKind::Fail(spec), Some(fields)) => fill_fail(&mut values, fields, spec),
            (StepKind::Finish(spec), Some(fields)) if fields.get("outputs").is_some() => {
                let (outputs, ty) =
                    final_outputs(&mut values, fields, self.outputs_map, "`finish`");
                spec.outputs = outputs;
                self.endings.push(ty);
            }
            (StepKind::Wait(spec), fields) => fill_wait(&mut values, map, fields, spec),
            (StepKind::WaitFor(spec), Some(fields)) => {
                let data = Type::from_schema(&step.output);
                fill_wait_for(&mut values, fields, spec, data);
            }
            (StepKind::Emit(spec), Some(fields)) => fill_emit(&mut values, fields, spec),
            (StepKind::Files(spec), Some(fields)) => fill_files(&mut values, fields, spec),
            (StepKind::Set(spec), Some(fields)) => {
                spec.values = assignments(&mut values, fields, self.declared);
            }
            (StepKind::Call(spec), _) if !spec.unwinds => {
                let span = map.get("call").map_or(Span::new(0, 0), |entry| {
                    let name = fields.and_then(|fields| fields.get("workflow"));
                    name.map_or(entry.value.span, |name| name.value.span)
                });
                let inputs = callee(values.cx, self.callees, spec, span).map(|i| &i.inputs);
                step.input = step_inputs(&mut values, map, ("call", &spec.workflow), inputs);
            }
            _ => {}
        }
    }

    /// What is evaluated when the step has ended, and its output.
    pub(super) fn leave_kind(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        entered: &Entered,
    ) -> Output {
        let step = &self.steps[index].step;
        let output = match &step.kind {
            StepKind::Task(_) => Output::certain(Type::from_schema(&step.output)),
            StepKind::Approval(spec) => Output::certain(approval_type(spec)),
            StepKind::Fail(_) | StepKind::Finish(_) => Output::certain(Type::Null),
            StepKind::Wait(_) => Output::certain(Type::object([("at", Type::Timestamp)])),
            StepKind::WaitFor(spec) => waited(spec, Type::from_schema(&step.output)),
            StepKind::Emit(_) => Output::certain(Type::object([("event_id", Type::String)])),
            StepKind::Files(_) => Output::certain(file_changes_type()),
            StepKind::Set(spec) => {
                let vars = spec.values.iter().filter_map(|(name, _)| {
                    let var = self.declared.vars.iter().find(|var| var.name == *name)?;
                    Some((name.as_str(), Type::from_schema(&var.schema)))
                });
                Output::certain(Type::object(vars))
            }
            StepKind::Call(spec) => Output::certain(self.called(spec, &step.output)),
            StepKind::Foreach(_)
            | StepKind::Loop(_)
            | StepKind::Switch(_)
            | StepKind::Parallel(_)
            | StepKind::Try(_)
            | StepKind::Do(_) => return self.leave_block(cx, index, entered),
        };
        let amend = self.views.amend(cx.source, index);
        let draft = &mut self.steps[index];
        let Some(entry) = draft.map.get("yield") else {
            return output;
        };
        let env = with_result(&entered.env, output.ty);
        let mut values = Values {
            cx,
            env: &env,
            amend: &amend,
        };
        let (template, ty) = values.value(&entry.value);
        draft.step.yields = Some(template);
        Output::certain(ty)
    }

    fn called(&self, spec: &CallSpec, declared: &Schema) -> Type {
        if !spec.wait {
            return Type::object([("run_id", Type::String)]);
        }
        match self.callees.find(spec) {
            Found::Interface(callee) if declared.is_any() => callee.output.clone(),
            _ => Type::from_schema(declared),
        }
    }
}

/// What is known of the workflow that a call means (PHI208).
fn callee<'c>(
    cx: &mut Cx<'_>,
    callees: &'c Callees<'_>,
    spec: &CallSpec,
    span: Span,
) -> Option<&'c Interface> {
    let name = &spec.workflow;
    let note = match callees.find(spec) {
        Found::Interface(interface) => return Some(interface),
        Found::Unknown => return None,
        Found::OtherVersions(versions) => {
            let wanted = spec.version.as_ref().map(ToString::to_string);
            let wanted = wanted.unwrap_or_default();
            Note::error(
                "PHI208",
                span,
                format!("no version of `{name}` is {wanted}"),
            )
            .help(format!("known versions: {}", versions.join(", ")))
        }
        Found::Nobody => {
            let note = Note::error("PHI208", span, format!("unknown workflow `{name}`"));
            match cx.nearest(name, callees.names()) {
                Some(near) => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(span, near),
                None => note.help("apply it first, or put it into the same file"),
            }
        }
    };
    cx.sink.push(note);
    None
}

fn waited(spec: &WaitForSpec, data: Type) -> Output {
    let ty = if spec.count > 1 {
        Type::list(data)
    } else {
        data
    };
    let absent = (spec.on_timeout == OnExpiry::Continue)
        .then(|| "it may have timed out: it has `on_timeout: continue`".to_owned());
    Output { ty, absent }
}

fn fill_task(values: &mut Values<'_, '_>, map: &Map, fields: Option<&Map>, task: &mut TaskSpec) {
    task.prompt = prompt(values, fields.unwrap_or(map));
    let attachments = fields.and_then(|fields| fields.get("attachments"));
    let attachments = attachments.and_then(|entry| entry.value.as_seq());
    task.attachments = attachments
        .unwrap_or_default()
        .iter()
        .map(|node| values.value(node).0)
        .collect();
    let files = map
        .get("accept")
        .and_then(|entry| entry.value.as_map()?.get("files"))
        .and_then(|entry| entry.value.as_seq());
    let Some(accept) = &mut task.accept else {
        return;
    };
    let maps = files.unwrap_or_default().iter().filter_map(Node::as_map);
    for (file, map) in accept.files.iter_mut().zip(maps) {
        text_into(values, map, "path", &mut file.path);
        file.sha256 = map
            .get("sha256")
            .and_then(|entry| values.text("sha256", &entry.value));
    }
}

/// Reads a text value into its place.
fn text_into(values: &mut Values<'_, '_>, map: &Map, key: &str, place: &mut Template) {
    if let Some(entry) = map.get(key)
        && let Some(template) = values.text(key, &entry.value)
    {
        *place = template;
    }
}

fn fill_approval(values: &mut Values<'_, '_>, fields: &Map, spec: &mut ApprovalSpec) {
    spec.prompt = prompt(values, fields);
    spec.show = fields.get("show").map(|entry| values.value(&entry.value).0);
}

pub(super) fn fill_fail(values: &mut Values<'_, '_>, fields: &Map, spec: &mut FailSpec) {
    text_into(values, fields, "message", &mut spec.message);
    spec.data = fields.get("data").map(|entry| values.value(&entry.value).0);
}

/// `outputs` of `finish`, `recover` or a final state: the same names as those of the workflow.
pub(super) fn final_outputs(
    values: &mut Values<'_, '_>,
    fields: &Map,
    declared: Option<&Map>,
    place: &str,
) -> (Vec<(String, Template)>, Type) {
    let outputs = typed_entries(values, fields, "outputs");
    let Some(entry) = fields.get("outputs") else {
        return (Vec::new(), Type::object::<String>([]));
    };
    if let (Some(declared), Some(written)) = (declared, entry.value.as_map()) {
        for output in &written.entries {
            if declared.get(&output.key).is_some() {
                continue;
            }
            let known = declared.entries.iter().map(|entry| entry.key.as_str());
            let message = format!("the workflow has no output `{}`", output.key);
            let note = Note::error("PHI101", output.key_span, message);
            let note = match values.cx.nearest(&output.key, known) {
                Some(near) => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(output.key_span, near),
                None => note.help("declare it in the workflow's `outputs`"),
            };
            values.cx.sink.push(note);
        }
        for output in &declared.entries {
            if written.get(&output.key).is_none() {
                let example = format!("{}: VALUE", output.key);
                let key = &output.key;
                values.cx.missing(
                    &format!("`outputs` of {place}"),
                    key,
                    entry.key_span,
                    &example,
                );
            }
        }
    }
    let types = outputs
        .iter()
        .map(|(name, _, ty)| (name.as_str(), ty.clone()));
    let ty = Type::object(types);
    let outputs = outputs.into_iter();
    (
        outputs
            .map(|(name, template, _)| (name, template))
            .collect(),
        ty,
    )
}

fn fill_wait(values: &mut Values<'_, '_>, map: &Map, fields: Option<&Map>, spec: &mut WaitSpec) {
    let node = match (&spec, fields) {
        (WaitSpec::For(_), Some(fields)) => fields.get("for"),
        (WaitSpec::Until(_), Some(fields)) => fields.get("until"),
        (_, None) => map.get("wait"),
    };
    let Some(node) = node.map(|entry| &entry.value) else {
        return;
    };
    let (wanted, key) = match &spec {
        WaitSpec::For(_) => (Type::Duration, "wait"),
        WaitSpec::Until(_) => (Type::Timestamp, "until"),
    };
    let has_expression = node.as_str().is_some_and(|text| text.contains("${{"));
    let template = if has_expression {
        let (template, ty) = values.value(node);
        if !(ty.comparable(&wanted) || ty.comparable(&Type::String)) {
            values.expected(node, &wanted.to_string(), &ty);
        }
        template
    } else if wanted == Type::Duration {
        if values.cx.duration(key, node).is_none() {
            return;
        }
        let text = node.as_scalar().map(|scalar| scalar.text.clone());
        Template::Literal(serde_json::Value::String(text.unwrap_or_default()))
    } else {
        let text = node.as_scalar().map(|scalar| scalar.text.clone());
        let text = text.unwrap_or_default();
        if time::parse_timestamp(&text).is_none() {
            super::super::starts::not_a_timestamp(values.cx, &text, node);
            return;
        }
        Template::Literal(serde_json::Value::String(text))
    };
    *spec = match spec {
        WaitSpec::For(_) => WaitSpec::For(template),
        WaitSpec::Until(_) => WaitSpec::Until(template),
    };
}

fn fill_wait_for(values: &mut Values<'_, '_>, fields: &Map, spec: &mut WaitForSpec, data: Type) {
    spec.matching = scalars(values, fields, "match");
    if let Some(entry) = fields.get("when") {
        let env = values.env.clone().variable("event", event_type(data));
        let mut values = Values {
            cx: values.cx,
            env: &env,
            amend: values.amend,
        };
        spec.when = values.condition("when", &entry.value);
    }
}

/// Values that are compared with fields of events: no lists, no maps.
pub(super) fn scalars(
    values: &mut Values<'_, '_>,
    fields: &Map,
    key: &str,
) -> Vec<(String, Template)> {
    let entries = fields.get(key).and_then(|entry| entry.value.as_map());
    let mut read = Vec::new();
    for entry in entries.into_iter().flat_map(|map| &map.entries) {
        let (template, ty) = values.value(&entry.value);
        if !ty.is_scalar() {
            values.expected(&entry.value, "text, a number or a bool", &ty);
        }
        read.push((entry.key.clone(), template));
    }
    read
}

fn fill_emit(values: &mut Values<'_, '_>, fields: &Map, spec: &mut EmitSpec) {
    spec.data = fields.get("data").map(|entry| values.value(&entry.value).0);
    let mut text = |key: &str| {
        let entry = fields.get(key)?;
        values.text(key, &entry.value)
    };
    spec.key = text("key");
    spec.to = text("to");
}

fn fill_files(values: &mut Values<'_, '_>, fields: &Map, spec: &mut FilesSpec) {
    let changes = fields.get("changes").and_then(|entry| entry.value.as_seq());
    let maps = changes.unwrap_or_default().iter().filter_map(Node::as_map);
    // A change that could not be read is not in the list; its expressions are, and then the file
    // has an error that is mended first.
    let complete = maps.clone().count() == spec.changes.len();
    for (change, map) in spec.changes.iter_mut().zip(maps).filter(|_| complete) {
        text_into(values, map, "path", &mut change.path);
        match &mut change.op {
            FileOp::Write(content) => text_into(values, map, "content", content),
            FileOp::Patch(patch) => text_into(values, map, "patch", patch),
            FileOp::Move(to) => text_into(values, map, "to", to),
            FileOp::Delete | FileOp::MakeDir => {}
        }
        let expect = map.get("expect").and_then(|entry| entry.value.as_map());
        if let (Some(FileExpect::Sha256(digest)), Some(expect)) = (&mut change.expect, expect) {
            text_into(values, expect, "sha256", digest);
        }
    }
}

/// Values of variables, each held against its schema.
pub(super) fn assignments(
    values: &mut Values<'_, '_>,
    fields: &Map,
    declared: &super::Declared,
) -> Vec<(String, Template)> {
    let mut read = Vec::with_capacity(fields.entries.len());
    for entry in &fields.entries {
        let var = declared.vars.iter().find(|var| var.name == entry.key);
        let schema = var.map(|var| &var.schema);
        let template = values.fitting(&entry.value, schema, &format!("vars.{}", entry.key));
        read.push((entry.key.clone(), template));
    }
    read
}

/// `input` of a step, held against the inputs of the workflow or of the task type, if somebody
/// knows them.
fn step_inputs(
    values: &mut Values<'_, '_>,
    map: &Map,
    (kind, callee): (&str, &str),
    inputs: Option<&Vec<InputSpec>>,
) -> Vec<(String, Template)> {
    let written = map.get("input").and_then(|entry| {
        let fields = values.cx.map("input", &entry.value)?;
        Some((fields, entry.key_span))
    });
    let read = inputs_of(values, written.map(|(fields, _)| fields), callee, inputs);
    let call_span = map.get(kind).map(|entry| entry.key_span);
    for input in inputs.into_iter().flatten() {
        let needed = input.default.is_none() && !input.schema.is_optional();
        let given = read.iter().any(|(name, _)| {
            // A misspelt name was answered with this one.
            *name == input.name
                || inputs.is_some_and(|inputs| meant(name, inputs) == Some(&input.name))
        });
        if let (true, false, Some(span)) = (needed, given, call_span) {
            let span = written.map_or(span, |(_, span)| span);
            values.cx.sink.push(
                Note::error(
                    "PHI209",
                    span,
                    format!("`{callee}` needs input `{}`", input.name),
                )
                .help(format!("add `{}: VALUE` to `input`", input.name)),
            );
        }
    }
    read
}

/// The input that an unknown name probably means.
fn meant<'i>(name: &str, inputs: &'i [InputSpec]) -> Option<&'i str> {
    let names = || inputs.iter().map(|input| input.name.as_str());
    if names().any(|known| known == name) {
        return None;
    }
    nearest(name, names())
}

/// The values for a workflow's inputs, each held against its schema. `None`: nobody knows them.
pub(super) fn inputs_of(
    values: &mut Values<'_, '_>,
    fields: Option<&Map>,
    workflow: &str,
    inputs: Option<&Vec<InputSpec>>,
) -> Vec<(String, Template)> {
    let mut read = Vec::new();
    for entry in fields.into_iter().flat_map(|fields| &fields.entries) {
        let input = inputs.and_then(|inputs| inputs.iter().find(|input| input.name == entry.key));
        if let (Some(inputs), None) = (inputs, input) {
            let known = inputs.iter().map(|input| input.name.as_str());
            let message = format!("`{workflow}` has no input `{}`", entry.key);
            let note = Note::error("PHI209", entry.key_span, message);
            let note = match values.cx.nearest(&entry.key, known) {
                Some(near) => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(entry.key_span, near),
                None if inputs.is_empty() => note.help("it has no inputs"),
                None => {
                    let known = inputs.iter().map(|input| input.name.as_str());
                    note.help(format!("its inputs: {}", words(known)))
                }
            };
            values.cx.sink.push(note);
        }
        let place = format!("inputs.{}", entry.key);
        let schema = input.map(|input| &input.schema);
        let template = values.fitting(&entry.value, schema, &place);
        read.push((entry.key.clone(), template));
    }
    read
}

/// `error` as an optional field of an item.
pub(super) fn item_error(object: ObjectType) -> ObjectType {
    object.optional_field(
        "error",
        super::super::types::error_type(),
        "only a failed item has one",
    )
}
