//! `config`: what a deployment sets, fixed for a run when it begins.

use std::collections::BTreeMap;

use phisync::coordinator::{Refusal, Settings, Target};
use phisync::engine::RunStatus;
use phisync_tests::{World, compiled};
use serde_json::{Map, Value, json};

use super::{TEAM, outputs};

const WORKFLOW: &str = "
workflow: report
config:
  region: { type: string, enum: [eu, us] }
  size: { type: integer, default: 3 }
concurrency: { key: '${{ config.region }}', max: 1, on_conflict: reject }
schedule: [ { id: hourly, every: 1h, overlap: allow } ]
steps:
  - { id: write, task: write, assign: DC, input: { region: '${{ config.region }}' }, compensate: { task: drop, assign: DC, input: { size: '${{ config.size }}' } } }
  - { id: send, needs: write, if: config.size > 2, task: send, assign: DC }
outputs: { region: '${{ config.region }}' }
";

fn set(w: &mut World, settings: Value) {
    let Value::Object(settings) = settings else {
        unreachable!("settings are an object")
    };
    let settings = Settings(BTreeMap::from([("report".to_owned(), settings)]));
    w.coordinator().set_settings(settings);
}

#[test]
fn a_run_keeps_the_settings_that_it_began_with() {
    let mut w = World::new(WORKFLOW, TEAM);
    set(&mut w, json!({ "region": "eu" }));
    let run = w.start();
    set(&mut w, json!({ "region": "us", "size": 1 }));
    let write = w.take("dc", "write");
    let input: Value = serde_json::from_str(write.task.input.get()).expect("JSON");
    assert_eq!(input, json!({ "region": "eu" }));
    w.complete(&write, json!({}));
    w.crash_and_reopen();
    let send = w.take("dc", "send");
    w.complete(&send, json!({}));
    let run = w.run(&run);
    assert_eq!(outputs(&run), json!({ "region": "eu" }));
    assert_eq!(
        Value::from(run.config),
        json!({ "region": "eu", "size": 3 })
    );
    insta::assert_snapshot!(w.log());
}

#[test]
fn settings_that_do_not_fit_refuse_the_start_and_are_what_a_schedule_skips_for() {
    let mut w = World::new(WORKFLOW, TEAM);
    let target = Target::Compiled(compiled(WORKFLOW));
    let (inputs, labels) = (Map::new(), BTreeMap::new());
    let mut said = Vec::new();
    for settings in [
        json!({}),
        json!({ "region": "mars" }),
        json!({ "region": "eu", "sice": 4 }),
    ] {
        set(&mut w, settings);
        let now = w.now();
        let refused = w
            .coordinator()
            .start(&target, None, &inputs, &labels, "dana", now);
        let refused = refused.expect_err("the settings do not fit");
        assert!(
            matches!(refused, Refusal::BadSettings { .. }),
            "{refused:?}"
        );
        let lines = refused.violations().iter();
        said.extend(lines.map(|line| format!("{}: {}", line.path, line.message)));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    config.region: setting `region` is missing
    config.region: expected one of `eu`, `us`, found `mars`
    config.sice: unknown setting `sice`, did you mean `size`?
    ");
    let now = w.now();
    let registered = w.coordinator().register(&compiled(WORKFLOW), now);
    registered.expect("it is sound");
    w.seconds(3601);
    let now = w.now();
    let schedule = w.coordinator().schedule(("report", "hourly"), 0, now);
    let past = schedule.expect("it is there").past;
    let skipped = past[0].skipped.as_deref();
    insta::assert_snapshot!(skipped.expect("it started nothing"), @"its inputs do not fit: the settings of the deployment do not fit the `config` of workflow `report`: config.sice: unknown setting `sice`, did you mean `size`?");
}

#[test]
fn what_undoes_a_run_reads_the_settings_that_the_run_had() {
    let mut w = World::new(WORKFLOW, TEAM);
    set(&mut w, json!({ "region": "us", "size": 9 }));
    w.start();
    set(&mut w, json!({ "region": "eu" }));
    let write = w.take("dc", "write");
    w.complete(&write, json!({}));
    let send = w.take("dc", "send");
    w.fail(&send, "app.no", "not today");
    let undo = w.take("dc", "write.undo");
    let input: Value = serde_json::from_str(undo.task.input.get()).expect("JSON");
    assert_eq!(input, json!({ "size": 9 }));
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Failed);
}
