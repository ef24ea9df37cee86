//! How the program ends: the numbers that scripts may rely on.

/// One number per kind of ending. The numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Done.
    Ok = 0,
    /// The run failed; or a child told to fail did.
    RunFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The token may not do this.
    NotAllowed = 4,
    /// A stale token, a stale version, a duplicate: somebody else was first.
    Conflict = 5,
    /// A workflow, an input or a result is invalid.
    Invalid = 6,
    /// No server answers.
    NoServer = 7,
    /// It took longer than it was allowed to.
    TimedOut = 8,
    /// A poll found no task.
    NoTask = 10,
    /// Stopped after an error of the disk.
    Stopped = 70,
    /// The data directory, or a file in it, cannot be used.
    Unusable = 74,
    /// Another process holds the data directory.
    Locked = 75,
    /// The journal is damaged.
    Corrupt = 76,
    /// The journal is behind what a witness saw.
    RolledBack = 77,
    /// The data was written by a newer version.
    TooNew = 78,
    /// Ended by a signal.
    Interrupted = 130,
}

impl ExitCode {
    /// All of them, for whoever gets a number.
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::RunFailed,
        Self::Usage,
        Self::NotFound,
        Self::NotAllowed,
        Self::Conflict,
        Self::Invalid,
        Self::NoServer,
        Self::TimedOut,
        Self::NoTask,
        Self::Stopped,
        Self::Unusable,
        Self::Locked,
        Self::Corrupt,
        Self::RolledBack,
        Self::TooNew,
        Self::Interrupted,
    ];

    /// The number.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The ending with this number; an unknown number is an error of ours, [`Self::Stopped`].
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| code.number() == number)
            .unwrap_or(Self::Stopped)
    }

    /// What follows from a refusal of the server.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::NotAllowed,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            408 | 504 => Self::TimedOut,
            507 => Self::Unusable,
            400..=499 => Self::Invalid,
            _ => Self::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn a_number_names_one_ending() {
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_number(code.number()), code);
        }
        assert_eq!(ExitCode::from_number(99), ExitCode::Stopped);
    }

    #[test]
    fn every_refusal_has_its_ending() {
        let endings: Vec<(u16, u8)> = [
            400, 401, 403, 404, 409, 410, 412, 422, 429, 500, 503, 504, 507,
        ]
        .map(|status| (status, ExitCode::of_status(status).number()))
        .to_vec();
        let expected = [
            (400, 6),
            (401, 4),
            (403, 4),
            (404, 3),
            (409, 5),
            (410, 3),
            (412, 5),
            (422, 6),
            (429, 6),
            (500, 70),
            (503, 70),
            (504, 8),
            (507, 74),
        ];
        assert_eq!(endings, expected);
    }
}
