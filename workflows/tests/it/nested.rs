//! Bodies of steps: how they are numbered, what their steps see, and what comes out of a block.

use phisync_workflows::machine::{
    BodyIndex, LoopTest, OnFailure, Owner, Shape, StepKind, SwitchDefault, Template, Then,
};
use phisync_workflows::{Machine, Severity, SourceText, compile};

use crate::support::{codes, compile_text, team};

fn machine(text: &str) -> Machine {
    let mut compiled = compile_text(text);
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    compiled.machines.remove(0)
}

/// The messages of all errors in the text.
fn errors(text: &str) -> Vec<String> {
    let compiled = compile(&SourceText::new("test.yaml", text), Some(&team()));
    let errors = compiled.diagnostics.into_iter();
    errors
        .filter(|d| d.severity == Severity::Error)
        .map(|d| format!("{} {}", d.code, d.message))
        .collect()
}

fn step<'m>(machine: &'m Machine, id: &str) -> &'m phisync_workflows::machine::Step {
    machine.step(machine.step_named(id).expect("the step exists"))
}

const NESTED: &str = r#"
workflow: nested
inputs: { files: "string[]" }
steps:
  - id: each
    foreach:
      in: inputs.files
      as: file
      do:
        - id: polish
          loop:
            max: 3
            carry: { text: "" }
            do:
              - id: draft
                prompt: "Draft ${{ file }} after ${{ iter.carry.text }}."
                output: { type: object, required: [text, good], properties: { text: string, good: bool } }
            next: { text: "${{ steps.draft.output.text }}" }
            until: steps.draft.output.good
          yield: { text: "${{ steps.draft.output.text }}" }
        - id: store
          prompt: "Store ${{ steps.polish.output.text }} (${{ steps.polish.output.iterations }} rounds)."
          on_failure:
            do:
              - id: note
                prompt: "Note ${{ error.code }} of ${{ file }}."
            then: continue
    yield: { file: "${{ file }}", text: "${{ steps.polish.output.text }}" }
  - id: last
    needs: each
    prompt: "Tell ${{ steps.each.output.items.map(i, i.output.text).join(', ') }}."
finally:
  - id: clean
    prompt: Clean up.
"#;

#[test]
fn bodies_nest_and_instances_are_counted_by_what_repeats_around_them() {
    let machine = machine(NESTED);
    let ids: Vec<&str> = machine.steps().iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        ["each", "polish", "draft", "store", "note", "last", "clean"]
    );
    let repeats: Vec<usize> = (0..7)
        .map(|i| machine.repeats(phisync_workflows::StepIndex(i)))
        .collect();
    assert_eq!(repeats, [0, 1, 2, 1, 1, 0, 0]);
    let owners: Vec<Owner> = machine.bodies().iter().map(|b| b.owner).collect();
    let index = |id: &str| machine.step_named(id).expect("the step exists");
    assert_eq!(
        owners,
        [
            Owner::Run,
            Owner::Block(index("each")),
            Owner::Block(index("polish")),
            Owner::Handler(index("store")),
            Owner::Finally,
        ]
    );
    assert_eq!(machine.body(BodyIndex::MAIN).shape, Shape::Graph);
    assert_eq!(
        machine.body(BodyIndex::MAIN).steps,
        [index("each"), index("last")]
    );
    assert_eq!(machine.finally(), Some(BodyIndex(4)));
    assert_eq!(machine.parent(index("note")), Some(index("store")));
    let around: Vec<_> = machine.enclosing(index("draft")).collect();
    assert_eq!(around, [index("polish"), index("each")]);
}

#[test]
fn a_step_of_a_sequence_needs_the_one_before_it() {
    let machine = machine(NESTED);
    let index = |id: &str| machine.step_named(id).expect("the step exists");
    assert_eq!(step(&machine, "polish").needs, []);
    assert_eq!(step(&machine, "store").needs, [index("polish")]);
    assert_eq!(machine.dependants(index("polish")), [index("store")]);
    assert_eq!(machine.rank(index("store")), 1);
    assert_eq!(step(&machine, "last").needs, [index("each")]);
}

#[test]
fn the_specs_of_blocks_have_their_bodies_and_expressions() {
    let machine = machine(NESTED);
    let StepKind::Foreach(each) = &step(&machine, "each").kind else {
        panic!("each is a foreach")
    };
    assert_eq!(
        (each.as_name.as_str(), each.index_as.as_str()),
        ("file", "index")
    );
    assert_eq!((each.concurrency, each.max_items), (4, 10_000));
    assert_eq!(each.items.source(), "inputs.files");
    assert!(step(&machine, "each").yields.is_some());
    let StepKind::Loop(polish) = &step(&machine, "polish").kind else {
        panic!("polish is a loop")
    };
    assert!(
        matches!(&polish.test, LoopTest::Until(test) if test.source() == "steps.draft.output.good")
    );
    assert_eq!(polish.next.len(), 1);
    let on_failure = step(&machine, "store").on_failure;
    assert_eq!(
        on_failure,
        OnFailure::Handle {
            body: BodyIndex(3),
            then: Then::Continue
        }
    );
}

#[test]
fn a_switch_has_the_bodies_of_its_cases_in_order_and_its_default() {
    let machine = machine(
        r#"
workflow: choosing
inputs: { size: int }
steps:
  - id: choose
    switch:
      cases:
        - { id: none, when: inputs.size == 0, do: [] }
        - id: large
          when: inputs.size > 100
          steps: [{ id: left, prompt: L. }, { id: right, prompt: R. }]
          yield: large
      default: skip
outputs:
  what: ${{ steps.choose.?output.?output.orValue('') }}
"#,
    );
    let StepKind::Switch(switch) = &step(&machine, "choose").kind else {
        panic!("choose is a switch")
    };
    let bodies: Vec<_> = switch
        .cases
        .iter()
        .map(|c| (c.id.as_str(), c.body))
        .collect();
    assert_eq!(bodies, [("none", BodyIndex(1)), ("large", BodyIndex(2))]);
    assert_eq!(switch.default, SwitchDefault::Skip);
    assert!(machine.body(BodyIndex(1)).steps.is_empty());
    assert_eq!(machine.body(BodyIndex(2)).shape, Shape::Graph);
    assert!(matches!(&switch.cases[1].yields, Some(Template::Literal(text)) if text == "large"));
}

#[test]
fn what_a_block_hands_on_has_a_type() {
    let wrong = |read: &str| {
        let text = NESTED.replace(
            "steps.each.output.items.map(i, i.output.text).join(', ')",
            read,
        );
        errors(&text)
    };
    assert_eq!(wrong("steps.each.output.succeeded"), Vec::<String>::new());
    assert_eq!(
        wrong("steps.each.output.count"),
        ["PHI304 `steps.each.output` has no field `count`"]
    );
    assert_eq!(
        wrong("steps.each.output.items[0].output.name"),
        ["PHI304 `steps.each.output.items[0].output` has no field `name`"]
    );
}

#[test]
fn nobody_sees_into_a_block_but_its_own_yield() {
    let inner = NESTED.replace("Clean up.", "Clean ${{ steps.draft.outcome }}.");
    assert_eq!(
        errors(&inner),
        ["PHI204 step `draft` is inside `each` and not visible here"]
    );
    let later = NESTED.replace("Draft ${{ file }}", "Draft ${{ steps.store.outcome }}");
    assert_eq!(
        errors(&later),
        ["PHI205 `steps.store` is used before it is certain to have run"]
    );
    let own = NESTED.replace("Draft ${{ file }}", "Draft ${{ steps.each.outcome }}");
    assert_eq!(errors(&own), ["PHI212 step `each` uses its own output"]);
}

#[test]
fn handlers_see_the_error_and_a_body_that_may_have_failed() {
    let text = |read: &str| {
        format!(
            r#"
workflow: careful
steps:
  - id: work
    try:
      do:
        - id: build
          prompt: Build.
          output: {{ type: object, required: [sha], properties: {{ sha: string }} }}
      catch:
        - errors: [timeout, app.*]
          when: error.attempt < 3
          do:
            - id: mend
              prompt: "Mend ${{{{ {read} }}}} after ${{{{ error.code }}}}."
          then: continue
      finally:
        - id: sweep
          prompt: "Sweep after ${{{{ steps.build.outcome }}}}."
"#
        )
    };
    assert_eq!(errors(&text("steps.build.outcome")), Vec::<String>::new());
    let absent = errors(&text("steps.build.output.sha"));
    assert_eq!(absent.len(), 1);
    assert!(absent[0].starts_with("PHI305"), "{absent:?}");
    assert_eq!(
        errors(&text("steps.build.?output.sha.orValue('none')")),
        Vec::<String>::new()
    );
}

#[test]
fn a_block_that_may_not_come_to_its_end_may_have_no_output() {
    let text = |keys: &str, read: &str| {
        format!(
            r#"
workflow: maybe
inputs: {{ deep: bool }}
steps:
  - id: work
{keys}
    do:
      - id: build
        prompt: Build.
        output: {{ type: object, required: [sha], properties: {{ sha: string }} }}
outputs: {{ sha: "${{{{ {read} }}}}" }}
"#
        )
    };
    assert_eq!(
        errors(&text("", "steps.work.output.sha")),
        Vec::<String>::new()
    );
    for keys in ["    if: inputs.deep", "    on_failure: continue"] {
        let found = errors(&text(keys, "steps.work.output.sha"));
        assert!(found[0].starts_with("PHI305"), "{keys}: {found:?}");
    }
    let inner = text("", "steps.work.output.sha")
        .replace("id: build", "id: build\n        if: inputs.deep");
    let found = errors(&inner);
    assert!(
        found[0].contains("its last step `build` may have none"),
        "{found:?}"
    );
}

#[test]
fn a_condition_of_a_block_is_known_to_its_steps() {
    let text = r#"
workflow: dominated
inputs: { deep: bool }
steps:
  - id: scan
    if: inputs.deep
    prompt: Scan.
    output: { type: object, required: [found], properties: { found: int } }
  - id: report
    needs: scan
    if: steps.scan.outcome == 'succeeded'
    do:
      - id: write
        prompt: "Found ${{ steps.scan.output.found }}."
"#;
    assert_eq!(errors(text), Vec::<String>::new());
}

#[test]
fn a_loop_carries_the_same_names_and_types() {
    let text = |carry: &str, next: &str| {
        format!(
            r#"
workflow: carried
steps:
  - id: polish
    loop:
      max: 3
      while: iter.index < 3
      carry: {carry}
      next: {next}
      do: [{{ id: work, prompt: "Work on ${{{{ iter.carry.text }}}}." }}]
"#
        )
    };
    let found = |carry, next| codes(&text(carry, next));
    assert!(!found("{ text: a }", "{ text: b }").contains(&"PHI306"));
    assert!(found("{ text: a }", "{ text: [1] }").contains(&"PHI306"));
    assert!(found("{ text: a }", "{ texts: b, text: c }").contains(&"PHI101"));
    assert!(found("{ text: a, more: b }", "{ text: b }").contains(&"PHI102"));
}

#[test]
fn variables_are_written_by_name_and_type() {
    let text = |set: &str| {
        format!(
            "workflow: w\nvars: {{ phase: {{ enum: [one, two], default: one }}, count: {{ type: integer, default: 0 }} }}\nsteps:\n  - id: write\n    set: {set}\n"
        )
    };
    assert_eq!(
        errors(&text("{ phase: two, count: \"${{ vars.count + 1 }}\" }")),
        Vec::<String>::new()
    );
    assert!(errors(&text("{ phase: three }"))[0].starts_with("PHI306"));
    assert!(errors(&text("{ count: \"${{ vars.phase }}\" }"))[0].starts_with("PHI306"));
    assert_eq!(
        errors(&text("{ phaes: two }")),
        ["PHI207 unknown variable `phaes`"]
    );
}

#[test]
fn every_way_to_complete_gives_the_outputs_that_the_workflow_declares() {
    let text = |outputs: &str| {
        format!(
            "workflow: w\nsteps:\n  - {{ id: a, prompt: A. }}\n  - {{ id: stop, needs: a, if: steps.a.attempts > 1, finish: {{ outputs: {outputs} }} }}\noutputs: {{ text: \"${{{{ json(steps.a.output) }}}}\" }}\n"
        )
    };
    assert_eq!(errors(&text("{ text: none }")), Vec::<String>::new());
    assert_eq!(
        errors(&text("{ texts: none }")),
        [
            "PHI102 `outputs` of `finish` needs `text`",
            "PHI101 the workflow has no output `texts`"
        ]
    );
}

#[test]
fn states_are_resolved_and_their_steps_are_theirs() {
    let machine = machine(
        r#"
workflow: incident
vars: { cause: { type: string, default: "" } }
initial: triage
limits: { transitions: 60 }
states:
  triage:
    entry: [{ id: mark, set: { cause: unknown } }]
    activity:
      prompt: "Triage, ${{ vars.cause }}."
      output: { type: object, required: [cause], properties: { cause: string } }
    timeout: { after: 20m, to: closed }
    max_visits: 3
    transitions:
      - { outcome: succeeded, when: state.output.cause != '', set: { cause: "${{ state.output.cause }}" }, to: decide }
      - { outcome: succeeded, to: closed }
      - { outcome: failed, errors: [timeout], to: closed }
      - { outcome: failed, to: closed }
      - { signal: abort, to: closed }
  decide:
    activity:
      approval: { from: { users: [dana] }, options: [approve, rework], timeout: 1h, on_timeout: fail }
    max_visits: 3
    transitions:
      - { outcome: approve, to: closed }
      - { outcome: rework, to: triage }
      - { outcome: failed, to: closed }
  closed: { final: completed, outputs: { cause: "${{ vars.cause }}" } }
"#,
    );
    let states = machine.states().expect("there are states");
    assert_eq!(states.max_transitions, 60);
    assert!(machine.body(BodyIndex::MAIN).steps.is_empty());
    let triage = &states.states[0];
    let activity = triage.activity.expect("triage does something");
    assert_eq!(machine.step(activity).id, "triage");
    assert_eq!(machine.repeats(activity), 1);
    let targets: Vec<u32> = triage.transitions.iter().map(|t| t.to.0).collect();
    assert_eq!(targets, [1, 2, 2, 2, 2]);
    assert_eq!(triage.transitions[0].set.len(), 1);
    let entry = machine.body(triage.entry.expect("triage has an entry"));
    assert_eq!(
        entry.steps,
        [machine.step_named("mark").expect("the step exists")]
    );
    let owners: Vec<Owner> = machine.bodies().iter().map(|b| b.owner).collect();
    assert!(
        owners[1..]
            .iter()
            .all(|owner| matches!(owner, Owner::State(_)))
    );
}
