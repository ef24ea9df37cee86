//! Decisions given before the questions: `--approve STEP`, `--reject STEP`.

use clap::Args;
use phisync::engine::RunEvent;
use phisync::protocol::DecideRequest;
use phisync_workflows::Machine;
use phisync_workflows::machine::StepKind;

use crate::cli::api::Api;
use crate::cli::approval;
use crate::cli::exit_code::ExitCode;
use crate::cli::live::Live;
use crate::cli::report::Report;

/// What the owner decides when asked.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Answers {
    /// Approve this step as the owner when it asks; may be repeated
    #[arg(long, value_name = "STEP")]
    approve: Vec<String>,

    /// Reject this step as the owner when it asks; may be repeated
    #[arg(long, value_name = "STEP")]
    reject: Vec<String>,
}

impl Answers {
    /// Refuses answers to what is never asked, and contradictions.
    ///
    /// # Errors
    /// The first such answer.
    pub(super) fn check(&self, machine: &Machine) -> Result<(), Report> {
        for step in self.approve.iter().chain(&self.reject) {
            let index = machine.step_named(step);
            let asks = index
                .is_some_and(|index| matches!(machine.step(index).kind, StepKind::Approval(_)));
            if !asks {
                let message = format!("`{step}` is no approval step of `{}`", machine.name());
                return Err(Report::new(ExitCode::Usage, message).hint(questions(machine)));
            }
            if self.approve.contains(step) && self.reject.contains(step) {
                let message = format!("`{step}` is both approved and rejected");
                return Err(Report::new(ExitCode::Usage, message));
            }
        }
        Ok(())
    }

    fn to(&self, step: &str) -> Option<&'static str> {
        // All rounds of a step get the same answer.
        let step = &step.split(['.', '~']).next().unwrap_or(step).to_owned();
        if self.approve.contains(step) {
            Some("approve")
        } else if self.reject.contains(step) {
            Some("reject")
        } else {
            None
        }
    }

    /// Answers what `event` asks, or says how to.
    pub(super) fn give(&self, api: &Api, run: &str, event: &RunEvent, live: &Live) {
        match event {
            RunEvent::ApprovalRequested { step, shown_hash, .. } => {
                let id = format!("{run}.{step}");
                let Some(decision) = self.to(step) else {
                    live.say(&format!("{step} waits for a decision: phisync approval approve {id}"));
                    return;
                };
                let request = DecideRequest {
                    decision: decision.to_owned(),
                    shown_hash: Some(shown_hash.clone()),
                    comment: None,
                    form: None,
                };
                if let Err(refusal) = approval::send(api, &id, &request) {
                    live.say(&format!("{step} waits for another decision: {}", refusal.words()));
                }
            }
            RunEvent::TaskAsked {
                step,
                undo,
                question,
                ..
            } => {
                let task = if *undo { format!("{step}.undo") } else { step.clone() };
                live.say(&format!(
                    "{step} asks: {question}\n  phisync approval answer {run}.{task} --text ..."
                ));
            }
            RunEvent::IncidentOpened { step, .. } => live.say(&format!(
                "{step} could not be undone: phisync incident retry|skip|abandon {run}.{step} --reason ..."
            )),
            _ => {}
        }
    }
}

fn questions(machine: &Machine) -> String {
    let asks =
        |step: &&phisync_workflows::machine::Step| matches!(step.kind, StepKind::Approval(_));
    let names: Vec<String> = machine
        .steps()
        .iter()
        .filter(asks)
        .map(|step| format!("`{}`", step.id))
        .collect();
    match names.as_slice() {
        [] => "the workflow asks for no approval".to_owned(),
        names => format!("its approval steps are {}", names.join(", ")),
    }
}
