//! What a fact is about. The match has no wildcard: a new fact must say it.

use super::RunEvent;

impl RunEvent {
    /// The step that the fact is about; `None` if it is about the run or a pass.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepSkipped { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepCancelled { step, .. }
            | Self::BlockStarted { step, .. }
            | Self::BlockFailing { step, .. }
            | Self::BlockCancelling { step, .. }
            | Self::BlockRetried { step, .. }
            | Self::ChildEnded { step, .. }
            | Self::FilesWanted { step, .. }
            | Self::FilesDecided { step, .. }
            | Self::FilesRetried { step, .. }
            | Self::TimerSet { step, .. }
            | Self::TaskReady { step, .. }
            | Self::TaskClaimed { step, .. }
            | Self::TaskCompleted { step, .. }
            | Self::TaskFailed { step, .. }
            | Self::TaskReleased { step, .. }
            | Self::TaskRetried { step, .. }
            | Self::TaskAsked { step, .. }
            | Self::TaskAnswered { step, .. }
            | Self::TaskProgressed { step, .. }
            | Self::TaskWrote { step, .. }
            | Self::TaskUnproven { step, .. }
            | Self::TaskCancelRequested { step, .. }
            | Self::ApprovalRequested { step, .. }
            | Self::ApprovalDecided { step, .. }
            | Self::ApprovalEscalated { step, .. }
            | Self::EventAwaited { step, .. }
            | Self::EventDelivered { step, .. }
            | Self::EventEmitted { step, .. }
            | Self::SignalLost { step, .. }
            | Self::IncidentOpened { step, .. }
            | Self::IncidentResolved { step, .. } => Some(step),
            Self::RunStarted { .. }
            | Self::RunPaused { .. }
            | Self::RunRewound { .. }
            | Self::RunHeld { .. }
            | Self::RunAdmitted { .. }
            | Self::RunResumed { .. }
            | Self::SignalReceived { .. }
            | Self::PassOpened { .. }
            | Self::PassFailing { .. }
            | Self::PassStopping { .. }
            | Self::PassEnded { .. }
            | Self::RunFinishing { .. }
            | Self::StateEntered { .. }
            | Self::StateLeft { .. }
            | Self::RunFailing { .. }
            | Self::RunCancelling { .. }
            | Self::UndoStarted { .. }
            | Self::StallFound { .. }
            | Self::StallResolved { .. }
            | Self::RunCompleted { .. }
            | Self::RunFailed { .. }
            | Self::RunCancelled { .. } => None,
        }
    }
}
