//! What the holder of a task asks people, and what they answer.
//!
//! Asking gives the task up: nobody holds it and no lease runs until somebody has answered or the
//! question's own clock has ended. Then it is in the queue again, and whoever takes it gets every
//! answer so far. Who may answer is known to the caller, who knows roles.

use phisync_state::Timestamp;
use phisync_workflows::machine::Ask;
use phisync_workflows::schema::{Schema, Violation};

use super::RawJson;
use super::approval::shown_hash;
use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::pass::Slot;
use super::run::RunState;
use super::status::TaskStatus;
use super::step::TaskState;

/// The most bytes of a question, and of the words of its answer.
const WORDS_BYTES_MAX: usize = 16 << 10;

/// The most bytes of a form.
const FORM_BYTES_MAX: usize = 16 << 10;

/// So often the attempts of one task may ask: a model that asks for ever would never end.
const QUESTIONS_MAX: usize = 16;

/// A question of a task's holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The token under which it was asked.
    pub token: u64,
    /// The attempt that asked.
    pub attempt: u32,
    /// Who held the task.
    pub asked_by: String,
    /// What is asked.
    pub text: String,
    /// JSON Schema of the data that an answer has to carry.
    pub form: Option<RawJson>,
    /// Hash of both.
    pub shown_hash: String,
    /// Since when.
    pub asked_at: Timestamp,
    /// Until when.
    pub deadline: Timestamp,
    /// The answer, once somebody gave one.
    pub answer: Option<QuestionAnswer>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionAnswer {
    /// Who.
    pub by: String,
    /// In their words.
    pub text: Option<String>,
    /// The data that the form asks for.
    pub form: Option<RawJson>,
    /// When.
    pub at: Timestamp,
}

/// What somebody answers.
pub(super) struct Said {
    pub by: String,
    pub text: Option<String>,
    pub form: Option<RawJson>,
}

impl TaskState {
    /// The question that the task waits for the answer of.
    #[must_use]
    pub fn open_question(&self) -> Option<&Question> {
        let last = self.questions.last();
        last.filter(|question| question.answer.is_none() && self.status == TaskStatus::Asking)
    }

    /// Who asked what has just been answered, while nobody has taken the task since: it knows most.
    #[must_use]
    pub fn resumes_with(&self) -> Option<&str> {
        let last = self.questions.last().filter(|last| last.answer.is_some())?;
        let fresh = self.status == TaskStatus::Ready && last.attempt == self.attempt;
        fresh.then_some(last.asked_by.as_str())
    }
}

impl RunState {
    /// Who may answer what the holder of a task asks, and for how long.
    #[must_use]
    pub fn asks(&self, slot: Slot, undo: bool) -> Ask {
        let rules = super::rules(self.spec(slot), undo);
        rules.map_or_else(Ask::default, |rules| rules.spec.ask.clone())
    }
}

impl Draft<'_> {
    /// The holder asks. The same question under the same token again is the same question.
    pub(super) fn ask(
        &mut self,
        step: &str,
        undo: bool,
        token: u64,
        question: String,
        form: Option<RawJson>,
    ) -> Result<(), Rejection> {
        let slot = self.run.find(step)?;
        let task = self.run.existing(slot, undo)?;
        if let Some(asked) = task.questions.iter().find(|asked| asked.token == token) {
            return if asked.text == question && asked.form == form {
                Ok(())
            } else {
                Err(self.run.already(slot, undo, token, "asking"))
            };
        }
        self.run.check_token(slot, undo, token)?;
        if task.cancel_requested {
            return Err(Rejection::NotInState {
                task: self.run.print_task(slot, undo),
                wanted: "wanted any more",
                found: "asked to stop".to_owned(),
            });
        }
        if let Err(reason) = may_be_asked(task, &question, form.as_ref()) {
            let task = self.run.print_task(slot, undo);
            return Err(Rejection::BadQuestion { task, reason });
        }
        let deadline = self.after(self.run.asks(slot, undo).timeout);
        self.emit(RunEvent::TaskAsked {
            step: step.to_owned(),
            undo,
            token,
            shown_hash: shown_hash(Some(&question), form.as_ref()),
            question,
            form,
            at: self.moment.now,
            deadline,
        });
        Ok(())
    }

    /// Somebody answers. The same answer of the same person again is the same answer.
    pub(super) fn answer_question(
        &mut self,
        step: &str,
        undo: bool,
        said: Said,
        shown_hash: Option<&str>,
    ) -> Result<(), Rejection> {
        let slot = self.run.find(step)?;
        let task = self.run.existing(slot, undo)?;
        let name = || self.run.print_task(slot, undo);
        let Some(question) = task.questions.last() else {
            return Err(self.run.not_in_state(slot, undo, "asking anything"));
        };
        if shown_hash.is_some_and(|hash| hash != question.shown_hash) {
            return Err(Rejection::OtherContent { step: name() });
        }
        if let Some(earlier) = &question.answer {
            let same = earlier.text == said.text && earlier.form == said.form;
            return match earlier.by.eq_ignore_ascii_case(&said.by) {
                true if same => Ok(()),
                true => Err(Rejection::AlreadyDecided {
                    step: name(),
                    by: said.by,
                }),
                false => Err(self.run.not_in_state(slot, undo, "asking any more")),
            };
        }
        if task.status != TaskStatus::Asking {
            return Err(self.run.not_in_state(slot, undo, "asking any more"));
        }
        let violations = violations(question, &said);
        if !violations.is_empty() {
            let step = name();
            return Err(Rejection::BadForm { step, violations });
        }
        let queue_deadline = self.queue_deadline(slot, undo);
        self.emit(RunEvent::TaskAnswered {
            step: step.to_owned(),
            undo,
            by: said.by,
            text: said.text,
            form: said.form,
            at: self.moment.now,
            queue_deadline,
        });
        Ok(())
    }
}

fn may_be_asked(task: &TaskState, question: &str, form: Option<&RawJson>) -> Result<(), String> {
    if question.trim().is_empty() {
        return Err("the question is empty".to_owned());
    }
    if question.len() > WORDS_BYTES_MAX {
        return Err(format!(
            "the question has more than {WORDS_BYTES_MAX} bytes"
        ));
    }
    if task.questions.len() >= QUESTIONS_MAX {
        return Err(format!("it has asked {QUESTIONS_MAX} times"));
    }
    let Some(form) = form else { return Ok(()) };
    if form.text().len() > FORM_BYTES_MAX {
        return Err(format!("the form has more than {FORM_BYTES_MAX} bytes"));
    }
    let read = Schema::from_json(&form.parse(), &|_| None);
    read.map(|_| ())
        .map_err(|error| format!("the form is no schema: {}", error.message))
}

/// What is wrong with an answer: it says something, and fills in the form if there is one.
fn violations(question: &Question, said: &Said) -> Vec<Violation> {
    let violation = |path: &str, message: String| Violation {
        path: path.to_owned(),
        message,
    };
    let text = said.text.as_deref().unwrap_or_default();
    if text.len() > WORDS_BYTES_MAX {
        let message = format!("it has more than {WORDS_BYTES_MAX} bytes");
        return vec![violation("comment", message)];
    }
    let schema = question.form.as_ref();
    // A form that is no schema was refused when it was asked.
    let schema = schema.and_then(|form| Schema::from_json(&form.parse(), &|_| None).ok());
    match (schema, &said.form) {
        (Some(schema), Some(form)) => schema.violations("form", &form.parse()),
        (Some(schema), None) => schema.violations("form", &serde_json::json!({})),
        (None, None) if text.trim().is_empty() => {
            vec![violation("comment", "an answer says something".to_owned())]
        }
        (None, _) => Vec::new(),
    }
}
