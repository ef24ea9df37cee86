//! What the next holder of a task learns of those before it.
//!
//! Everything here is a fold of the journal, so the same journal gives the same bytes. What a holder
//! says about its progress is kept in memory by the caller and noted as a fact only when it begins
//! to matter.

use phisync_state::Timestamp;
use serde_json::{Map, Value, json};

use super::decide::Draft;
use super::event::{RunEvent, TouchedDocument, TouchedFile};
use super::input::Rejection;
use super::step::TaskState;
use super::{Failure, RawJson};

/// So many ended attempts are told, the latest.
const PAST_MAX: usize = 8;

/// So many changed documents and files are told, the latest.
const TOUCHED_MAX: usize = 256;

/// An attempt that ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its number.
    pub attempt: u32,
    /// Who held the task.
    pub agent: String,
    /// `failed lost released asked`.
    pub ended: &'static str,
    /// Code and message, if it failed or was lost.
    pub error: Option<(String, String)>,
    /// When.
    pub at: Timestamp,
}

/// How far a holder said it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its attempt.
    pub attempt: u32,
    /// Who.
    pub agent: String,
    /// Its own words.
    pub progress: RawJson,
    /// When it said so.
    pub at: Timestamp,
}

/// The last change of a document or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// By which attempt.
    pub attempt: u32,
    /// Who.
    pub agent: String,
    /// What was changed.
    pub what: Touched,
    /// When.
    pub at: Timestamp,
}

/// What holders of tasks change beside their results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// A shared document, and the version that it was left with.
    Document(TouchedDocument),
    /// A file.
    File(TouchedFile),
}

impl Touched {
    fn is_same_thing(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Document(one), Self::Document(other)) => one.name == other.name,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Document(_), Self::File(_)) | (Self::File(_), Self::Document(_)) => false,
        }
    }
}

/// What the attempts of one task left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The latest that ended without a result, in order.
    pub past: Vec<Past>,
    /// How far the last one that said anything was.
    pub reached: Option<Reached>,
    /// What was changed under its tokens, each thing once, the latest change last.
    pub touched: Vec<Touch>,
}

impl TaskState {
    /// Keeps in mind that the attempt that is under way ends without a result.
    pub(super) fn note_end(&mut self, ended: &'static str, error: Option<&Failure>, at: Timestamp) {
        if self.trail.past.len() == PAST_MAX {
            self.trail.past.remove(0);
        }
        self.trail.past.push(Past {
            attempt: self.attempt,
            agent: self.last_agent.clone().unwrap_or_default(),
            ended,
            error: error.map(|error| (error.code.clone(), error.message.clone())),
            at,
        });
    }

    pub(super) fn touch(
        &mut self,
        documents: &[TouchedDocument],
        files: &[TouchedFile],
        at: Timestamp,
    ) {
        let documents = documents.iter().cloned().map(Touched::Document);
        for what in documents.chain(files.iter().cloned().map(Touched::File)) {
            let touched = &mut self.trail.touched;
            touched.retain(|touch| !touch.what.is_same_thing(&what));
            if touched.len() == TOUCHED_MAX {
                touched.remove(0);
            }
            touched.push(Touch {
                attempt: self.attempt,
                agent: self.last_agent.clone().unwrap_or_default(),
                what,
                at,
            });
        }
    }

    pub(super) fn reach(&mut self, progress: &RawJson, at: Timestamp) {
        self.trail.reached = Some(Reached {
            attempt: self.attempt,
            agent: self.last_agent.clone().unwrap_or_default(),
            progress: progress.clone(),
            at,
        });
    }
}

impl Draft<'_> {
    /// Notes how far the holder is, unless the journal says so already.
    pub(super) fn note_progress(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        progress: RawJson,
        said_at: Timestamp,
    ) -> Result<(), Rejection> {
        let slot = self.run.find(step)?;
        self.run.check_token(slot, undo, token)?;
        let task = self.run.existing(slot, undo)?;
        let known = task.trail.reached.as_ref();
        if known.is_some_and(|known| known.attempt == task.attempt && known.progress == progress) {
            return Ok(());
        }
        self.emit(RunEvent::TaskProgressed {
            step: step.to_owned(),
            undo,
            token,
            progress,
            said_at,
            at: self.moment.now,
        });
        Ok(())
    }
}

/// What the next holder of a task gets to know; nothing if nobody was there before.
#[must_use]
pub fn handoff(task: &TaskState) -> Option<Value> {
    let mut told = Map::new();
    if let Some(ended) = &task.last_error {
        let error = json!({ "code": ended.error.code, "message": ended.error.message });
        let previous = json!({ "agent": ended.agent, "error": error });
        told.insert("previous_attempt".to_owned(), previous);
    }
    if !task.trail.past.is_empty() {
        let attempts = task.trail.past.iter().map(past);
        told.insert("attempts".to_owned(), attempts.collect());
    }
    if let Some(reached) = &task.trail.reached {
        let reached = json!({
            "attempt": reached.attempt,
            "agent": reached.agent,
            "value": reached.progress.parse(),
            "at": reached.at.to_string(),
        });
        told.insert("progress".to_owned(), reached);
    }
    let (documents, files) = touched(task);
    for (name, list) in [("documents", documents), ("files", files)] {
        if !list.is_empty() {
            told.insert(name.to_owned(), Value::Array(list));
        }
    }
    let answers: Vec<Value> = answers(task).collect();
    if !answers.is_empty() {
        told.insert("answers".to_owned(), Value::Array(answers));
    }
    (!told.is_empty()).then_some(Value::Object(told))
}

fn past(past: &Past) -> Value {
    let mut told = json!({
        "attempt": past.attempt,
        "agent": past.agent,
        "ended": past.ended,
        "at": past.at.to_string(),
    });
    if let Some((code, message)) = &past.error {
        told["error"] = json!({ "code": code, "message": message });
    }
    told
}

/// The documents and the files that were changed under the task's tokens.
fn touched(task: &TaskState) -> (Vec<Value>, Vec<Value>) {
    let (mut documents, mut files) = (Vec::new(), Vec::new());
    for Touch {
        attempt,
        agent,
        what,
        at,
    } in &task.trail.touched
    {
        let (list, mut told) = match what {
            Touched::Document(document) => (&mut documents, json!(document)),
            Touched::File(file) => (&mut files, json!(file)),
        };
        told["attempt"] = json!(attempt);
        told["agent"] = json!(agent);
        told["at"] = json!(at.to_string());
        list.push(told);
    }
    (documents, files)
}

fn answers(task: &TaskState) -> impl Iterator<Item = Value> {
    task.questions.iter().filter_map(|question| {
        let answer = question.answer.as_ref()?;
        let mut told = json!({
            "question": question.text,
            "asked_by": question.asked_by,
            "by": answer.by,
            "at": answer.at.to_string(),
        });
        if let Some(text) = &answer.text {
            told["answer"] = json!(text);
        }
        if let Some(form) = &answer.form {
            told["form"] = form.parse();
        }
        Some(told)
    })
}
