//! `phisync run show RUN`.

use clap::Args;
use phisync::protocol::{RunDetail, StepDetail};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::{Table, one_line};
use crate::cli::report::Report;

/// Show where a run and each of its steps stand.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Run, or a unique beginning of its id
    run: String,

    /// As it stood at a sequence of the store, or at a time such as 2026-11-22T09:30:00Z
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<String>,
}

impl Show {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let detail: RunDetail = context.place.with_server(None, |api| {
            let at = self.at.as_deref().map(|at| ("at", at));
            let query: Vec<_> = at.into_iter().collect();
            Ok(api.get(&["v1", "runs", &self.run], &query)?)
        })?;
        context.output.one(&detail, table)?;
        Ok(ExitCode::Ok)
    }
}

fn table(detail: &RunDetail) -> String {
    let run = &detail.summary;
    let status = match run.phase.as_str() {
        "forward" | "closed" => run.status.clone(),
        phase => format!("{}, {phase}", run.status),
    };
    let mut lines = vec![
        ("run", run.id.clone()),
        ("workflow", format!("{} {}", run.workflow, run.version)),
        ("status", status),
        ("started", format!("{} by {}", run.started_at, run.by)),
    ];
    match &run.closed_at {
        Some(closed_at) => lines.push(("closed", closed_at.clone())),
        None => lines.push(("deadline", detail.deadline.clone())),
    }
    if let Some(still) = &detail.stands_still {
        lines.push(("still", still.clone()));
    }
    if let Some(error) = &run.error {
        lines.push(("error", format!("{}: {}", error.code, error.message)));
    }
    if let Some(rewound) = &detail.rewound {
        let (event, by, at) = (rewound.event, &rewound.by, &rewound.at);
        let words = format!("to event {event} by {by} at {at}: {}", rewound.reason);
        lines.push(("rewound", words));
    }
    if run.undo != "none" {
        lines.push(("undone", run.undo.clone()));
    }
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name:<9} {}\n", one_line(&value)));
    }
    text.push('\n');
    text.push_str(&steps(&detail.steps).render());
    text
}

fn steps(steps: &[StepDetail]) -> Table {
    let mut table = Table::new(["STEP", "KIND", "STATUS", "TRIES", "AGENT", "REMARK"]);
    for step in steps {
        let remark = match (&step.error, &step.waits_for) {
            (_, Some(needs)) if needs.starts_with("needs ") => needs.clone(),
            (_, Some(waits_for)) => format!("waits for {waits_for}"),
            (Some(error), None) => format!("{}: {}", error.code, error.message),
            (None, None) => String::new(),
        };
        let tries = match step.attempts {
            0 => String::new(),
            attempts => attempts.to_string(),
        };
        table.row([
            step.id.clone(),
            step.kind.clone(),
            step.status.clone(),
            tries,
            step.agent.clone().unwrap_or_default(),
            remark,
        ]);
    }
    table
}
