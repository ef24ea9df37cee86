//! Proof of work: what has to hold, besides the type of the result, before a task counts as done.
//!
//! Files are looked at by the caller, who comes back with what was found; the core says which ones it
//! wants to know of, and compares. What does not hold goes back to the holder as evidence and the
//! attempt goes on, so often that a correction is possible and no oftener.

use phisync_workflows::machine::{Accept, AcceptFile};
use phisync_workflows::schema::Violation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::pass::Slot;
use super::scope::RunScope;
use super::step::TaskState;
use super::{Failure, RawJson};

/// So many results of one attempt may lack their proof; the last of them ends the attempt.
pub(super) const REFUSALS_MAX: u32 = 5;

/// Something that `accept` asks for and that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// The file, or the place in the result.
    pub what: String,
    /// What is the matter with it.
    pub why: String,
}

/// A file that somebody looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path, as it was asked for.
    pub path: String,
    /// What stands there.
    pub finding: Finding,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    Absent,
    /// A file with this SHA-256, in hexadecimal digits.
    File(String),
    /// Something that can be no proof, and why.
    Unusable(String),
}

/// How often the results of one attempt lacked their proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Its token.
    pub token: u64,
    /// How often.
    pub count: u32,
    /// What did not hold the last time.
    pub unmet: Vec<Unmet>,
}

/// Why nothing can be said about a proof.
pub(super) enum Unsaid {
    /// These files have to be looked at first.
    Look(Vec<String>),
    /// An expression of `accept` has no value.
    Failed(Failure),
}

impl TaskState {
    /// The refusal of the last result under `token`, if that lacked its proof and no later one was taken.
    pub(crate) fn refusal(&self, id: String, token: u64) -> Option<Rejection> {
        let taken = self.accepted.as_ref().map(|(under, _)| *under);
        let refused = self.refusals.as_ref();
        let refused = refused.filter(|r| r.token == token && taken != Some(token))?;
        let unmet = refused.unmet.iter().map(|unmet| Violation {
            path: unmet.what.clone(),
            message: unmet.why.clone(),
        });
        Some(Rejection::Unproven {
            task: id,
            unmet: unmet.collect(),
            left: REFUSALS_MAX.saturating_sub(refused.count),
        })
    }
}

impl Draft<'_> {
    /// What `accept` asks for and does not hold, given what was found on disk.
    pub(super) fn unmet(
        &self,
        slot: Slot,
        accept: &Accept,
        output: &RawJson,
        proof: &[FoundFile],
    ) -> Result<Vec<Unmet>, Unsaid> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let mut unmet = Vec::new();
        let mut unknown = Vec::new();
        for file in &accept.files {
            let path = scope.text(&file.path).map_err(Unsaid::Failed)?;
            let wanted = file.sha256.as_ref().map(|digest| scope.text(digest));
            let wanted = wanted.transpose().map_err(Unsaid::Failed)?;
            match proof.iter().find(|found| found.path == path) {
                None => unknown.push(path),
                Some(found) => {
                    let why = compare(file, wanted.as_deref(), &found.finding);
                    unmet.extend(why.map(|why| Unmet { what: path, why }));
                }
            }
        }
        if !unknown.is_empty() {
            return Err(Unsaid::Look(unknown));
        }
        let schema = accept.schema.iter();
        let violations = schema.flat_map(|schema| schema.violations("output", &output.parse()));
        unmet.extend(violations.map(|violation| Unmet {
            what: violation.path,
            why: violation.message,
        }));
        Ok(unmet)
    }

    /// Gives a result back that lacks its proof; the last time that ends the attempt.
    pub(super) fn refuse_unproven(
        &mut self,
        slot: Slot,
        undo: bool,
        token: u64,
        unmet: Vec<Unmet>,
    ) {
        let words = unmet.iter().map(|u| format!("{}: {}", u.what, u.why));
        let words = words.collect::<Vec<_>>().join("; ");
        let error = Failure {
            code: "acceptance".to_owned(),
            message: format!("the result lacked its proof {REFUSALS_MAX} times: {words}"),
            data: Some(RawJson::from_value(&json!({ "unmet": unmet }))),
        };
        self.emit(RunEvent::TaskUnproven {
            step: self.run.name(slot),
            undo,
            token,
            unmet,
            at: self.moment.now,
        });
        let task = self.run.task(slot, undo);
        let count = task.and_then(|task| task.refusals.as_ref());
        if count.is_some_and(|refusals| refusals.count >= REFUSALS_MAX) {
            self.end_attempt(slot, undo, Some(token), error, None, None);
        }
    }
}

/// What is the matter with a file; nothing if it is as wanted.
fn compare(file: &AcceptFile, sha256: Option<&str>, finding: &Finding) -> Option<String> {
    match finding {
        Finding::Unusable(why) => Some(why.clone()),
        Finding::Absent if file.exists => Some("there is no such file".to_owned()),
        Finding::Absent => None,
        Finding::File(_) if !file.exists => Some("it is there and must not be".to_owned()),
        Finding::File(found) => {
            let wanted = sha256.filter(|wanted| !wanted.eq_ignore_ascii_case(found))?;
            Some(format!("its SHA-256 is {found}, and {wanted} is wanted"))
        }
    }
}
