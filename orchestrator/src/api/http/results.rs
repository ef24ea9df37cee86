//! Results of agents, one by one and many at once, with a look at the files that prove them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use phisync_agents::protocol::{
    CompleteManyRequest, CompleteManyResponse, CompleteRequest, CompleteResponse, PollRequest,
    ResultAnswer, Task,
};
use phisync_state::Head;

use crate::coordinator::{Coordinator, Lent, Outcome, Polled, Refusal};
use crate::engine::{RawJson, Rejection, TaskId};

use super::body::{Answer, Body};
use super::extract::Path;
use super::problem::Problem;
use super::roles::AsAgent;
use super::runs::bounded_wait;
use super::{App, RESULT_BYTES_MAX};

/// What proves a result is looked at again if other files turn out to be wanted; that ends.
const LOOKS_MAX: usize = 3;

/// So many results in one request.
const RESULTS_MAX: usize = 64;

pub(super) async fn complete(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Path(id): Path<String>,
    Body(request): Body<CompleteRequest, RESULT_BYTES_MAX>,
) -> Result<Answer<CompleteResponse>, Problem> {
    let mut outcome = Outcome {
        task: id,
        token: request.token,
        output: RawJson::from(request.output),
        proof: Vec::new(),
    };
    let lent = app.lent_for(&outcome.task).await?;
    for _ in 1..LOOKS_MAX {
        match report(&app, &agent, &outcome, request.poll.as_ref(), &lent).await {
            Err(Refusal::Rejected(Rejection::ProofWanted { files, .. })) => {
                outcome.proof = app.prover.look(files).await?;
            }
            reported => return answer(reported),
        }
    }
    answer(report(&app, &agent, &outcome, request.poll.as_ref(), &lent).await)
}

fn answer(
    reported: Result<(Option<Vec<Task>>, Head), Refusal>,
) -> Result<Answer<CompleteResponse>, Problem> {
    let (tasks, head) = reported?;
    let seq = head.seq.0;
    Ok(Answer::ok(CompleteResponse { seq, tasks }, head))
}

/// Reports one result, and polls for what is next if that is asked for.
async fn report(
    app: &App,
    agent: &str,
    outcome: &Outcome,
    poll: Option<&PollRequest>,
    lent: &Lent,
) -> Result<(Option<Vec<Task>>, Head), Refusal> {
    let (agent, outcome) = (agent.to_owned(), outcome.clone());
    let Some(next) = poll.cloned() else {
        let complete = move |c: &mut Coordinator, now| c.complete_with(&agent, &outcome, None, now);
        let (_, head) = app.handle.call(lent.clone().to(complete)).await?;
        return Ok((None, head));
    };
    let wait = bounded_wait(next.wait_s);
    let max = next.max.unwrap_or(1);
    let caller = agent.clone();
    let complete_and_poll = move |c: &mut Coordinator, now| {
        let capabilities = next.capabilities.as_deref();
        let completed = c.complete_with(&agent, &outcome, Some((capabilities, max)), now)?;
        match completed.tasks {
            Some(tasks) if !tasks.is_empty() => Ok(Polled::Tasks(tasks)),
            _ => c.poll(&agent, capabilities, max, wait, now),
        }
    };
    let (tasks, head) = app
        .handle
        .claim(caller, lent.clone().to(complete_and_poll))
        .await?;
    Ok((Some(tasks), head))
}

pub(super) async fn complete_many(
    State(app): State<Arc<App>>,
    AsAgent(agent): AsAgent,
    Body(request): Body<CompleteManyRequest, RESULT_BYTES_MAX>,
) -> Result<Answer<CompleteManyResponse>, Problem> {
    if request.results.len() > RESULTS_MAX {
        let detail = format!(
            "{} results, and one request takes {RESULTS_MAX}",
            request.results.len()
        );
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "bad_request", detail));
    }
    let outcomes = request.results.into_iter().map(|result| Outcome {
        task: result.task,
        token: result.token,
        output: RawJson::from(result.output),
        proof: Vec::new(),
    });
    let mut outcomes: Vec<_> = outcomes.collect();
    let runs = outcomes
        .iter()
        .filter_map(|outcome| Some(TaskId::split(&outcome.task).ok()?.0));
    // Each once, however many results name it.
    let runs: BTreeSet<_> = runs.collect();
    let lent = app.lent(runs).await?;
    let mut answers: Vec<Result<(), Refusal>> = vec![Ok(()); outcomes.len()];
    let mut open: Vec<usize> = (0..outcomes.len()).collect();
    // Those that files have to prove come again, in a batch of their own.
    let (mut tasks, mut head) = (None, None);
    for look in 0..LOOKS_MAX {
        let some: Vec<_> = open.iter().map(|at| outcomes[*at].clone()).collect();
        let (caller, next) = (agent.clone(), request.poll.clone());
        let (done, at) = app
            .handle
            .call(lent.clone().to(move |c: &mut Coordinator, now| {
                let next = next.as_ref().map(|next| {
                    let max = next.max.unwrap_or(1);
                    (next.capabilities.as_deref(), max)
                });
                c.complete_many(&caller, &some, next.filter(|_| look == 0), now)
            }))
            .await?;
        let (said, completed) = done;
        tasks = tasks.or(completed.tasks);
        head = Some(at);
        for (place, said) in open.drain(..).zip(said) {
            answers[place] = said;
        }
        for (place, answer) in answers.iter().enumerate() {
            if let Err(Refusal::Rejected(Rejection::ProofWanted { files, .. })) = answer {
                outcomes[place].proof = app.prover.look(files.clone()).await?;
                open.push(place);
            }
        }
        if open.is_empty() {
            break;
        }
    }
    let mut head = head.ok_or_else(|| Problem::from(Refusal::Busy))?;
    if let Some(next) = request
        .poll
        .filter(|_| tasks.as_ref().is_some_and(Vec::is_empty))
    {
        let wait = bounded_wait(next.wait_s);
        let max = next.max.unwrap_or(1);
        let polled = app.handle.poll(agent, next.capabilities, max, wait);
        let (found, at) = polled.await?;
        (tasks, head) = (Some(found), at);
    }
    let results = outcomes
        .into_iter()
        .zip(answers)
        .map(|(outcome, answer)| ResultAnswer {
            task: outcome.task,
            accepted: answer.is_ok(),
            problem: answer.err().map(|refusal| Problem::from(refusal).body()),
        });
    let body = CompleteManyResponse {
        seq: head.seq.0,
        results: results.collect(),
        tasks,
    };
    Ok(Answer::ok(body, head))
}
