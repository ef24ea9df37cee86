//! `phisync apply FILE...`: workflows that a server knows by name, and the compiling and registering of
//! several that call each other.

use std::path::PathBuf;

use clap::Args;
use phisync::protocol::{Registered, WorkflowList};
use phisync_workflows::machine::StepKind;
use phisync_workflows::{Catalog, CatalogWorkflow, Machine, SourceText, compile};

use super::api::{Api, CallError};
use super::exit_code::ExitCode;
use super::report::Report;
use super::workflow::table;
use super::{Context, definition};

/// Register workflows, so that they can be started by name, be called, and start by their schedules and
/// triggers.
///
/// All files are compiled first, beside each other; nothing is registered if one of them has an error.
/// Whoever is called is registered before its callers. A version that is known already becomes the newest
/// again; open runs stay on theirs.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync apply workflows/*.yaml")]
pub(super) struct Apply {
    /// Workflow files, of one workflow or several; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Apply {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let mut sources = Vec::with_capacity(self.files.len());
        for file in &self.files {
            sources.push(definition::read(file)?);
        }
        let known = interfaces(&sources);
        let mut machines = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let others = beside(&known, index);
            let own = definition::machines(&context.output, source, None, &others)?;
            machines.extend(own);
        }
        let workflows = context
            .place
            .with_server(None, |api| Ok(register(api, &machines)?))?;
        let list = WorkflowList { workflows };
        context.output.many(&list, &list.workflows, table)?;
        Ok(ExitCode::Ok)
    }
}

/// What each text offers to those who call its workflows, as far as the text alone tells; nothing where it
/// has errors.
pub(super) fn interfaces(sources: &[SourceText]) -> Vec<Vec<CatalogWorkflow>> {
    let offered = |source| {
        let machines = compile(source, None).machines;
        let known = machines.iter().map(|machine| CatalogWorkflow {
            name: machine.name().to_owned(),
            version: machine.version().to_owned(),
            interface: machine.interface(),
        });
        known.collect()
    };
    sources.iter().map(offered).collect()
}

/// What all texts but the one at `index` offer.
pub(super) fn beside(known: &[Vec<CatalogWorkflow>], index: usize) -> Vec<CatalogWorkflow> {
    let others = known.iter().enumerate();
    let others = others.filter(|(other, _)| *other != index);
    others.flat_map(|(_, list)| list).cloned().collect()
}

/// The workflows of all files that are given with the first, compiled beside it and each other.
///
/// # Errors
/// The first file that has errors; all of them were told.
pub(super) fn callable(
    context: &Context,
    sources: &[SourceText],
    known: &[Vec<CatalogWorkflow>],
    catalog: Option<&Catalog>,
) -> Result<Vec<Machine>, Report> {
    let mut machines = Vec::new();
    for (index, source) in sources.iter().enumerate().skip(1) {
        let others = beside(known, index);
        machines.extend(definition::machines(
            &context.output,
            source,
            catalog,
            &others,
        )?);
    }
    Ok(machines)
}

/// Registers all of them, those that others call first.
///
/// # Errors
/// What the server refuses; those before it are registered then.
pub(super) fn register(api: &Api, machines: &[Machine]) -> Result<Vec<Registered>, CallError> {
    let mut left: Vec<&Machine> = machines.iter().collect();
    let mut registered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready = |machine: &&Machine| {
            let callees = calls(machine);
            !left.iter().any(|other| callees.contains(&other.name()))
        };
        // Workflows that call each other in a circle have no first one: the server says so.
        let next = left.iter().position(ready).unwrap_or(0);
        let machine = left.remove(next);
        registered.push(api.post_text(&["v1", "workflows"], machine.source())?);
    }
    Ok(registered)
}

/// The names of the workflows that `machine` calls.
fn calls(machine: &Machine) -> Vec<&str> {
    let steps = machine.steps().iter();
    let calls = steps.filter_map(|step| match &step.kind {
        StepKind::Call(call) => Some(call.workflow.as_str()),
        _ => None,
    });
    calls.collect()
}
