//! Steps that wait for an event or a signal: what they listen for, and what they heard.
//!
//! The pure half of `wait_for`, of event transitions of `states:` and of triggers. A step that
//! begins to wait emits [`RunEvent::EventAwaited`] with its [`Subscription`]; from then on
//! [`RunState::listening`] shows it, and the coordinator's index (`coordinator/events.rs`) finds it.
//! What fits comes in as [`Input::Deliver`](super::Input::Deliver) and is journalled as
//! [`RunEvent::EventDelivered`], so that no event is consumed twice by the same wait. Signals are
//! journalled in the run itself, so early ones wait here. What a step does with what it heard
//! (its output, a transition) is the business of whoever started the wait: see [`Draft::deliver`].

use std::collections::BTreeMap;

use phisync_state::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RawJson;
use super::Trigger;
use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::pass::Slot;
use super::run::RunState;
use super::status::Phase;

/// Where something comes from that a step can wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An event of this name, sent to everybody.
    Event(String),
    /// A signal of this name, sent to this run.
    Signal(String),
}

impl Source {
    /// In words, as ``event `deploy.finished` ``.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Event(name) => format!("event `{name}`"),
            Self::Signal(name) => format!("signal `{name}`"),
        }
    }
}

/// What a waiting step listens for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whose words count.
    pub source: Source,
    /// Fields of the data that must have exactly these values.
    #[serde(default, rename = "match", skip_serializing_if = "BTreeMap::is_empty")]
    pub matching: BTreeMap<String, Value>,
    /// Nothing older counts: the run's start, so that an early event is not lost, or the wait's.
    pub since: Timestamp,
    /// Nor does what has a number up to this one: the run had heard it before, and may have heard it at
    /// the very instant at which this wait began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u64,
    /// So many of them end the wait; at least 1.
    pub count: u32,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Subscription {
    /// Whether `data` has the fields that are wanted.
    #[must_use]
    pub fn matches(&self, data: &Value) -> bool {
        self.matching
            .iter()
            .all(|(field, wanted)| value_at(data, field) == Some(wanted))
    }
}

/// The value in `data` at `path`, whose dots lead deeper.
#[must_use]
pub fn value_at<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(data, |value, field| value.get(field))
}

/// Something that a step can hear: an event of the store, or a signal of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it came from.
    pub source: Source,
    /// Its place among all of its source, from 1. A wait takes each number once.
    pub number: u64,
    /// What it says.
    pub data: RawJson,
    /// When it came.
    pub at: Timestamp,
}

/// A wait that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Listening {
    /// What it wants.
    pub subscription: Subscription,
    /// What it has heard so far, in order.
    pub heard: Vec<Delivery>,
}

impl Listening {
    /// Whether it has heard enough.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.heard.len() >= self.subscription.count as usize
    }

    /// What the waiting step gives as its output: the data, or the list of them.
    #[must_use]
    pub fn output(&self) -> RawJson {
        match (self.subscription.count, self.heard.as_slice()) {
            (1, [only]) => only.data.clone(),
            (_, heard) => {
                let list = heard.iter().map(|delivery| delivery.data.parse());
                RawJson::from_value(&Value::Array(list.collect()))
            }
        }
    }

    /// Whether `delivery` is what it waits for, and new to it.
    #[must_use]
    pub fn wants(&self, delivery: &Delivery) -> bool {
        !self.is_satisfied()
            && self.subscription.source == delivery.source
            && delivery.at >= self.subscription.since
            && delivery.number > self.subscription.after
            && self.heard.iter().all(|old| old.number != delivery.number)
            && self.subscription.matches(&delivery.data.parse())
    }
}

impl RunState {
    /// The waits of this run that have not heard enough, by the names of their steps.
    pub fn listening(&self) -> impl Iterator<Item = (&str, &Listening)> {
        let open = self.listening.iter();
        let open = open.filter(|(_, wait)| !wait.is_satisfied());
        open.map(|(step, wait)| (step.as_str(), wait))
    }

    /// What the wait of `step` has heard; `None` if it does not listen.
    #[must_use]
    pub fn heard(&self, step: &str) -> Option<&Listening> {
        self.listening.get(step)
    }

    pub(super) fn apply_listening(&mut self, event: &RunEvent) {
        match event {
            RunEvent::EventAwaited {
                step, subscription, ..
            } => {
                let wait = Listening {
                    subscription: subscription.clone(),
                    heard: Vec::new(),
                };
                self.listening.insert(step.clone(), wait);
            }
            RunEvent::EventDelivered {
                step,
                source,
                number,
                data,
                at,
            } => {
                let last = self.heard_up_to.entry(source.clone()).or_default();
                *last = (*last).max(*number);
                if let Some(wait) = self.listening.get_mut(step) {
                    wait.heard.push(Delivery {
                        source: source.clone(),
                        number: *number,
                        data: data.clone(),
                        at: *at,
                    });
                }
            }
            RunEvent::SignalReceived { name, data, at, .. } => {
                let same = self.signals.iter();
                let same = same.filter(|s| matches!(&s.source, Source::Signal(n) if n == name));
                let number = same.count() as u64 + 1;
                self.signals.push(Delivery {
                    source: Source::Signal(name.clone()),
                    number,
                    data: data.clone(),
                    at: *at,
                });
            }
            _ => {}
        }
    }

    /// The number of the event or signal of `source` that made the run begin; 0: none did.
    pub(super) fn began_by(&self, source: &Source) -> u64 {
        match (&self.trigger, source) {
            (Some(Trigger::Event { name, number }), Source::Event(own)) if name == own => *number,
            _ => 0,
        }
    }

    /// The last number of `source` that the run has taken notice of; 0: none.
    pub(super) fn heard_up_to(&self, source: &Source) -> u64 {
        let heard = self.heard_up_to.get(source).copied().unwrap_or_default();
        heard.max(self.began_by(source))
    }

    /// A step that has ended listens to nothing.
    pub(super) fn stop_listening(&mut self, step: Slot) {
        if !self.listening.is_empty() {
            let name = self.name(step);
            self.listening.remove(&name);
        }
    }
}

impl Draft<'_> {
    /// Gives what came to the wait of `step`, once. `true`: the wait has heard enough, and the
    /// caller goes on with [`RunState::heard`].
    ///
    /// # Errors
    /// A step that does not listen. What does not fit, or was heard before, is no error: `false`.
    pub(super) fn deliver(&mut self, step: &str, what: Delivery) -> Result<bool, Rejection> {
        let Some(wait) = self.run.listening.get(step) else {
            return Err(Rejection::NotInState {
                task: format!("{}.{step}", self.run.id),
                wanted: "waiting for an event",
                found: "listening to nothing".to_owned(),
            });
        };
        if !wait.wants(&what) {
            return Ok(false);
        }
        self.emit(RunEvent::EventDelivered {
            step: step.to_owned(),
            source: what.source,
            number: what.number,
            data: what.data,
            at: self.moment.now,
        });
        let wait = self.run.listening.get(step);
        Ok(wait.is_some_and(Listening::is_satisfied))
    }

    /// Gives what came to the wait of `step`, and ends the wait when it has heard enough. What its
    /// condition passes over stays unheard.
    pub(super) fn hear(&mut self, step: &str, what: Delivery) -> Result<(), Rejection> {
        let wants = self.run.heard(step).is_some_and(|wait| wait.wants(&what));
        if wants && self.hear_transition(step, &what).is_some() {
            return Ok(());
        }
        if wants && !self.is_meant(step, &what) {
            return Ok(());
        }
        if self.deliver(step, what)? {
            self.end_wait(step)?;
        }
        Ok(())
    }

    /// The output of a wait is what it heard: one for `count: 1`, else the list.
    fn end_wait(&mut self, step: &str) -> Result<(), Rejection> {
        let index = self.run.find(step)?;
        let output = self.run.heard(step).map(Listening::output);
        self.emit(RunEvent::StepCompleted {
            step: step.to_owned(),
            output: output.unwrap_or_else(|| RawJson::from_value(&Value::Null)),
            at: self.moment.now,
        });
        self.follow(index);
        Ok(())
    }

    /// Journals a signal and gives it to the steps that wait for it.
    pub(super) fn signal(
        &mut self,
        name: String,
        data: RawJson,
        by: String,
    ) -> Result<(), Rejection> {
        if self.run.phase == Phase::Closed {
            return Err(Rejection::RunClosed {
                run: self.run.id.clone(),
            });
        }
        self.emit(RunEvent::SignalReceived {
            name,
            data,
            by,
            at: self.moment.now,
        });
        self.hear_signals()
    }

    /// Gives signals that came to the steps that wait for them: called when one came, and to be
    /// called when a wait for one began.
    pub(super) fn hear_signals(&mut self) -> Result<(), Rejection> {
        for (step, signal) in self.waits_for_signals() {
            // An earlier one may have ended the wait.
            if self.run.heard(&step).is_some() {
                self.hear(&step, signal)?;
            }
        }
        Ok(())
    }

    fn waits_for_signals(&self) -> Vec<(String, Delivery)> {
        let mut pairs = Vec::new();
        for (step, wait) in self.run.listening() {
            let fits = self.run.signals.iter().filter(|signal| wait.wants(signal));
            pairs.extend(fits.map(|signal| (step.to_owned(), signal.clone())));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use phisync_state::Timestamp;
    use serde_json::json;

    use super::{Delivery, Listening, Source, Subscription};
    use crate::engine::RawJson;

    fn event(number: u64, at: i64, data: &serde_json::Value) -> Delivery {
        Delivery {
            source: Source::Event("deploy.finished".to_owned()),
            number,
            data: RawJson::from_value(data),
            at: Timestamp::from_micros(at),
        }
    }

    fn wait() -> Listening {
        Listening {
            subscription: Subscription {
                source: Source::Event("deploy.finished".to_owned()),
                matching: [("service".to_owned(), json!("api"))].into(),
                since: Timestamp::from_micros(10),
                after: 0,
                count: 2,
            },
            heard: Vec::new(),
        }
    }

    #[test]
    fn a_wait_wants_what_matches_and_is_not_too_old() {
        let right = json!({ "service": "api", "sha": "x" });
        assert!(wait().wants(&event(1, 10, &right)));
        assert!(!wait().wants(&event(1, 9, &right)));
        assert!(!wait().wants(&event(1, 10, &json!({ "service": "web" }))));
        assert!(!wait().wants(&event(1, 10, &json!("api"))));
        let mut later = wait();
        later.subscription.after = 1;
        assert!(!later.wants(&event(1, 10, &right)));
        assert!(later.wants(&event(2, 10, &right)));
    }

    #[test]
    fn a_wait_takes_each_event_once_and_no_more_than_it_needs() {
        let right = json!({ "service": "api" });
        let mut wait = wait();
        wait.heard.push(event(1, 10, &right));
        assert!(!wait.wants(&event(1, 11, &right)));
        assert!(wait.wants(&event(2, 11, &right)));
        wait.heard.push(event(2, 11, &right));
        assert!(wait.is_satisfied());
        assert!(!wait.wants(&event(3, 12, &right)));
    }
}
