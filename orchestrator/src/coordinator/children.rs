//! Runs that other runs call: started with the fact that calls them, told to their parents with the
//! fact that ends them, all in one batch.

use std::collections::BTreeMap;

use crate::engine::{
    BlockWork, ChildEnd, Failure, Input, PassOutcome, RawJson, RunEvent, RunId, RunState,
    RunStatus, Trigger, Undo,
};

use super::starts::{NewRun, bind};
use super::{Coordinator, Now, Refusal};

/// What a fact of a parent asks for.
enum Wish {
    Start {
        step: String,
        child: RunId,
        workflow: String,
        version: Option<String>,
        inputs: RawJson,
    },
    Unwind {
        step: String,
        child: RunId,
        of: RunId,
        /// The run that tried it before.
        after: Option<RunId>,
    },
    Cancel {
        child: RunId,
    },
}

impl Coordinator {
    /// Does what the facts of `id` ask for about other runs.
    pub(super) fn follow_children(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        let wishes: Vec<_> = match self.open.get(id) {
            Some(run) => events
                .iter()
                .filter_map(|event| wish(&run.state, event))
                .collect(),
            None => return,
        };
        for wish in wishes {
            match wish {
                Wish::Start {
                    step,
                    child,
                    workflow,
                    version,
                    inputs,
                } => {
                    let new = self.child(id, &step, &workflow, version.as_deref(), &inputs);
                    let begun = new.and_then(|new| self.begin(&child, new, now));
                    if let Err(refusal) = begun {
                        let message = format!("`{workflow}` cannot be called: {refusal}");
                        let error = Failure::new("call.failed", message);
                        self.tell_parent(id, &step, ended(child, Err(error)), now);
                    }
                }
                Wish::Unwind {
                    step,
                    child,
                    of,
                    after,
                } => {
                    let begun = self.unwind(&of, after.as_ref(), &child, (id, &step), now);
                    if let Err(refusal) = begun {
                        let message = format!("run `{of}` cannot be undone: {refusal}");
                        let error = Failure::new("saga.failed", message);
                        self.tell_parent(id, &step, ended(child, Err(error)), now);
                    }
                }
                Wish::Cancel { child } => {
                    let input = Input::Cancel {
                        by: format!("run {id}"),
                        reason: Some("the run that called it is ending".to_owned()),
                    };
                    if self.open.contains_key(&child) {
                        self.decide_aside(&child, input, now);
                    }
                }
            }
        }
        self.tell_end(id, now);
    }

    fn child(
        &self,
        parent: &RunId,
        step: &str,
        workflow: &str,
        version: Option<&str>,
        inputs: &RawJson,
    ) -> Result<NewRun, Refusal> {
        let caller = self.open.get(parent).map(|run| &run.state.machine);
        let machine = match caller {
            Some(caller) => self.definitions.called_by(caller, workflow, version),
            None => self.definitions.newest_within(workflow, version),
        };
        let machine = machine.ok_or_else(|| Refusal::NotFound {
            what: "workflow",
            id: match version {
                Some(version) => format!("{workflow} {version}"),
                None => workflow.to_owned(),
            },
        })?;
        let inputs = match inputs.parse() {
            serde_json::Value::Object(inputs) => inputs,
            _ => serde_json::Map::new(),
        };
        Ok(NewRun {
            inputs: bind(&machine, &inputs)?,
            config: self.settings.bind(&machine)?,
            machine,
            labels: BTreeMap::new(),
            by: format!("run {parent}"),
            trigger: Some(Trigger::Call {
                of: parent.clone(),
                step: step.to_owned(),
            }),
        })
    }

    /// Tells the parent of a run that has just closed.
    fn tell_end(&mut self, id: &RunId, now: Now) {
        let Some(run) = self.open.get(id) else { return };
        let state = &run.state;
        let (of, step) = match &state.trigger {
            Some(Trigger::Call { of, step }) => (of.clone(), step.clone()),
            Some(Trigger::Unwind { parent, step, .. }) => {
                let (parent, step) = (parent.clone(), step.clone());
                if let Some(end) = unwound(state) {
                    self.tell_parent(&parent, &step, end, now);
                }
                return;
            }
            _ => return,
        };
        let end = match state.status {
            RunStatus::Running => return,
            RunStatus::Completed => {
                let null = || RawJson::from_value(&serde_json::Value::Null);
                ended(id.clone(), Ok(state.outputs.clone().unwrap_or_else(null)))
            }
            RunStatus::Failed => {
                let error = state.error.as_ref();
                let (code, why) = error.map_or(("", ""), |error| (&error.code, &error.message));
                let mut failure =
                    Failure::new("call.failed", format!("run `{id}` failed: {code}: {why}"));
                let data = serde_json::json!({ "run": id.as_str(), "code": code, "message": why });
                failure.data = Some(RawJson::from_value(&data));
                ended(id.clone(), Err(failure))
            }
            RunStatus::Cancelled => ChildEnd {
                run: id.clone(),
                outcome: PassOutcome::Cancelled,
                output: None,
                error: None,
            },
        };
        self.tell_parent(&of, &step, end, now);
    }

    fn tell_parent(&mut self, parent: &RunId, step: &str, end: ChildEnd, now: Now) {
        let waits = self.open.get(parent).is_some_and(|run| {
            let slot = run.state.slot_named(step);
            let child = slot.and_then(|slot| run.state.child_of(slot));
            let open = slot.is_some_and(|slot| run.state.step(slot).outcome.is_none());
            open && child == Some(&end.run)
        });
        if waits {
            let step = step.to_owned();
            self.decide_aside(parent, Input::ChildEnded { step, end }, now);
        }
    }

    /// Decides an input that this very operation causes in another run. It was seen to fit.
    fn decide_aside(&mut self, id: &RunId, input: Input, now: Now) {
        if let Err(refusal) = self.decide(id, input, now) {
            tracing::error!(run = %id, %refusal, "a run does not take what another one causes");
        }
    }
}

fn wish(run: &RunState, event: &RunEvent) -> Option<Wish> {
    match event {
        RunEvent::BlockStarted {
            step,
            work:
                BlockWork::Call {
                    run: child,
                    workflow,
                    version,
                    inputs,
                    undoes: None,
                    after: _,
                },
            ..
        } => Some(Wish::Start {
            step: step.clone(),
            child: child.clone(),
            workflow: workflow.clone(),
            version: version.clone(),
            inputs: inputs.clone(),
        }),
        RunEvent::BlockStarted {
            step,
            work:
                BlockWork::Call {
                    run: child,
                    undoes: Some(of),
                    after,
                    ..
                },
            ..
        } => Some(Wish::Unwind {
            step: step.clone(),
            child: child.clone(),
            of: of.clone(),
            after: after.clone(),
        }),
        RunEvent::BlockCancelling { step, .. } => {
            let slot = run.slot_named(step)?;
            let child = run.child_of(slot).filter(|_| run.cancels_child(slot))?;
            Some(Wish::Cancel {
                child: child.clone(),
            })
        }
        _ => None,
    }
}

/// What the end of a run that undoes another one means for the step that waits for it.
fn unwound(run: &RunState) -> Option<ChildEnd> {
    let id = run.id.clone();
    let word = match (run.status, run.undo) {
        (RunStatus::Running, _) => return None,
        (_, Undo::None) => "none",
        (_, Undo::Done) => "done",
        (_, Undo::Partial | Undo::Abandoned) => {
            let message = format!("run `{id}` could not undo everything");
            return Some(ended(id, Err(Failure::new("saga.failed", message))));
        }
    };
    let output = serde_json::json!({ "undo": word });
    Some(ended(id, Ok(RawJson::from_value(&output))))
}

fn ended(run: RunId, end: Result<RawJson, Failure>) -> ChildEnd {
    let outcome = match end {
        Ok(_) => PassOutcome::Succeeded,
        Err(_) => PassOutcome::Failed,
    };
    let (output, error) = match end {
        Ok(output) => (Some(output), None),
        Err(error) => (None, Some(error)),
    };
    ChildEnd {
        run,
        outcome,
        output,
        error,
    }
}
