//! The table of routes: the one list of what can be asked.

use super::route::Route;
use super::{
    agents, control, documents, events, locks, openapi, past, people, results, runs, schedules,
    snapshots, system, tasks, tokens, transactions, workflows,
};

/// All routes, in the order in which `docs/http-api.md` tells of them.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", "health", "Whether the server is well, and what it has on disk.", system::health),
        Route::get("/openapi.json", "openapi", "This description.", openapi::show),
        Route::post("/v1/workflows", "workflows.register", "Registers the YAML text of one workflow.", workflows::register)
            .answers(&[201]).refuses(&[409, 422]),
        Route::get("/v1/workflows", "workflows.list", "The newest version of each workflow.", workflows::list),
        Route::get("/v1/workflows/{name}", "workflows.show", "One workflow with its text.", workflows::show),
        Route::post("/v1/runs", "runs.start", "Starts a run; 200 where the key named an open one.", runs::start)
            .answers(&[200, 201]).refuses(&[404, 409, 422]),
        Route::get("/v1/runs", "runs.list", "Runs, newest first, archived ones too.", past::list)
            .refuses(&[422]),
        Route::get("/v1/runs/{id}", "runs.show", "One run, as it stands or as it stood.", past::show)
            .refuses(&[409, 410, 500]),
        Route::get("/v1/runs/{id}/events", "runs.events", "What happened to a run; waits for more if asked.", runs::events)
            .refuses(&[409, 410, 500]),
        Route::get("/v1/runs/{id}/wait", "runs.wait", "Waits until a run is closed or the time is over.", runs::wait)
            .refuses(&[409, 410, 500]),
        Route::get("/v1/runs/{id}/why", "runs.why", "What a run waits for, and why that is open.", runs::why)
            .refuses(&[409, 410, 500]),
        Route::get("/v1/runs/{id}/workflow", "runs.workflow", "The version of its workflow that a run is pinned to.", runs::workflow)
            .refuses(&[409, 410, 500]),
        Route::post("/v1/runs/{id}/cancel", "runs.cancel", "Ends a run; what was done is undone.", control::cancel)
            .refuses(&[409, 410]),
        Route::post("/v1/runs/{id}/pause", "runs.pause", "Lets nothing new of a run begin.", control::pause)
            .refuses(&[409, 410]),
        Route::post("/v1/runs/{id}/resume", "runs.resume", "Lets a paused run go on.", control::resume)
            .refuses(&[409, 410]),
        Route::post("/v1/runs/{id}/signal", "runs.signal", "Tells a run something that it may wait for.", control::signal)
            .refuses(&[409, 410]),
        Route::post("/v1/runs/{id}/retry", "runs.retry", "Starts a run that keeps what succeeded in this one.", control::retry)
            .answers(&[201]).refuses(&[409, 410]),
        Route::post("/v1/runs/{id}/fork", "runs.fork", "Starts a run that keeps everything up to a sequence.", control::fork)
            .answers(&[201]).refuses(&[409, 410]),
        Route::post("/v1/events", "events.send", "Tells everybody something that runs may wait for or start with.", events::send)
            .answers(&[201]).refuses(&[409, 422]),
        Route::get("/v1/schedules", "schedules.list", "All schedules.", schedules::list),
        Route::get("/v1/schedules/{name}/{id}", "schedules.show", "One schedule of a workflow.", schedules::show),
        Route::post("/v1/schedules/{name}/{id}/pause", "schedules.pause", "Lets a schedule start nothing.", schedules::pause)
            .refuses(&[409]),
        Route::post("/v1/schedules/{name}/{id}/resume", "schedules.resume", "Lets a paused schedule go on.", schedules::resume)
            .refuses(&[409]),
        Route::post("/v1/schedules/{name}/{id}/trigger", "schedules.trigger", "Starts a run of a schedule by hand.", schedules::trigger)
            .refuses(&[409]),
        Route::post("/v1/schedules/{name}/{id}/backfill", "schedules.backfill", "Makes up for instants that were not taken.", schedules::backfill)
            .refuses(&[409]),
        Route::get("/v1/tasks/{id}", "tasks.show", "One task: who holds it, how far it is, what it waits for, what was left behind.", tasks::show)
            .refuses(&[409, 410]),
        Route::post("/v1/tasks/poll", "tasks.poll", "Hands out tasks; waits for one if asked, 204 if there is none.", tasks::poll)
            .refuses(&[404]),
        Route::post("/v1/tasks/complete", "tasks.complete_many", "Reports many results at once, each with its own answer.", results::complete_many)
            .refuses(&[404, 422]),
        Route::post("/v1/tasks/{id}/heartbeat", "tasks.heartbeat", "Renews the lease of a task.", tasks::heartbeat)
            .refuses(&[409, 410]),
        Route::post("/v1/tasks/{id}/complete", "tasks.complete", "Reports a result, and takes the next task if asked.", results::complete)
            .refuses(&[409, 410]),
        Route::post("/v1/tasks/{id}/fail", "tasks.fail", "Reports an error.", tasks::fail)
            .refuses(&[409, 410]),
        Route::post("/v1/tasks/{id}/ask", "tasks.ask", "Asks people; the task is parked until one of them answers.", tasks::ask)
            .refuses(&[409, 410]),
        Route::post("/v1/tasks/{id}/release", "tasks.release", "Gives a task back for others to take.", tasks::release)
            .refuses(&[409, 410]),
        Route::get("/v1/agents", "agents.list", "The team: what each can do and holds, and whether it lives.", agents::list),
        Route::post("/v1/agents", "agents.register", "Takes an agent into the team that agents.yaml does not declare, or describes one anew; 201 with its token if it was not there.", agents::register)
            .answers(&[200, 201]).refuses(&[409, 422, 500]),
        Route::post("/v1/agents/heartbeat", "agents.heartbeat", "Says that an agent lives.", agents::heartbeat)
            .refuses(&[404]),
        Route::get("/v1/agents/{name}", "agents.show", "One agent: what it holds, what became of its last tasks, and the numbers behind the verdict on it.", agents::show),
        Route::post("/v1/agents/{name}/drain", "agents.drain", "Gives an agent nothing more; it ends what it holds.", agents::drain)
            .refuses(&[409]),
        Route::post("/v1/agents/{name}/undrain", "agents.undrain", "Lets a drained agent take tasks again.", agents::undrain)
            .refuses(&[409]),
        Route::post("/v1/agents/{name}/remove", "agents.remove", "Takes a registered agent out of the team, and ends its tokens.", agents::remove)
            .refuses(&[409, 500]),
        Route::get("/v1/approvals", "approvals.list", "Approvals that wait, the next to expire first.", people::approvals),
        Route::get("/v1/approvals/{id}", "approvals.show", "One approval, open or not.", people::approval)
            .refuses(&[409, 410]),
        Route::post("/v1/approvals/{id}/decide", "approvals.decide", "Decides an approval.", people::decide)
            .refuses(&[409, 410]),
        Route::get("/v1/incidents", "incidents.list", "What could not be undone and waits for a person.", people::incidents),
        Route::post("/v1/incidents/{id}/resolve", "incidents.resolve", "Says what becomes of an incident.", people::resolve)
            .refuses(&[409, 410]),
        Route::get("/v1/me", "me", "Whom the server takes the caller for.", system::me),
        Route::post("/v1/transactions", "transactions.apply", "Changes files and documents whole or not at all; 202: decided, and not on disk everywhere yet.", transactions::apply)
            .answers(&[201, 202]).refuses(&[404, 409, 410, 422]),
        Route::get("/v1/transactions", "transactions.list", "All transactions, by name.", transactions::list),
        Route::get("/v1/transactions/{id}", "transactions.show", "One transaction, open or not.", transactions::show)
            .refuses(&[409]),
        Route::post("/v1/transactions/{id}/revert", "transactions.revert", "Takes a transaction back by another one.", transactions::revert)
            .answers(&[201, 202]).refuses(&[409, 410]),
        Route::get("/v1/documents", "documents.list", "All shared documents, by name.", documents::list),
        Route::get("/v1/documents/{name}", "documents.show", "One shared document with its content.", documents::show),
        Route::put("/v1/documents/{name}", "documents.put", "Writes one shared document, if it is as `If-Match` or `If-None-Match` says.", documents::put),
        Route::post("/v1/documents/{name}/turn", "documents.turn", "Waits for the turn at a document: until it is over, nobody else writes that.", documents::turn)
            .refuses(&[409]),
        Route::post("/v1/documents/{name}/turn/release", "documents.release_turn", "Gives a turn up without a write.", documents::release_turn),
        Route::get("/v1/locks", "locks.list", "Locks that somebody has or waits for.", locks::list),
        Route::post("/v1/locks/{name}/acquire", "locks.acquire", "Takes a named lock; waits in line for it if asked.", locks::acquire)
            .refuses(&[409]),
        Route::post("/v1/locks/{name}/renew", "locks.renew", "Starts the lease of a lock over.", locks::renew)
            .refuses(&[409]),
        Route::post("/v1/locks/{name}/release", "locks.release", "Gives a lock back.", locks::release)
            .refuses(&[409]),
        Route::get("/v1/alarms", "alarms", "What was found out of order in the store, newest first.", system::alarms),
        Route::get("/v1/snapshots", "snapshots.list", "Snapshots, oldest first, every byte checked.", snapshots::list)
            .refuses(&[500]),
        Route::post("/v1/snapshots", "snapshots.take", "Takes a snapshot now.", snapshots::take)
            .refuses(&[409, 429, 500, 503, 507]),
        Route::post("/v1/rewind", "snapshots.rewind", "Takes runs and documents back to an earlier moment, or says what that would do.", snapshots::rewind)
            .refuses(&[409, 410, 422, 429, 503, 507]),
        Route::get("/v1/tokens", "tokens.list", "Access tokens, without their secrets.", tokens::list),
        Route::post("/v1/tokens", "tokens.create", "Makes a token; its secret is shown this once.", tokens::create)
            .answers(&[201]).refuses(&[422, 500, 503]),
        Route::post("/v1/tokens/{id}/rotate", "tokens.rotate", "Makes another token in the place of one.", tokens::rotate)
            .refuses(&[500]),
        Route::post("/v1/tokens/{id}/revoke", "tokens.revoke", "Ends a token.", tokens::revoke)
            .refuses(&[409, 500]),
    ]
}
