//! Workflows: register, list, show.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use phisync_workflows::{Machine, SourceText, compile, render};

use crate::identity::Caller;
use crate::protocol::{Registered, WorkflowList};

use super::App;
use super::body::{Answer, read};
use super::extract::Path;
use super::problem::Problem;

/// Compiles the text of one workflow, as a client sent it.
pub(super) fn compile_one(app: &App, name: &str, text: &str) -> Result<Arc<Machine>, Problem> {
    let source = SourceText::new(name, text);
    let compiled = compile(&source, Some(&app.catalog));
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

pub(super) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    caller.operator()?;
    let bytes = read(request, &app).await?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    })?;
    let machine = compile_one(&app, "<request>", text)?;
    let (registered, head) = app
        .handle
        .call(move |c, now| c.register(&machine, now))
        .await?;
    Ok(Answer::<Registered> {
        status: StatusCode::CREATED,
        head,
        body: registered,
    })
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
) -> Result<Answer<WorkflowList>, Problem> {
    let (workflows, head) = app.handle.call(|c, _| Ok(c.workflows())).await?;
    Ok(Answer::ok(WorkflowList { workflows }, head))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Answer<serde_json::Value>, Problem> {
    let (machine, head) = app.handle.call(move |c, _| c.workflow(&name)).await?;
    let body = serde_json::json!({
        "name": machine.name(),
        "version": machine.version(),
        "hash": machine.hash(),
        "source": machine.source(),
    });
    Ok(Answer::ok(body, head))
}
