//! `phisync agent show NAME`.

use std::time::Duration;

use clap::Args;
use phisync::protocol::{AgentDetail, AgentWork, Judgement, Rhythm};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

use super::list::{origin, state};

/// Show one agent: what it holds, how it worked lately, and why it counts as alive or dead.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The agent
    name: String,
}

impl Show {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let agent: AgentDetail = context
            .place
            .with_server(None, |api| Ok(api.get(&["v1", "agents", &self.name], &[])?))?;
        context.output.one(&agent, text)?;
        Ok(ExitCode::Ok)
    }
}

/// Milliseconds as people read them.
fn time(millis: u64) -> String {
    let seconds = Duration::from_millis(millis).as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.3}s")
    } else {
        format!("{seconds:.0}s")
    }
}

fn text(agent: &AgentDetail) -> String {
    let summary = &agent.summary;
    let mut lines = vec![
        ("agent", summary.name.clone()),
        ("from", from(agent)),
        ("state", state(summary)),
    ];
    if let Some(drained) = &agent.drained_by {
        let why = drained.reason.as_ref().map(|reason| format!(": {reason}"));
        let why = why.unwrap_or_default();
        lines.push((
            "drained",
            format!("by {} at {}{why}", drained.by, drained.at),
        ));
    }
    lines.push(("pool", agent.pool.clone()));
    if !summary.capabilities.is_empty() {
        lines.push(("can do", summary.capabilities.join(", ")));
    }
    lines.push(("last seen", last_seen(agent)));
    let limits = format!(
        "{}: suspect after {}, dead after {}",
        agent.detector,
        time(agent.suspect_after_ms),
        time(agent.dead_after_ms)
    );
    lines.push(("detector", limits));
    if let Some(rhythm) = &agent.rhythm {
        lines.push(("rhythm", rhythm_text(rhythm)));
    }
    if let Some(judged) = &agent.judged {
        lines.push(("verdict", judged_text(judged)));
    }
    if let Some(rate) = &agent.rate {
        let rest = agent
            .resting_ms
            .map(|rest| format!(", used up for {}", time(rest)));
        lines.push(("rate", format!("{rate}{}", rest.unwrap_or_default())));
    }
    let holds = format!("{} of {}", agent.tasks.len(), summary.concurrency);
    lines.push(("holds", holds));
    for task in &agent.tasks {
        let since = task.since.as_ref().map(|since| format!(" since {since}"));
        let since = since.unwrap_or_default();
        let left = time(task.lease_left_ms);
        lines.push(("", format!("{}{since}, lease ends in {left}", task.task)));
    }
    if let Some(still) = summary.still_ms {
        lines.push(("progress", format!("unchanged for {}", time(still))));
    }
    lines.push(("worked", worked(&agent.work)));
    if let (Some(p50), Some(p95)) = (agent.work.p50_ms, agent.work.p95_ms) {
        let took = format!("p50 {}, p95 {} from claim to result", time(p50), time(p95));
        lines.push(("", took));
    }
    let lines = lines
        .iter()
        .map(|(what, words)| format!("{what:<10} {words}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn from(agent: &AgentDetail) -> String {
    let from = origin(&agent.summary);
    match &agent.registered_by {
        None => from.to_owned(),
        Some(who) if agent.summary.origin == "registered" => {
            format!("{from} by {} at {}", who.by, who.at)
        }
        Some(who) => format!(
            "{from}; what {} registered at {} rests while it stands there",
            who.by, who.at
        ),
    }
}

fn last_seen(agent: &AgentDetail) -> String {
    let waits = if agent.waits {
        ", waits for a task"
    } else {
        ""
    };
    match (&agent.last_seen, agent.summary.silent_ms) {
        (Some(at), Some(silent)) => format!("{at}, {} ago{waits}", time(silent)),
        _ => "not since the server started".to_owned(),
    }
}

fn rhythm_text(rhythm: &Rhythm) -> String {
    let phi = rhythm.phi.map(|phi| format!(", phi {phi:.1} now"));
    format!(
        "heard of every {} give or take {} ({} gaps){}",
        time(rhythm.mean_ms),
        time(rhythm.deviation_ms),
        rhythm.gaps,
        phi.unwrap_or_default()
    )
}

fn judged_text(judged: &Judgement) -> String {
    let mut text = format!("{} -> {} at {}", judged.from, judged.to, judged.at);
    if judged.to != "alive" {
        let (silent, limit) = (time(judged.silent_ms), time(judged.limit_ms));
        text.push_str(&format!(": silent for {silent} of {limit}"));
    }
    if let Some(phi) = judged.rhythm.as_ref().and_then(|rhythm| rhythm.phi) {
        text.push_str(&format!(", phi {phi:.1}"));
    }
    text
}

fn worked(work: &AgentWork) -> String {
    let Some(rate) = work.success_rate else {
        return "on nothing lately".to_owned();
    };
    format!(
        "{:.0} % of its last attempts succeeded: {} completed, {} failed, {} lost, {} given back",
        rate * 100.0,
        work.completed,
        work.failed,
        work.lost,
        work.given_back
    )
}
