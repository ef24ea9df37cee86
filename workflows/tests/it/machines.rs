//! What the engine gets: defaults made explicit, names resolved, types carried along.

use std::time::Duration;

use phisync_workflows::machine::{
    Compensate, Effects, Join, OnFailure, Priority, StepKind, Template,
};
use phisync_workflows::{Machine, StepIndex};

use crate::support::{codes, compile_text, fixtures};

fn machine(text: &str) -> Machine {
    let mut compiled = compile_text(text);
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    compiled.machines.remove(0)
}

fn fixture(name: &str) -> Machine {
    let all = fixtures("valid");
    let found = all
        .iter()
        .find(|f| f.name == name)
        .expect("the fixture exists");
    machine(&found.text)
}

#[test]
fn the_smallest_workflow_has_all_defaults() {
    let machine = fixture("smallest.yaml");
    assert_eq!(machine.name(), "otters");
    assert_eq!(machine.timeout(), Duration::from_secs(86_400));
    let facts = machine.step(StepIndex(0));
    let StepKind::Task(task) = &facts.kind else {
        panic!("facts is a task")
    };
    assert_eq!(task.task_type, "facts");
    assert!(
        matches!(&task.prompt, Some(Template::Literal(text)) if text == "Find three facts about otters.")
    );
    assert_eq!(facts.assign.agent.as_deref(), Some("WEBC"));
    assert_eq!(facts.assign.reassignments, 3);
    assert_eq!(facts.assign.priority, Priority(50));
    assert_eq!(facts.retry.max_attempts, 1);
    assert_eq!(facts.effects, Effects::Write);
    assert_eq!(facts.on_failure, OnFailure::Fail);
    assert_eq!(facts.join, Join::All);
    assert!(matches!(facts.compensate, Compensate::Absent));
    assert!(facts.output_is_read);
    let paragraph = machine.step(StepIndex(1));
    assert_eq!(paragraph.needs, [StepIndex(0)]);
    assert!(!paragraph.output_is_read);
    assert_eq!(machine.dependants(StepIndex(0)), [StepIndex(1)]);
    assert_eq!(machine.rank(StepIndex(1)), 1);
}

#[test]
fn defaults_reach_every_step_and_a_step_overrides_them() {
    let machine = fixture("every-key.yaml");
    let step = |id: &str| machine.step(machine.step_named(id).expect("the step exists"));
    let papers = step("papers");
    assert_eq!(papers.assign.capabilities, ["research"]);
    assert_eq!(papers.retry.max_attempts, 4);
    assert_eq!(papers.timeouts.queue, Duration::from_secs(900));
    let check = step("check");
    assert_eq!(check.timeouts.lease, Duration::from_secs(30));
    assert_eq!(check.timeouts.run, Duration::from_secs(2400));
    let web = step("web");
    assert_eq!(web.retry.max_attempts, 6);
    assert!(web.retry.when.is_some());
    let publish = step("publish");
    assert_eq!(publish.assign.reassignments, 2);
    assert_eq!(publish.assign.priority, Priority(75));
    let Compensate::Task(undo) = &publish.compensate else {
        panic!("publish has an undo")
    };
    assert_eq!(undo.retry.max_attempts, 10);
    assert_eq!(undo.retry.max_delay, Duration::from_secs(600));
    assert_eq!(undo.timeouts.run, Duration::from_secs(300));
}

#[test]
fn what_may_have_had_an_effect_is_not_repeated_after_an_unknown_end() {
    let errors = |keys: &str| {
        let machine = machine(&format!(
            "workflow: w\nsteps: [{{ id: a, prompt: x, retry: {{}}, {keys} }}]\n"
        ));
        let step = machine.step(StepIndex(0));
        let codes: Vec<String> = step.retry.errors.iter().map(|p| p.0.clone()).collect();
        codes.join(" ")
    };
    assert_eq!(errors("effects: write"), "transient");
    assert_eq!(errors("effects: read"), "transient timeout.run");
    assert_eq!(errors("idempotent: true"), "transient timeout.run");
}

#[test]
fn a_lease_that_nobody_wrote_fits_into_the_attempt() {
    let machine = machine("workflow: w\nsteps: [{ id: a, prompt: x, timeout: 30s }]\n");
    let clocks = &machine.step(StepIndex(0)).timeouts;
    assert_eq!(
        (clocks.lease, clocks.run),
        (Duration::from_secs(30), Duration::from_secs(30))
    );
    let written =
        "workflow: w\nsteps: [{ id: a, prompt: x, timeouts: { run: 30s, lease: 60s } }]\n";
    assert_eq!(codes(written), ["PHI503"]);
}

#[test]
fn an_irreversible_step_is_not_put_back_unless_it_says_so() {
    let reassignments = |keys: &str| {
        let text = format!(
            "workflow: w\nsteps: [{{ id: a, prompt: x, effects: irreversible, {keys} }}]\n"
        );
        machine(&text).step(StepIndex(0)).assign.reassignments
    };
    assert_eq!(reassignments("title: t"), 0);
    assert_eq!(reassignments("idempotent: true"), 3);
    assert_eq!(reassignments("assign: { agent: DC, reassignments: 1 }"), 1);
}

#[test]
fn a_workflow_with_an_error_makes_no_machine_and_its_neighbour_does() {
    let text = "workflow: bad\nsteps: [{ id: a, prompt: x, needs: nobody }]\n---\nworkflow: good\nsteps: [{ id: a, prompt: x }]\n";
    let compiled = compile_text(text);
    assert!(compiled.has_errors());
    let names: Vec<&str> = compiled.machines.iter().map(Machine::name).collect();
    assert_eq!(names, ["good"]);
}

#[test]
fn one_mistake_does_not_hide_another() {
    let text = "workflow: w\nsteps:\n  - { id: a, prompt: 'x ${{ nope }}', needs: b }\n  - { id: b, prompt: x, needs: a, timeout: never }\n  - { id: c, prompt: x, colour: red }\n";
    let found = codes(text);
    for code in ["PHI203", "PHI401", "PHI111", "PHI101"] {
        assert!(found.contains(&code), "{code} is missing in {found:?}");
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_move_places() {
    let text =
        "\u{feff}workflow: w\r\nsteps:\r\n  - id: \u{e9}\r\n    prompt: x\r\n    colour: red\r\n";
    let source = phisync_workflows::SourceText::new("x", text);
    let compiled = phisync_workflows::compile(&source, None);
    let places: Vec<(&str, (usize, usize))> = compiled
        .diagnostics
        .iter()
        .map(|d| (d.code, source.line_column(d.span.start)))
        .collect();
    assert_eq!(places, [("PHI109", (3, 9)), ("PHI101", (5, 5))]);
}

#[test]
fn what_a_join_may_start_without_is_not_certain_to_have_an_output() {
    let found = |join: &str, reader: &str| {
        codes(&format!(
            "workflow: w\nsteps:\n  - {{ id: a, prompt: x, output: string }}\n  - {{ id: b, prompt: x }}\n  - {{ id: c, prompt: '{reader}', needs: [a, b], join: {join} }}\n  - {{ id: d, prompt: '{reader}', needs: c }}\n"
        ))
    };
    let read = "${{ steps.a.output }}";
    assert_eq!(found("all", read), Vec::<&str>::new());
    assert_eq!(found("{ at_least: 2 }", read), Vec::<&str>::new());
    assert_eq!(found("any", read), ["PHI305", "PHI305"]);
    assert_eq!(found("{ at_least: 1 }", read), ["PHI305", "PHI305"]);
    assert_eq!(
        found("any", "${{ steps.a.?output.orValue(\"none\") }}"),
        Vec::<&str>::new()
    );
}

#[test]
fn what_a_step_yields_has_the_type_that_its_reader_sees() {
    let text = "workflow: w\nsteps:\n  - { id: a, prompt: x, output: { type: object, required: [count], properties: { count: int } }, yield: { twice: '${{ result.count * 2 }}' } }\n  - { id: b, prompt: 'x ${{ steps.a.output.count }}', needs: a }\n  - { id: c, prompt: x, needs: a, if: steps.a.output.twice }\n";
    assert_eq!(codes(text), ["PHI304", "PHI307"]);
}

#[test]
fn a_task_has_what_its_type_says_and_a_step_overrides_it() {
    let machine = machine(
        "workflow: w\ntask_types:\n  web.fetch: { output: { type: object, required: [text], properties: { text: string } }, effects: read, idempotent: true, capabilities: [web] }\nsteps:\n  - { id: a, task: web.fetch }\n  - { id: b, task: web.fetch, assign: DC, effects: write, needs: a, input: { text: \"${{ steps.a.output.text }}\" } }\n",
    );
    let [a, b] = machine.steps() else {
        panic!("there are two steps")
    };
    assert_eq!((a.effects, a.idempotent), (Effects::Read, true));
    assert_eq!(a.assign.capabilities, ["web"]);
    assert!(!a.output.is_any());
    assert_eq!(b.effects, Effects::Write);
    assert_eq!(b.assign.capabilities, Vec::<String>::new());
}
