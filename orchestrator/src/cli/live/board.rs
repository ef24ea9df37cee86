//! The rows of a run, folded from its events. Pure: it takes times and gives text.

use std::time::Duration;

use phisync::engine::{PassOutcome, Resolution, RunEvent, Then};

use crate::cli::output::width;

/// The rows of one run.
#[derive(Debug)]
pub(super) struct Board {
    run: String,
    state: &'static str,
    started: Duration,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    step: String,
    look: Look,
    state: String,
    agent: Option<String>,
    attempt: u32,
    /// Of a step that repeats, how many have ended well and badly.
    tally: (u32, u32),
    /// When it came into this state.
    since: Duration,
    /// When it first left the queue.
    first: Option<Duration>,
}

/// What a state looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Pending,
    Queued,
    Running,
    Asking,
    Good,
    Bad,
    Off,
    Undoing,
}

impl Look {
    fn mark(self) -> char {
        match self {
            Self::Pending => ' ',
            Self::Queued => '.',
            Self::Running => '>',
            Self::Asking => '?',
            Self::Good => '+',
            Self::Bad => 'x',
            Self::Off => '-',
            Self::Undoing => '<',
        }
    }

    /// The terminal's colour.
    fn color(self) -> &'static str {
        match self {
            Self::Pending | Self::Off => "2",
            Self::Queued => "0",
            Self::Running => "36",
            Self::Asking => "1;33",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Undoing => "35",
        }
    }

    /// Whether time still counts.
    fn is_open(self) -> bool {
        matches!(
            self,
            Self::Queued | Self::Running | Self::Asking | Self::Undoing
        )
    }
}

impl Board {
    /// All `steps` of the run `run`, none begun.
    pub(super) fn new<'a>(
        run: &str,
        steps: impl IntoIterator<Item = &'a str>,
        now: Duration,
    ) -> Self {
        let row = |step: &str| Row {
            step: step.to_owned(),
            look: Look::Pending,
            state: "pending".to_owned(),
            agent: None,
            attempt: 0,
            tally: (0, 0),
            since: now,
            first: None,
        };
        Self {
            run: run.to_owned(),
            state: "running",
            started: now,
            rows: steps.into_iter().map(row).collect(),
        }
    }

    /// Folds one event; gives the change in words. A question has none: whoever follows the run words it,
    /// with how to answer.
    pub(super) fn observe(&mut self, event: &RunEvent, now: Duration) -> Option<String> {
        match event {
            RunEvent::RunStarted { .. } => Some(format!("{}: running", self.run)),
            RunEvent::StepSkipped { step, .. } => self.set(step, Look::Off, "skipped", now),
            RunEvent::StepCompleted { step, .. } => self.set(step, Look::Good, "completed", now),
            RunEvent::StepFailed { step, error, .. } => {
                self.set(step, Look::Bad, &format!("failed, {}", error.code), now)
            }
            RunEvent::StepCancelled { step, .. } => self.set(step, Look::Off, "cancelled", now),
            RunEvent::TaskReady { step, undo, .. } => self.queued(step, *undo, "ready", now),
            RunEvent::TaskClaimed {
                step,
                undo,
                attempt,
                agent,
                ..
            } => {
                let row = self.row(step)?;
                row.agent = Some(agent.clone());
                row.attempt = *attempt;
                row.first.get_or_insert(now);
                let (look, state) = match undo {
                    false => (Look::Running, "running"),
                    true => (Look::Undoing, "undoing"),
                };
                self.set(step, look, state, now)
            }
            RunEvent::TaskCompleted {
                step, undo: false, ..
            } => self.set(step, Look::Good, "completed", now),
            RunEvent::TaskCompleted {
                step, undo: true, ..
            } => self.set(step, Look::Off, "undone", now),
            RunEvent::TaskFailed {
                step,
                undo,
                error,
                then,
                ..
            } => {
                let code = &error.code;
                match then {
                    Then::Requeue { .. } => {
                        self.queued(step, *undo, &format!("ready again, {code}"), now)
                    }
                    Then::Retry { .. } => {
                        self.queued(step, *undo, &format!("will retry, {code}"), now)
                    }
                    Then::Fail if *undo => {
                        self.set(step, Look::Bad, &format!("not undone, {code}"), now)
                    }
                    Then::Fail => self.set(step, Look::Bad, &format!("failed, {code}"), now),
                }
            }
            RunEvent::TaskReleased { step, undo, .. } => {
                self.queued(step, *undo, "ready again", now)
            }
            RunEvent::TaskRetried { step, undo, .. } => {
                self.queued(step, *undo, "ready again", now)
            }
            RunEvent::TaskAsked { step, .. } => {
                self.set(step, Look::Asking, "waits for an answer", now);
                None
            }
            RunEvent::TaskAnswered { step, undo, .. } => {
                self.queued(step, *undo, "ready again", now)
            }
            RunEvent::TaskProgressed { .. } | RunEvent::TaskWrote { .. } => None,
            RunEvent::TaskUnproven { step, .. } => {
                Some(format!("{step}: its result lacks its proof"))
            }
            RunEvent::TaskCancelRequested { step, .. } => {
                self.set(step, Look::Off, "stopping", now)
            }
            RunEvent::ApprovalRequested { step, .. } => {
                self.set(step, Look::Asking, "waits for a decision", now);
                None
            }
            RunEvent::ApprovalDecided {
                step,
                approved,
                decision,
                by,
                ..
            } => {
                let verb = match decision {
                    Some(option) => option.as_str(),
                    None if *approved => "approved",
                    None => "rejected",
                };
                Some(format!("{step}: {verb} by {by}"))
            }
            RunEvent::EventAwaited {
                step, subscription, ..
            } => {
                let state = format!("waits for {}", subscription.source.words());
                self.set(step, Look::Queued, &state, now)
            }
            RunEvent::EventDelivered { step, source, .. } => {
                Some(format!("{step}: {}", source.words()))
            }
            RunEvent::EventEmitted { step, event, .. } => {
                Some(format!("{step}: event `{event}` sent"))
            }
            RunEvent::SignalLost {
                step, signal, why, ..
            } => Some(format!("{step}: signal `{signal}` reached nobody: {why}")),
            RunEvent::SignalReceived { name, by, .. } => {
                Some(format!("{}: signal `{name}` from {by}", self.run))
            }
            RunEvent::BlockStarted { step, .. } => self.set(step, Look::Running, "running", now),
            RunEvent::BlockFailing { step, error, .. } => self.set(
                step,
                Look::Running,
                &format!("failing, {}", error.code),
                now,
            ),
            RunEvent::BlockCancelling { step, .. } => self.set(step, Look::Off, "stopping", now),
            RunEvent::BlockRetried { step, error, .. } => self.set(
                step,
                Look::Queued,
                &format!("will retry, {}", error.code),
                now,
            ),
            RunEvent::ChildEnded { step, run, .. } => Some(format!("{step}: run {run} has ended")),
            RunEvent::FilesWanted { step, .. } => {
                self.set(step, Look::Running, "changes files", now)
            }
            RunEvent::FilesDecided { .. } => None,
            RunEvent::FilesRetried { step, error, .. } => {
                let state = format!("will retry, {}", error.code);
                self.set(step, Look::Queued, &state, now)
            }
            RunEvent::TimerSet { step, .. } => self.set(step, Look::Queued, "waits", now),
            RunEvent::PassOpened { pass, .. } => {
                let step = pass.strip_suffix("/undo")?;
                self.set(step, Look::Undoing, "undoing", now)
            }
            RunEvent::PassEnded { pass, outcome, .. } => {
                let step = pass.strip_suffix("/undo")?;
                let undone = *outcome == PassOutcome::Succeeded;
                undone.then(|| self.set(step, Look::Off, "undone", now))?
            }
            // The steps of other bodies speak for them.
            RunEvent::PassFailing { .. } | RunEvent::PassStopping { .. } => None,
            RunEvent::StateEntered { state, .. } => Some(format!("{}: state {state}", self.run)),
            RunEvent::StateLeft { state, to, by, .. } => {
                Some(format!("{}: {state} left for {to}, {by}", self.run))
            }
            RunEvent::ApprovalEscalated { step, .. } => {
                Some(format!("{step}: others may decide now, too"))
            }
            RunEvent::RunFinishing { .. } => self.run_is("finishing"),
            RunEvent::RunRewound { by, reason, .. } => {
                Some(format!("{}: rewound by {by}: {reason}", self.run))
            }
            RunEvent::RunPaused { .. } => self.run_is("paused"),
            RunEvent::RunHeld { .. } => self.run_is("queued"),
            RunEvent::RunResumed { .. } | RunEvent::RunAdmitted { .. } => self.run_is("running"),
            RunEvent::RunFailing { .. } => self.run_is("failing"),
            RunEvent::RunCancelling { .. } => self.run_is("cancelling"),
            RunEvent::UndoStarted { .. } => self.run_is("undoing"),
            RunEvent::IncidentOpened { step, .. } => {
                self.set(step, Look::Asking, "not undone, waits for a person", now);
                None
            }
            RunEvent::IncidentResolved {
                step, action, by, ..
            } => {
                let action = match action {
                    Resolution::Retry => "to be undone again",
                    Resolution::Skip => "left as it is",
                    Resolution::Abandon => "given up with all others",
                };
                Some(format!("{step}: {action}, says {by}"))
            }
            RunEvent::StallFound { step, found, .. } => {
                let what = step.as_deref().unwrap_or("the run");
                Some(format!("{what}: stalled: {found}"))
            }
            RunEvent::StallResolved { action, by, .. } => {
                let action = match action {
                    Resolution::Retry => "looked at again",
                    Resolution::Skip => "fails by its own rules",
                    Resolution::Abandon => "closed as it stands",
                };
                Some(format!("{}: {action}, says {by}", self.run))
            }
            RunEvent::RunCompleted { .. } => self.run_is("completed"),
            RunEvent::RunFailed { .. } => self.run_is("failed"),
            RunEvent::RunCancelled { .. } => self.run_is("cancelled"),
        }
    }

    /// The row of a step, which it shares with its other rounds.
    fn row(&mut self, step: &str) -> Option<&mut Row> {
        let id = step.split(['.', '~']).next().unwrap_or(step);
        self.rows.iter_mut().find(|row| row.step == id)
    }

    fn run_is(&mut self, state: &'static str) -> Option<String> {
        self.state = state;
        Some(format!("{}: {state}", self.run))
    }

    fn queued(&mut self, step: &str, undo: bool, state: &str, now: Duration) -> Option<String> {
        if undo {
            self.set(step, Look::Undoing, &format!("undoing, {state}"), now)
        } else {
            self.set(step, Look::Queued, state, now)
        }
    }

    fn set(&mut self, step: &str, look: Look, state: &str, now: Duration) -> Option<String> {
        let row = self.row(step)?;
        row.look = look;
        row.state = state.to_owned();
        if step != row.step {
            match look {
                Look::Good => row.tally.0 += 1,
                Look::Bad => row.tally.1 += 1,
                _ => {}
            }
            row.state.push_str(&match row.tally {
                (0, 0) => String::new(),
                (good, 0) => format!(", {good} done"),
                (good, bad) => format!(", {good} done, {bad} failed"),
            });
        }
        row.since = now;
        let mut words = format!("{step}: {state}");
        if matches!(look, Look::Running | Look::Good | Look::Bad | Look::Undoing)
            && let Some(agent) = &row.agent
        {
            words.push_str(&format!(" ({agent}, attempt {})", row.attempt));
        }
        Some(words)
    }

    /// The lines of the board at `now`, each at most `size.0` columns wide, at most `size.1` of them.
    pub(super) fn lines(
        &self,
        now: Duration,
        (columns, height): (usize, usize),
        color: bool,
    ) -> Vec<String> {
        let age = seconds(now.saturating_sub(self.started));
        let mut lines = vec![cut(
            &format!("{}  {}  {age}", self.run, self.state),
            columns,
        )];
        let widest = |text: fn(&Row) -> &str| self.rows.iter().map(|row| width(text(row))).max();
        let step_width = widest(|row| &row.step).unwrap_or(0);
        let state_width = widest(|row| &row.state).unwrap_or(0);
        let agent_width = widest(|row| row.agent.as_deref().unwrap_or("")).unwrap_or(0);
        let room = height.saturating_sub(2).max(1);
        let hidden = self.rows.len().saturating_sub(room);
        for row in self.visible(self.rows.len() - hidden) {
            let attempt = match row.attempt {
                0 | 1 => String::new(),
                attempt => format!("#{attempt}"),
            };
            let text = format!(
                "{} {:step_width$}  {:state_width$}  {:agent_width$}  {attempt:3} {}",
                row.look.mark(),
                row.step,
                row.state,
                row.agent.as_deref().unwrap_or(""),
                row.age(now)
            );
            let text = cut(text.trim_end(), columns);
            lines.push(if color {
                format!("\u{1b}[{}m{text}\u{1b}[0m", row.look.color())
            } else {
                text
            });
        }
        if hidden > 0 {
            lines.push(cut(&format!("  and {hidden} more"), columns));
        }
        lines
    }

    /// The `count` rows that matter most, in file order: open ones before the others.
    fn visible(&self, count: usize) -> impl Iterator<Item = &Row> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|index| !self.rows[*index].look.is_open());
        order.truncate(count);
        order.sort_unstable();
        order.into_iter().map(|index| &self.rows[index])
    }
}

impl Row {
    /// How long it has been like this; for one that has ended, how long it took.
    fn age(&self, now: Duration) -> String {
        match (self.look.is_open(), self.first) {
            (true, _) => seconds(now.saturating_sub(self.since)),
            (false, Some(first)) => seconds(self.since.saturating_sub(first)),
            (false, None) => String::new(),
        }
    }
}

/// `text` in at most `columns` columns.
fn cut(text: &str, columns: usize) -> String {
    let mut taken = 0;
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        taken += width(character.encode_utf8(&mut [0; 4]));
        if taken >= columns {
            end = at;
            break;
        }
    }
    text[..end].to_owned()
}

/// A time for people: tenths of a second to a minute, then whole seconds.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{}.{}s", whole, time.subsec_millis() / 100)
    } else if whole < 3600 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else {
        format!("{}h{:02}m", whole / 3600, whole / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use phisync::engine::RunEvent;

    use super::{Board, seconds};

    fn event(json: &str) -> RunEvent {
        serde_json::from_str(json).expect("an event of the journal")
    }

    fn claimed(step: &str, attempt: u32) -> RunEvent {
        event(&format!(
            r#"{{"task_claimed":{{"step":"{step}","attempt":{attempt},"agent":"webc","token":7,"at":0,"run_deadline":1}}}}"#
        ))
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn board() -> Board {
        let mut board = Board::new("r1", ["plan", "measure", "report"], at(0));
        board.observe(&claimed("plan", 1), at(1));
        let done = r#"{"task_completed":{"step":"plan","token":7,"output":{},"at":0}}"#;
        board.observe(&event(done), at(3));
        board.observe(&claimed("measure", 2), at(3));
        board
    }

    #[test]
    fn a_row_tells_state_agent_attempt_and_age() {
        let lines = board().lines(at(8), (80, 24), false);
        assert_eq!(
            lines,
            [
                "r1  running  8.0s",
                "+ plan     completed  webc      2.0s",
                "> measure  running    webc  #2  5.0s",
                "  report   pending",
            ]
        );
    }

    #[test]
    fn no_line_is_as_wide_as_the_terminal_and_open_rows_stay() {
        let lines = board().lines(at(8), (12, 3), false);
        assert_eq!(lines, ["r1  running", "> measure  ", "  and 2 mor"]);
    }

    #[test]
    fn times_get_coarser_as_they_grow() {
        let shown = [0.05, 59.9, 60.0, 3599.0, 7260.0].map(|s| seconds(Duration::from_secs_f64(s)));
        assert_eq!(shown, ["0.0s", "59.9s", "1m00s", "59m59s", "2h01m"]);
    }
}
