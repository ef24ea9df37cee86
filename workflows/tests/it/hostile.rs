//! Texts made to hurt end in a diagnostic.

use crate::support::{codes, compile_text};

fn first_code(text: &str) -> &'static str {
    codes(text).first().copied().unwrap_or("nothing")
}

#[test]
fn a_million_open_brackets_are_refused_by_size() {
    assert_eq!(first_code(&"[".repeat(1_000_000)), "PHI008");
    assert_eq!(first_code(&"{a: ".repeat(1_000_000)), "PHI008");
}

#[test]
fn a_line_of_ten_megabytes_is_refused_by_size() {
    assert_eq!(
        first_code(&format!("title: {}", "x".repeat(10_000_000))),
        "PHI008"
    );
}

#[test]
fn nesting_within_the_size_is_refused_by_depth() {
    for opener in ["[", "{a: ", "- ", "? ", "- a: "] {
        let found = first_code(&opener.repeat(200_000 / opener.len()));
        assert!(
            ["PHI008", "PHI001"].contains(&found),
            "{opener:?} gives {found}"
        );
    }
}

#[test]
fn many_nodes_are_refused_by_number() {
    assert_eq!(
        first_code(&format!("metadata: [{}]", "1,".repeat(60_000))),
        "PHI008"
    );
}

#[test]
fn alias_bombs_are_refused_by_what_they_expand_to() {
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..60 {
        let before = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}]\n"));
    }
    assert!(codes(&bomb).contains(&"PHI003") || codes(&bomb).contains(&"PHI008"));
    let long = "x".repeat(100_000);
    let wide = format!("metadata:\n  a: &a {long}\n  b: [{}]\n", "*a, ".repeat(50));
    assert!(codes(&wide).contains(&"PHI003"));
    assert!(codes("a: &a [*a]\n").contains(&"PHI003"));
}

#[test]
fn texts_full_of_marks_and_slips_are_answered_shortly() {
    let many = |piece: &str| piece.repeat(200_000 / piece.len());
    for text in [
        format!(
            "workflow: w\nsteps: [{{ id: a, prompt: \"{}\" }}]\n",
            many("${{ ' ")
        ),
        format!(
            "workflow: w\nsteps: [{{ id: a, prompt: \"{}\" }}]\n",
            many("${{ x }} ")
        ),
        format!(
            "workflow: w\nsteps: [{{ id: a, prompt: \"{}\", needs: b }}]\n",
            many("$${{ ")
        ),
        format!(
            "workflow: w\n{}",
            (0..10_000)
                .map(|n| format!("k{n}: 1\n"))
                .collect::<String>()
        ),
        format!(
            "workflow: w\nsteps: [{}]\n",
            (0..9_000)
                .map(|n| format!("{{id: s{n}}},"))
                .collect::<String>()
        ),
        format!(
            "workflow: w\nsteps: [{}]\n",
            (0..4_000)
                .map(|n| format!("{{id: s{n}, prompt: x, needs: s{}}},", n + 1))
                .collect::<String>()
        ),
        many("---\n"),
        many("# phisync: allow X\n"),
        many("&a "),
        many("!<a> "),
        many("\"a\": "),
        many("'' "),
        many("%TAG ! !\n"),
        many("|\n"),
    ] {
        let compiled = compile_text(&text);
        assert!(
            compiled.has_errors() || !compiled.diagnostics.is_empty(),
            "{}",
            &text[..40]
        );
        assert!(compiled.diagnostics.len() < 60_000);
    }
}

#[test]
fn a_finding_in_a_very_long_line_is_shown_with_its_surroundings_only() {
    let text = format!(
        "workflow: w\nsteps: [{{ id: a, prompt: \"{}\", colour: red }}, {{ id: a, prompt: x }}]\n",
        "x".repeat(100_000)
    );
    let source = phisync_workflows::SourceText::new("long.yaml", text);
    let compiled = phisync_workflows::compile(&source, None);
    insta::assert_snapshot!(phisync_workflows::render::text(
        &source,
        &compiled.diagnostics,
        false
    ));
}

#[test]
fn a_state_with_thousands_of_transitions_is_decided_or_given_up_at_once() {
    let mut text = "workflow: sample\ninitial: a\nstates:\n  a:\n    activity: { prompt: Do it. }\n    max_visits: 2\n    transitions:\n".to_owned();
    for at in 0..2_000 {
        text.push_str(&format!(
            "      - {{ outcome: failed, errors: [all, app.e{at}], to: b }}\n"
        ));
    }
    text.push_str("      - { outcome: succeeded, to: b }\n  b: { final: completed }\n");
    assert!(codes(&text).contains(&"PHI426"));
}

#[test]
fn a_ring_of_thousands_of_states_is_one_finding() {
    let mut text =
        "workflow: sample\ninitial: s0\nstates:\n  done: { final: completed }\n".to_owned();
    for at in 0..2_000 {
        let next = (at + 1) % 2_000;
        text.push_str(&format!(
            "  s{at}: {{ transitions: [{{ outcome: succeeded, to: s{next} }}] }}\n"
        ));
    }
    let found = codes(&text);
    assert_eq!(found.iter().filter(|code| **code == "PHI415").count(), 1);
    assert_eq!(found.iter().filter(|code| **code == "PHI403").count(), 1);
}

#[test]
fn texts_in_other_encodings_are_refused_and_odd_line_ends_are_not() {
    let first = |bytes: Vec<u8>| {
        let source = phisync_workflows::SourceText::from_bytes("x", bytes);
        let compiled = phisync_workflows::compile(&source, None);
        compiled.diagnostics.first().map_or("nothing", |d| d.code)
    };
    let plain = "workflow: w\nsteps: [{ id: a, prompt: x }]\n";
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone()).collect();
    assert_eq!(first(utf16), "PHI009");
    assert_eq!(first(marked), "PHI009");
    assert_eq!(first(vec![b'a', 0x80, b'b']), "PHI009");
    assert_eq!(first(vec![0xc0, 0xaf]), "PHI009");
    for fine in [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
    ] {
        assert_eq!(first(fine.clone().into_bytes()), "nothing", "{fine:?}");
    }
}

#[test]
fn expressions_made_to_hurt_end_in_a_finding() {
    let found = |expression: &str| {
        let text = format!(
            "workflow: w\nsteps:\n  - id: a\n    prompt: >-\n      ${{{{ {expression} }}}}\n"
        );
        codes(&text)
    };
    let sum = vec!["1"; 5_000].join(" + ");
    let brackets = "(".repeat(2_000);
    let nested = format!("{}1{}", "[".repeat(1_500), "]".repeat(1_500));
    let unary = format!("{}true", "!".repeat(4_000));
    let maps = (0..40).fold("1".to_owned(), |inner, n| format!("[1].map(x{n}, {inner})"));
    let conditional = format!("{}1", "true ? ".repeat(500));
    for hostile in [&sum, &brackets, &nested, &maps, &conditional] {
        let codes = found(hostile);
        assert!(codes.contains(&"PHI301"), "{}: {codes:?}", &hostile[..30]);
    }
    // A chain that leans to the left costs no stack: it is only long.
    assert!(found(&unary).len() < 3);
    let many = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]".to_owned();
    let deep = (0..7).fold("1".to_owned(), |inner, n| {
        format!("{many}.map(x{n}, {inner})")
    });
    assert!(found(&format!("json({deep})")).contains(&"PHI315"));
}
