//! Events: who sent which, who waits for one, and the runs that they start.
//!
//! Each name has a stream, `event/NAME`; an event's number is its version there. A wait that begins, and
//! an event that comes, are brought together by one index, from the name and one field that must match to
//! the waits; what fits is given to the run as [`Input::Deliver`], which journals it there. Deliveries
//! follow the state: after a crash every open wait is held against every event that is kept, and the run
//! itself knows what it has heard. Triggers start runs in the batch of their event.
//!
//! Events are kept in memory as long as an open run may still want them: since the start of the oldest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use phisync_state::{StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{self, Delivery, Input, Phase, RawJson, RunEvent, RunId, Source, value_at};

use super::keys::CALLS_KEPT;
use super::{Coordinator, Now, Refusal, recovery};

/// So many deliveries are made in one batch; what is left is due at once again.
const DELIVERIES_MAX: usize = 256;

/// Events of one name are looked through for old ones when there are more than this.
const KEPT_MIN: usize = 1024;

/// A fact of the stream `event/NAME`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventFact {
    /// Somebody sent it.
    EventReceived {
        /// What it says.
        data: RawJson,
        /// Sent again with the same key, it is the same event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// All events of one name that are kept.
#[derive(Default)]
struct Named {
    version: Version,
    events: VecDeque<Delivery>,
    /// With as many events as this, it is looked for old ones again.
    look_at: usize,
    /// Keys of events, with their numbers and times.
    keys: BTreeMap<String, (u64, Timestamp)>,
}

/// A wait: the run, and the step in it.
type Wait = (RunId, String);

/// Where a wait is found: by the event's name and, if it wants fields to match, by one of them.
type Place = (String, Option<(String, String)>);

/// Events and those who wait for them.
#[derive(Default)]
pub(super) struct Events {
    named: BTreeMap<String, Named>,
    index: BTreeMap<Place, BTreeSet<Wait>>,
    /// The fields by which waits for an event are found, and how many waits each has.
    fields: BTreeMap<String, BTreeMap<String, usize>>,
    waits: BTreeMap<RunId, BTreeMap<String, Place>>,
    /// Waits that are to be held against the events that are kept.
    pending: BTreeSet<Wait>,
    /// Waits that may want an event that came.
    deliveries: VecDeque<(Wait, String, u64)>,
}

impl Events {
    /// Takes in a fact of the stream `event/NAME`.
    pub(super) fn replay(&mut self, name: &str, version: Version, fact: EventFact) {
        let EventFact::EventReceived { data, key, at, .. } = fact;
        let named = self.named.entry(name.to_owned()).or_default();
        named.version = version;
        if let Some(key) = key {
            named.keys.insert(key, (version, at));
        }
        named.events.push_back(Delivery {
            source: Source::Event(name.to_owned()),
            number: version,
            data,
            at,
        });
    }

    /// Whether something is to be delivered at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty() || !self.deliveries.is_empty()
    }

    fn forget_wait(&mut self, wait: &Wait, place: &Place) {
        if let Some(waits) = self.index.get_mut(place) {
            waits.remove(wait);
            if waits.is_empty() {
                self.index.remove(place);
            }
        }
        if let (name, Some((field, _))) = place
            && let Some(fields) = self.fields.get_mut(name)
            && let Some(count) = fields.get_mut(field)
        {
            *count -= 1;
            if *count == 0 {
                fields.remove(field);
            }
        }
        self.pending.remove(wait);
    }

    fn note_wait(&mut self, wait: Wait, place: Place) {
        if let (name, Some((field, _))) = &place {
            let fields = self.fields.entry(name.clone()).or_default();
            *fields.entry(field.clone()).or_default() += 1;
        }
        let (run, step) = wait.clone();
        self.waits
            .entry(run)
            .or_default()
            .insert(step, place.clone());
        self.index.entry(place).or_default().insert(wait.clone());
        self.pending.insert(wait);
    }

    /// The waits that an event with this data may be for.
    fn waiting_for(&self, name: &str, data: &Value) -> Vec<Wait> {
        let fields = self.fields.get(name).into_iter().flatten();
        let matching = fields.filter_map(|(field, _)| {
            let value = value_at(data, field)?.to_string();
            Some(Some((field.clone(), value)))
        });
        let places = matching.chain([None]);
        let waits = places.filter_map(|place| self.index.get(&(name.to_owned(), place)));
        waits.flatten().cloned().collect()
    }

    fn has_many(&self, name: &str) -> bool {
        let named = self.named.get(name);
        named.is_some_and(|named| named.events.len() >= named.look_at.max(KEPT_MIN))
    }

    /// Forgets the events, and their keys, that no open run can want any more.
    fn forget_old(&mut self, name: &str, since: Timestamp, now: Timestamp) {
        let Some(named) = self.named.get_mut(name) else {
            return;
        };
        named
            .keys
            .retain(|_, (_, at)| *at >= since || now.since(*at) < CALLS_KEPT);
        while named.events.front().is_some_and(|event| event.at < since) {
            named.events.pop_front();
        }
        named.look_at = 2 * named.events.len();
    }
}

fn stream(name: &str) -> StreamName {
    StreamName::new(format!("event/{name}"))
}

impl Coordinator {
    /// Sends an event to everybody who waits for it, now or later. Sent again with the same key it is the
    /// same event. Answers with its number among all of its name.
    ///
    /// # Errors
    /// A name that is none.
    pub fn send_event(
        &mut self,
        name: &str,
        data: &RawJson,
        key: Option<&str>,
        by: &str,
        now: Now,
    ) -> Result<u64, Refusal> {
        super::control::check_event_name(name)?;
        self.transact(now, |c| Ok(c.publish(name, data, key, by, now)))
    }

    /// Puts an event into the batch under way.
    fn publish(
        &mut self,
        name: &str,
        data: &RawJson,
        key: Option<&str>,
        by: &str,
        now: Now,
    ) -> u64 {
        let named = self.events.named.entry(name.to_owned()).or_default();
        if let Some((number, _)) = key.and_then(|key| named.keys.get(key)) {
            return *number;
        }
        let before = named.version;
        let fact = EventFact::EventReceived {
            data: data.clone(),
            key: key.map(str::to_owned),
            by: by.to_owned(),
            at: now.wall,
        };
        self.batch
            .add(stream(name), before, std::slice::from_ref(&fact));
        self.batch.events.insert(name.to_owned());
        if self.events.has_many(name) {
            let oldest = self.open.values().map(|run| run.state.started_at).min();
            self.events
                .forget_old(name, oldest.unwrap_or(now.wall), now.wall);
        }
        self.events.replay(name, before + 1, fact);
        for wait in self.events.waiting_for(name, &data.parse()) {
            let delivery = (wait, name.to_owned(), before + 1);
            self.events.deliveries.push_back(delivery);
        }
        self.set_off_triggers(name, before + 1, data, now);
        before + 1
    }

    /// Keeps the index in step with what a run waits for, and sends what it emitted.
    pub(super) fn follow_events(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        for event in events {
            let RunEvent::EventEmitted {
                step,
                event,
                data,
                key,
                to,
                ..
            } = event
            else {
                continue;
            };
            let by = format!("run {id}");
            match to {
                Some(to) => self.signal_aside(to, event, data, by, now),
                None => {
                    let own = format!("{id}.{step}");
                    let key = key.as_deref().unwrap_or(&own);
                    self.publish(event, data, Some(key), &by, now);
                }
            }
        }
        self.follow_waits(id);
    }

    /// The facts of a run, and after each signal that reaches nobody the fact that it is lost; `None` if
    /// none is.
    pub(super) fn with_lost_signals(
        &mut self,
        id: &RunId,
        events: &[RunEvent],
        now: Now,
    ) -> Option<Vec<RunEvent>> {
        let signals =
            |event: &RunEvent| matches!(event, RunEvent::EventEmitted { to: Some(_), .. });
        if !events.iter().any(signals) {
            return None;
        }
        let mut noted = Vec::with_capacity(events.len() + 1);
        for event in events {
            noted.push(event.clone());
            let RunEvent::EventEmitted {
                step,
                event: signal,
                to: Some(to),
                at,
                ..
            } = event
            else {
                continue;
            };
            let Some(why) = self.hears_nothing(to, now) else {
                continue;
            };
            let lost = RunEvent::SignalLost {
                step: step.clone(),
                signal: signal.clone(),
                to: to.clone(),
                why,
                at: *at,
            };
            if let Some(run) = self.open.get_mut(id) {
                engine::apply(&mut run.state, &lost);
            }
            noted.push(lost);
        }
        Some(noted)
    }

    /// Why no signal can reach a run; `None` if one can.
    fn hears_nothing(&mut self, to: &str, now: Now) -> Option<String> {
        let Some(run) = RunId::parse(to) else {
            return Some(format!("`{to}` is no id of a run"));
        };
        if let Err(refusal) = self.refresh(&run, now) {
            return Some(format!("the run `{run}` cannot be read: {refusal}"));
        }
        let open = self.open.get(&run).map(|run| run.state.phase);
        match open {
            Some(Phase::Closed) => Some(format!("the run `{run}` is closed")),
            Some(_) => None,
            None if self.closed.contains(&run) => Some(format!("the run `{run}` is closed")),
            None => Some(format!("there is no run `{run}`")),
        }
    }

    /// Gives a run the signal that another one emitted. What is known to reach nobody is in the
    /// journal of who sent it, see [`Self::with_lost_signals`].
    fn signal_aside(&mut self, to: &str, name: &str, data: &RawJson, by: String, now: Now) {
        let run = RunId::parse(to).filter(|run| self.open.contains_key(run));
        let input = Input::Signal {
            name: name.to_owned(),
            data: data.clone(),
            by,
        };
        let taken = run.map(|run| self.decide(&run, input, now));
        if !matches!(taken, Some(Ok(()))) {
            tracing::warn!(run = to, signal = name, "a signal reached nobody");
        }
    }

    pub(super) fn follow_waits(&mut self, id: &RunId) {
        let run = self.open.get(id).map(|run| &run.state);
        let known = self.events.waits.contains_key(id);
        if !known && run.is_none_or(|run| run.listening().next().is_none()) {
            return;
        }
        let mut wanted = BTreeMap::new();
        for (step, wait) in run.into_iter().flat_map(|run| run.listening()) {
            if let Source::Event(name) = &wait.subscription.source {
                let first = wait.subscription.matching.first_key_value();
                let first = first.map(|(field, value)| (field.clone(), value.to_string()));
                wanted.insert(step.to_owned(), (name.clone(), first));
            }
        }
        let old = self.events.waits.remove(id).unwrap_or_default();
        for (step, place) in &old {
            if wanted.get(step) != Some(place) {
                self.events.forget_wait(&(id.clone(), step.clone()), place);
            }
        }
        for (step, place) in wanted {
            if old.get(&step) == Some(&place) {
                let waits = self.events.waits.entry(id.clone()).or_default();
                waits.insert(step, place);
            } else {
                self.events.note_wait((id.clone(), step), place);
            }
        }
    }

    /// Brings waits and events together, a bounded number at a time.
    pub(super) fn deliver_events(&mut self, now: Now) {
        let mut made = 0;
        while made < DELIVERIES_MAX {
            if let Some(wait) = self.events.pending.pop_first() {
                made += self.catch_up(&wait, now);
            } else if let Some((wait, name, number)) = self.events.deliveries.pop_front() {
                let named = self.events.named.get(&name);
                let event = named.and_then(|named| {
                    named
                        .events
                        .iter()
                        .rev()
                        .find(|event| event.number == number)
                });
                if let Some(event) = event.cloned() {
                    self.deliver(&wait, event, now);
                }
                made += 1;
            } else {
                return;
            }
        }
    }

    /// Gives a wait everything that came before it began.
    fn catch_up(&mut self, wait: &Wait, now: Now) -> usize {
        let (run, step) = wait;
        let open = self.open.get(run).map(|run| &run.state);
        let listening = open.and_then(|run| run.heard(step));
        let Some(Source::Event(name)) = listening.map(|l| &l.subscription.source) else {
            return 1;
        };
        let kept = self.events.named.get(name).map(|named| &named.events);
        let kept = kept.into_iter().flatten();
        let early: Vec<_> = kept
            .filter(|event| listening.is_some_and(|l| l.wants(event)))
            .cloned()
            .collect();
        let count = early.len().max(1);
        for event in early {
            self.deliver(wait, event, now);
        }
        count
    }

    fn deliver(&mut self, (run, step): &Wait, what: Delivery, now: Now) {
        let open = self.open.get(run).map(|run| &run.state);
        if !open.is_some_and(|run| run.heard(step).is_some_and(|wait| wait.wants(&what))) {
            return;
        }
        let input = Input::Deliver {
            step: step.clone(),
            what,
        };
        if let Err(refusal) = self.decide(run, input, now) {
            tracing::debug!(%run, step, %refusal, "an event was not delivered");
        }
    }

    /// Forgets what was believed about the events of one name and reads them again.
    pub(super) fn reload_events(&mut self, name: &str) -> Result<(), Refusal> {
        self.events.named.remove(name);
        self.events.deliveries.retain(|(_, other, _)| other != name);
        for record in self.store.read(&stream(name), 1)? {
            let fact = recovery::decode(&record)?;
            self.events.replay(name, record.version, fact);
        }
        // Whoever waits for this name may have missed one.
        let index = self.events.index.iter();
        let waits = index.filter(|((other, _), _)| other == name);
        let waits: Vec<_> = waits.flat_map(|(_, waits)| waits).cloned().collect();
        self.events.pending.extend(waits);
        Ok(())
    }
}
