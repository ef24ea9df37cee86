//! Ctrl-C and the request to terminate: the first asks, the second insists.

use std::io;

use super::exit_code::ExitCode;
use super::report::Report;

/// Calls `first` when the process is asked to end (SIGINT, SIGTERM; Ctrl-C, Ctrl-Break and closing
/// of the console on Windows). Asked again, the process ends at once with code 130. The listening
/// thread lives as long as the process.
///
/// # Errors
/// When the system does not let us listen.
pub(crate) fn on_first(first: impl FnOnce() + Send + 'static) -> Result<(), Report> {
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
    let listen = move || {
        runtime.block_on(requests.next());
        first();
        runtime.block_on(requests.next());
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
        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

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
        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.close.recv() => {}
            }
        }
    }
}
