//! `bench`: that it measures and what it prints; never how fast.

use serde_json::Value;

use crate::project::Project;

#[test]
fn every_figure_is_one_json_line_with_its_floor_and_its_costs() {
    let project = Project::empty();
    let output = project.output(&["bench", "--quick"], "");
    let words = String::from_utf8(output.stderr).expect("words are text");
    assert!(output.status.success(), "{words}");
    let lines = String::from_utf8(output.stdout).expect("JSON is text");
    let figures: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let names: Vec<_> = figures.iter().map(|f| f["bench"].as_str()).collect();
    assert_eq!(names, [Some("P1"), Some("P2"), Some("P3")]);
    for figure in &figures {
        let positive = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
        for field in [
            "value",
            "must",
            "of_floor_b",
            "seconds",
            "workflows",
            "workflows_per_s",
            "steps_per_s",
            "transitions_per_s",
            "syncs_per_workflow",
        ] {
            assert!(positive(&figure[field]), "{field} in {figure}");
        }
        for (probe, time) in [("before", "preallocated_us"), ("after", "batch_64k_us")] {
            assert!(positive(&figure["disk"][probe][time]), "{figure}");
        }
        let steps = figure["steps_per_s"].as_f64().unwrap_or_default();
        let workflows = figure["workflows_per_s"].as_f64().unwrap_or_default();
        assert!((steps / workflows - 3.0).abs() < 1e-6, "{figure}");
    }
    assert!(figures[1]["p50_ms"].as_f64() <= figures[1]["p99_ms"].as_f64());
    assert!(words.contains("floor A"), "{words}");
    let left = std::fs::read_dir(project.path(".")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing of the bench stays");
}

#[test]
fn a_long_run_is_held_against_short_ones_of_as_many_items() {
    let project = Project::empty();
    let figure = figure(&project, "P4");
    let items = |length: &str| {
        let count = |field: &str| figure[length][field].as_u64().unwrap_or_default();
        count("items") * count("runs")
    };
    assert!(items("long") > 0, "{figure}");
    assert_eq!(items("long"), items("short"), "{figure}");
    let each = |length: &str| {
        figure[length]["bytes_per_transition"]
            .as_f64()
            .unwrap_or_default()
    };
    let ratio = figure["bytes_ratio"].as_f64().unwrap_or_default();
    assert!(
        (each("long") / each("short") / ratio - 1.0).abs() < 1e-9,
        "{figure}"
    );
    assert!(figure["value"].as_f64() >= Some(ratio), "{figure}");
    assert!(figure["time_ratio"].as_f64() > Some(0.0), "{figure}");
    let left = std::fs::read_dir(project.path(".")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing of the bench stays");
}

#[test]
fn a_start_is_measured_without_a_snapshot_and_with_one() {
    let project = Project::empty();
    let figure = figure(&project, "P5");
    let count = |field: &str| figure[field].as_u64().unwrap_or_default();
    assert!(count("records") > 10 * count("closed_runs"), "{figure}");
    assert!(count("archived") >= 1000, "{figure}");
    for started in ["without_snapshot", "with_snapshot"] {
        assert!(figure[started]["ready_ms"].as_f64() > Some(0.0), "{figure}");
    }
    let left = std::fs::read_dir(project.path(".")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing of the bench stays");
}

#[test]
fn waiting_agents_are_measured_beside_slow_sockets() {
    let project = Project::empty();
    let figure = figure(&project, "P7");
    for times in ["in_hand", "beside_slow"] {
        let times = &figure[times];
        assert!(times["count"].as_u64() > Some(0), "{figure}");
        assert!(
            times["p50_ms"].as_f64() <= times["p99_ms"].as_f64(),
            "{figure}"
        );
    }
    assert_eq!(figure["value"], figure["in_hand"]["p99_ms"]);
    let left = std::fs::read_dir(project.path(".")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing of the bench stays");
}

#[test]
fn memory_is_measured_idle_with_open_runs_and_with_closed_ones() {
    let project = Project::empty();
    let figure = figure(&project, "P6");
    let resident = |field: &str| figure[field]["resident_mib"].as_f64().unwrap_or_default();
    assert!(resident("idle") > 1.0, "{figure}");
    assert!(resident("open") > resident("idle"), "{figure}");
    assert!(figure["closed"]["runs"].as_u64() > Some(1000), "{figure}");
}

#[test]
fn many_change_one_document_and_no_change_is_lost() {
    let project = Project::empty();
    let figure = figure(&project, "P8");
    assert_eq!(figure["lost_updates"], 0, "{figure}");
    assert!(figure["fewest"].as_u64() >= Some(1), "{figure}");
    assert!(figure["together_per_s"].as_f64() > Some(0.0), "{figure}");
}

#[test]
fn the_journal_is_held_against_the_same_bytes_written_by_hand() {
    let project = Project::empty();
    let figure = figure(&project, "J");
    let told = |part: &str, field: &str| figure[part][field].as_f64().unwrap_or_default();
    let [journal, floor] = ["journal_us", "floor_us"].map(|time| told("single", time));
    assert!(journal > 0.0 && floor > 0.0, "{figure}");
    let ratio = told("single", "ratio");
    assert!((journal / floor / ratio - 1.0).abs() < 1e-9, "{figure}");
    // A median of turns is no ratio of the sums.
    for field in [
        "journal_records_per_s",
        "floor_records_per_s",
        "ratio",
        "own_batches_ratio",
        "own_batch_bytes",
    ] {
        assert!(told("batched", field) > 0.0, "{field}: {figure}");
    }
    let left = std::fs::read_dir(project.path(".")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing of the bench stays");
}

/// What one bench prints when it is quick.
fn figure(project: &Project, name: &str) -> Value {
    let output = project.output(&["bench", name, "--quick"], "");
    let words = String::from_utf8(output.stderr).expect("words are text");
    assert!(output.status.success(), "{words}");
    let figure: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(figure["bench"], name);
    figure
}
