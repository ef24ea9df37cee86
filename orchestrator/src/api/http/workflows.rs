//! Workflows: register, list, show.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_agents::registry::AgentSpec;
use phisync_workflows::{CatalogAgent, Machine, SourceText, compile, render};

use crate::identity::Caller;
use crate::protocol::{Registered, WorkflowDetail, WorkflowList};

use super::App;
use super::body::{Answer, Text};
use super::extract::Path;
use super::problem::Problem;
use super::roles::Operator;

/// Compiles the text of one workflow, as a client sent it.
pub(super) async fn compile_one(
    app: &App,
    name: &str,
    text: &str,
) -> Result<Arc<Machine>, Problem> {
    let source = SourceText::new(name, text);
    let mut catalog = app.catalog.clone();
    // Whoever calls nobody does not have to know whom it could.
    if text.contains("call") {
        let (callable, _) = app.handle.call(|c, _| Ok(c.callable())).await?;
        catalog.workflows = Some(callable);
    }
    let mut compiled = compile(&source, Some(&catalog));
    // Whoever was registered is missed at most: what compiles without them compiles with them.
    if compiled.has_errors() {
        let registered = app
            .handle
            .call(|c, _| Ok(c.registered().map(member).collect::<Vec<_>>()));
        let (registered, _) = registered.await?;
        if !registered.is_empty() {
            catalog.agents.extend(registered);
            compiled = compile(&source, Some(&catalog));
        }
    }
    let invalid = |detail: String| {
        let diagnostics = render::json(&source, &compiled.diagnostics);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_workflow", detail)
            .with_diagnostics(diagnostics)
    };
    if compiled.has_errors() {
        return Err(invalid(render::text(&source, &compiled.diagnostics, false)));
    }
    let mut machines = compiled.machines.clone().into_iter();
    match (machines.next(), machines.next()) {
        (Some(machine), None) => Ok(Arc::new(machine)),
        (None, _) => Err(invalid("the text holds no workflow".to_owned())),
        (Some(_), Some(_)) => Err(invalid("the text holds several workflows".to_owned())),
    }
}

/// An agent, as far as a workflow can ask for it.
fn member(spec: &AgentSpec) -> CatalogAgent {
    CatalogAgent {
        name: spec.name.declared().to_owned(),
        capabilities: spec.capabilities.clone(),
        pool: spec.pool.clone(),
        concurrency: spec.concurrency,
    }
}

pub(super) async fn register(
    State(app): State<Arc<App>>,
    _operator: Operator,
    Text(text): Text,
) -> Result<Answer<Registered>, Problem> {
    let machine = compile_one(&app, "<request>", &text).await?;
    let register = app.answer(move |c, now| c.register(&machine, now));
    Ok(register.await?.created())
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<WorkflowList>, Problem> {
    let list = app.answer(|c, _| {
        let workflows = c.workflows();
        Ok(WorkflowList { workflows })
    });
    list.await
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Answer<WorkflowDetail>, Problem> {
    let show = app.answer(move |c, _| {
        let machine = c.workflow(&name)?;
        Ok(WorkflowDetail::of(&machine, c.calls_of(&machine)))
    });
    show.await
}
