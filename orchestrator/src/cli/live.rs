//! What `exec` shows while a run goes on: one line per step.
//!
//! [`Live`] puts the [`Board`] on a terminal, redrawn in place, or writes each change as a line of its
//! own where there is no terminal. What the lines say stands in `live/board.rs`.

mod board;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync::engine::RunEvent;
use phisync_agents::worker::StopFlag;
use phisync_state::env::{Clock, OsClock};

use super::exit_code::ExitCode;
use super::output::{Output, one_line};
use super::report::Report;
use board::Board;

/// How often ages are redrawn.
const REDRAW: Duration = Duration::from_millis(500);

/// What a terminal that does not tell its size is taken for.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// The board on stderr.
#[derive(Debug)]
pub(super) struct Live {
    shared: Arc<Shared>,
    stop: StopFlag,
    painter: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clock: OsClock,
    color: bool,
    /// `None` where lines cannot be redrawn.
    canvas: Option<Mutex<Canvas>>,
    board: Mutex<Board>,
}

/// What stands on the terminal now.
#[derive(Debug, Default)]
struct Canvas {
    lines: usize,
}

impl Live {
    /// Shows the run `run` with these steps.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start<'a>(
        output: &Output,
        run: &str,
        steps: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Report> {
        let clock = OsClock::new();
        let board = Board::new(run, steps, clock.monotonic());
        let shared = Arc::new(Shared {
            clock,
            color: output.color(),
            canvas: output.live().then(Mutex::default),
            board: Mutex::new(board),
        });
        let stop = StopFlag::new();
        let painter = match &shared.canvas {
            None => None,
            Some(_) => {
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                let paint = move || {
                    while !stop.wait(REDRAW) {
                        shared.paint();
                    }
                };
                let thread = std::thread::Builder::new().name("live view".to_owned());
                Some(thread.spawn(paint).map_err(|cause| {
                    Report::new(ExitCode::Stopped, format!("cannot start a thread: {cause}"))
                })?)
            }
        };
        Ok(Self {
            shared,
            stop,
            painter,
        })
    }

    /// Shows what `event` changed.
    pub(super) fn observe(&self, event: &RunEvent) {
        let change = {
            let mut board = lock(&self.shared.board);
            board.observe(event, self.shared.clock.monotonic())
        };
        match (&self.shared.canvas, change) {
            (Some(_), _) => self.shared.paint(),
            (None, Some(words)) => self.say(&words),
            (None, None) => {}
        }
    }

    /// Says something that stays, above the board.
    pub(super) fn say(&self, words: &str) {
        let mut stderr = io::stderr().lock();
        let said = match &self.shared.canvas {
            None => writeln!(stderr, "{}", one_line(words)),
            Some(canvas) => {
                let mut canvas = lock(canvas);
                let cleared = canvas.clear(&mut stderr);
                cleared.and_then(|()| writeln!(stderr, "{}", one_line(words)))
            }
        };
        ignore(said);
        if self.shared.canvas.is_some() {
            drop(stderr);
            self.shared.paint();
        }
    }

    /// Leaves the board as it is and stops redrawing it.
    pub(super) fn finish(mut self) {
        self.stop.request();
        if let Some(painter) = self.painter.take() {
            // It holds no lock across anything that panics.
            drop(painter.join());
        }
        self.shared.paint();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.request();
    }
}

impl Shared {
    fn paint(&self) {
        let Some(canvas) = &self.canvas else {
            return;
        };
        let lines = lock(&self.board).lines(self.clock.monotonic(), size(), self.color);
        let mut stderr = io::stderr().lock();
        ignore(lock(canvas).replace(&mut stderr, &lines));
    }
}

impl Canvas {
    fn clear(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.lines > 0 {
            write!(out, "\u{1b}[{}A\r\u{1b}[J", self.lines)?;
            self.lines = 0;
        }
        Ok(())
    }

    /// In one write, so that the terminal never shows half a board.
    fn replace(&mut self, out: &mut dyn Write, lines: &[String]) -> io::Result<()> {
        let mut text = Vec::new();
        self.clear(&mut text)?;
        for line in lines {
            writeln!(text, "{line}")?;
        }
        self.lines = lines.len();
        out.write_all(&text)?;
        out.flush()
    }
}

/// A terminal that went away must not end the run.
fn ignore(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(%error, "the live view has nowhere to go");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(USUAL_SIZE, |(columns, rows)| {
        (usize::from(columns.0), usize::from(rows.0))
    })
}
