//! A job that ends with its last handle: the worker is in it, and so is everything it starts.
//!
//! The one handle is this process's, so however the process ends, the system closes it and kills what is
//! left. It is therefore never closed by us: that would end the worker too. The jobs of single commands
//! (`tree/windows.rs`) nest in it.

use std::io::{self, BufRead};
use std::marker::PhantomData;
use std::sync::OnceLock;

use win32job::{ExtendedLimitInfo, Job, JobError};

/// Whether this process is in such a job; tried once.
static IN_A_JOB: OnceLock<Result<(), String>> = OnceLock::new();

/// The promise of the system.
pub(in crate::worker) struct Warden;

/// What the system knows by itself.
pub(in crate::worker) struct Guarded<'a>(PhantomData<&'a Warden>);

impl Warden {
    /// Puts this process into a job. No command is needed.
    pub(in crate::worker) fn start(_command: &[String]) -> io::Result<Self> {
        let tried = IN_A_JOB.get_or_init(|| enter().map_err(|error| error.to_string()));
        tried.clone().map(|()| Self).map_err(io::Error::other)
    }

    /// Nothing has to be named.
    pub(in crate::worker) fn guard(&self, _leader: u32) -> Guarded<'_> {
        Guarded(PhantomData)
    }
}

fn enter() -> Result<(), JobError> {
    let mut limits = ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    let job = Job::create_with_limit_info(&limits)?;
    job.assign_current_process()?;
    let _never_closed = job.into_handle();
    Ok(())
}

/// Waits for the end of `input`: there is nothing to kill.
pub fn keep_watch(input: impl BufRead) {
    input.lines().map_while(Result::ok).for_each(drop);
}
