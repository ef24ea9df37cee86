//! What passes: a signal that interrupts a call, a system that says "later", and whoever holds a file
//! for a moment where the system lets that stand in the way of a rename.

use std::io;

/// Front-loaded: most holders let go at once.
const PAUSES_MS: [u64; 6] = [10, 25, 50, 100, 200, 400];

/// Access denied, sharing violation, lock violation, as Windows numbers them.
#[cfg(any(windows, test))]
const HELD: [i32; 3] = [5, 32, 33];

/// Does `call` until it fails for a reason that does not pass. A call that a signal interrupted is
/// repeated at once and without end, one that was told "later" at most six times, after `pause`, which
/// gets milliseconds. Never for a sync: what a failed one left behind is unknown.
///
/// # Errors
/// The last one.
pub(super) fn uninterrupted<T>(
    mut call: impl FnMut() -> io::Result<T>,
    pause: impl FnMut(u64),
) -> io::Result<T> {
    let through_signals = || {
        loop {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    };
    let later = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    patiently(through_signals, later, pause)
}

/// No descriptor is left to the process, or to the whole system, as Unix numbers them.
#[cfg(any(unix, test))]
const OUT_OF_FILES: [i32; 2] = [24, 23];

/// Does `open` until there is a descriptor for it, or for too long. For what has no other way: nothing was
/// done yet, so that it may be repeated even where it is the first half of a sync.
///
/// # Errors
/// The last one.
#[cfg(any(unix, test))]
pub(super) fn with_a_descriptor<T>(
    open: impl FnMut() -> io::Result<T>,
    pause: impl FnMut(u64),
) -> io::Result<T> {
    let passes = |error: &io::Error| {
        let number = error.raw_os_error();
        number.is_some_and(|number| OUT_OF_FILES.contains(&number))
    };
    patiently(open, passes, pause)
}

/// Does `rename` until nobody holds the file, or for too long.
///
/// # Errors
/// The last one.
#[cfg(any(windows, test))]
pub(super) fn unheld(
    rename: impl FnMut() -> io::Result<()>,
    pause: impl FnMut(u64),
) -> io::Result<()> {
    let held = |error: &io::Error| error.raw_os_error().is_some_and(|n| HELD.contains(&n));
    patiently(rename, held, pause)
}

/// Does `call` until it fails for another reason than one that `passes`, at most seven times; `pause`
/// waits so many milliseconds in between.
fn patiently<T>(
    mut call: impl FnMut() -> io::Result<T>,
    passes: impl Fn(&io::Error) -> bool,
    mut pause: impl FnMut(u64),
) -> io::Result<T> {
    for milliseconds in PAUSES_MS {
        match call() {
            Err(error) if passes(&error) => pause(milliseconds),
            done => return done,
        }
    }
    call()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{unheld, uninterrupted};

    /// How often it was tried, and how it ended, where the first `failures` attempts give `code`.
    fn tried(failures: u32, code: i32) -> (u32, bool, u64) {
        let (mut attempts, mut waited) = (0, 0);
        let ended = unheld(
            || {
                attempts += 1;
                match attempts <= failures {
                    true => Err(io::Error::from_raw_os_error(code)),
                    false => Ok(()),
                }
            },
            |milliseconds| waited += milliseconds,
        );
        (attempts, ended.is_ok(), waited)
    }

    #[test]
    fn a_file_that_somebody_holds_for_a_moment_is_waited_for() {
        assert_eq!(tried(0, 32), (1, true, 0));
        assert_eq!(tried(3, 32), (4, true, 85));
        assert_eq!(tried(6, 5), (7, true, 785));
    }

    #[test]
    fn patience_ends_and_other_errors_are_told_at_once() {
        assert_eq!(tried(100, 33), (7, false, 785));
        assert_eq!(tried(100, 2), (1, false, 0));
    }

    #[test]
    fn a_call_that_signals_interrupt_is_repeated_at_once_however_often() {
        let mut interruptions = 1000;
        let call = || match interruptions {
            0 => Ok("done"),
            _ => {
                interruptions -= 1;
                Err(io::Error::from(io::ErrorKind::Interrupted))
            }
        };
        let done = uninterrupted(call, |_| panic!("nobody waits because of a signal"));
        assert_eq!(done.ok(), Some("done"));
    }

    #[test]
    fn a_system_that_says_later_is_asked_again_for_a_while() {
        let later = |times: u32| {
            let (mut asked, mut waited) = (0, 0);
            let call = || {
                asked += 1;
                match asked <= times {
                    true => Err(io::Error::from(io::ErrorKind::WouldBlock)),
                    false => Ok(()),
                }
            };
            let done = uninterrupted(call, |milliseconds| waited += milliseconds);
            (done.is_ok(), asked, waited)
        };
        assert_eq!(later(2), (true, 3, 35));
        assert_eq!(later(100), (false, 7, 785));
    }

    #[test]
    fn an_error_of_the_disk_is_told_at_once() {
        let mut asked = 0;
        let call = || {
            asked += 1;
            Err::<(), _>(io::Error::from_raw_os_error(5))
        };
        assert!(uninterrupted(call, |_| panic!("it does not pass")).is_err());
        assert_eq!(asked, 1);
    }
}
