//! Facts about changes of files.

use super::{stop_waiting, wait_until};
use crate::engine::Waker;
use crate::engine::event::RunEvent;
use crate::engine::files::{FilesStage, FilesWork};
use crate::engine::pass::Slot;
use crate::engine::run::RunState;
use crate::engine::status::StepStatus;

pub(super) fn apply_to_files(run: &mut RunState, slot: Slot, event: &RunEvent) {
    match event {
        RunEvent::FilesWanted {
            attempt,
            order,
            at,
            deadline,
            ..
        } => {
            wait_until(run, slot, *deadline);
            let step = run.step_mut(slot);
            let first_wanted_at = *step.started_at.get_or_insert(*at);
            step.waker = Some(Waker::Files {
                until: Some(*deadline),
            });
            step.files = Some(Box::new(FilesWork {
                attempt: *attempt,
                first_wanted_at,
                stage: FilesStage::Wanted(order.clone()),
            }));
        }
        RunEvent::FilesDecided {
            transaction,
            output,
            ..
        } => {
            stop_waiting(run, slot);
            let stage = FilesStage::Decided {
                transaction: transaction.clone(),
                output: output.clone(),
            };
            go_to(run, slot, stage);
            let step = run.step_mut(slot);
            step.status = StepStatus::Waiting;
            step.waker = Some(Waker::Files { until: None });
        }
        RunEvent::FilesRetried { due, .. } => {
            go_to(run, slot, FilesStage::BackingOff);
            wait_until(run, slot, *due);
        }
        // `apply` sends only facts about files here.
        _ => {}
    }
}

fn go_to(run: &mut RunState, slot: Slot, stage: FilesStage) {
    if let Some(work) = &mut run.step_mut(slot).files {
        work.stage = stage;
    }
}
