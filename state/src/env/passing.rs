//! Waiting for whoever holds a file for a moment: scanners and readers, where the system lets them
//! stand in the way of a rename.

use std::io;

/// Front-loaded: most holders let go at once.
const PAUSES_MS: [u64; 6] = [10, 25, 50, 100, 200, 400];

/// Access denied, sharing violation, lock violation, as Windows numbers them.
const PASSING: [i32; 3] = [5, 32, 33];

/// Does `operation` until it fails for a reason that does not pass, at most seven times; `pause`
/// waits so many milliseconds in between.
///
/// # Errors
/// The last one.
pub(super) fn patiently(
    mut operation: impl FnMut() -> io::Result<()>,
    mut pause: impl FnMut(u64),
) -> io::Result<()> {
    for milliseconds in PAUSES_MS {
        match operation() {
            Err(error) if error.raw_os_error().is_some_and(|n| PASSING.contains(&n)) => {
                pause(milliseconds);
            }
            done => return done,
        }
    }
    operation()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::patiently;

    /// How often it was tried, and how it ended, where the first `failures` attempts give `code`.
    fn tried(failures: u32, code: i32) -> (u32, bool, u64) {
        let (mut attempts, mut waited) = (0, 0);
        let ended = patiently(
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
}
