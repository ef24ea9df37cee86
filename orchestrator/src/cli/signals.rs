//! Ctrl-C and the request to terminate: the first asks, the second insists.

use std::io;

use super::exit_code::ExitCode;
use super::report::Report;

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// By a person at the keyboard: SIGINT, Ctrl-C.
    Interrupt,
    /// By the system: SIGTERM; Ctrl-Break and closing of the console on Windows.
    Terminate,
}

/// Calls `first` when the process is asked to end. Asked again, the process ends at once with code 130. The
/// listening thread lives as long as the process.
///
/// # Errors
/// When the system does not let us listen.
pub(crate) fn on_first(first: impl FnOnce() + Send + 'static) -> Result<(), Report> {
    let mut first = Some(first);
    on_each(move |_| first.take().map(|first| first()).is_some())
}

/// Calls `answer` whenever the process is asked to end. Once it answers `false`, the process ends at
/// once with code 130.
///
/// # Errors
/// When the system does not let us listen.
pub(crate) fn on_each(answer: impl FnMut(Asked) -> bool + Send + 'static) -> Result<(), Report> {
    let failed = |cause: io::Error| {
        Report::new(
            ExitCode::Stopped,
            format!("cannot listen for signals: {cause}"),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let mut requests = {
        let _inside = runtime.enter();
        system::Requests::listen().map_err(failed)?
    };
    let mut answer = answer;
    let listen = move || {
        while answer(runtime.block_on(requests.next())) {}
        end_now();
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .map_err(failed)?;
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "who asks twice wants no orderly end; the store survives a kill at any point"
)]
fn end_now() {
    std::process::exit(i32::from(ExitCode::Interrupted.number()));
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Asked;

    pub(super) struct Requests {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Requests {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        /// Dropping the future midway loses nothing.
        pub(super) async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.interrupt.recv() => Asked::Interrupt,
                _ = self.terminate.recv() => Asked::Terminate,
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

    use super::Asked;

    pub(super) struct Requests {
        interrupt: CtrlC,
        terminate: CtrlBreak,
        close: CtrlClose,
    }

    impl Requests {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                terminate: ctrl_break()?,
                close: ctrl_close()?,
            })
        }

        /// Dropping the future midway loses nothing.
        pub(super) async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.interrupt.recv() => Asked::Interrupt,
                _ = self.terminate.recv() => Asked::Terminate,
                _ = self.close.recv() => Asked::Terminate,
            }
        }
    }
}
