//! What counts as code, comment and string, and where functions end.

use super::*;
use crate::demo::language;

fn masked(name: &str, text: &str) -> Masked {
    mask(text, language::of(name))
}

#[track_caller]
fn check_code(name: &str, text: &str, expected: &str) {
    let masked = masked(name, text);
    assert_eq!(masked.code, expected, "{text}");
    assert_eq!(masked.comments.lines().count(), text.lines().count());
}

#[test]
fn comments_of_rust_nest_and_its_literals_are_followed() {
    check_code("a.rs", "a /* b /* c */ d */ e", "a                   e");
    check_code(
        "a.rs",
        "let s = \"x // y\"; // z",
        "let s = \"\"\"\"\"\"\"\";     ",
    );
    check_code("a.rs", "r#\"a \" b\"# c", "\"\"\"\"\"\"\"\"\"\" c");
    check_code("a.rs", "'\"' x", "\"\"\" x");
    check_code("a.rs", "'\\'' x", "\"\"\"\" x");
    check_code("a.rs", "fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check_code("a.rs", "for\"x\"", "for\"\"\"");
}

#[test]
fn a_hash_inside_a_word_is_no_comment() {
    check_code("a.sh", "test $# -gt 1 # args", "test $# -gt 1       ");
    check_code("a.yaml", "url: page#part", "url: page#part");
}

#[test]
fn an_unclosed_string_of_one_line_ends_with_the_line() {
    check_code("a.js", "a = 'b\nc // d", "a = \"\"\nc     ");
}

#[test]
fn a_literal_cut_off_by_the_end_of_the_file_ends_there() {
    for text in ["\"", "r#\"", "'\\", "'\\'", "/*", "br", "r"] {
        assert_eq!(
            masked("a.rs", text).code.chars().count(),
            text.chars().count()
        );
    }
}

#[test]
fn functions_are_measured_from_name_to_closing_brace() {
    let text = "trait T { fn none(&self, x: [u8; 3]); }\nfn one() {}\nfn three() -> u8 {\n  if a { b }\n}\n";
    let found: Vec<(String, usize, usize)> =
        functions(&masked("a.rs", text).code, language::of("a.rs"))
            .into_iter()
            .map(|f| (f.name, f.line, f.lines))
            .collect();
    assert_eq!(found, [("one".into(), 2, 1), ("three".into(), 3, 3)]);
}

#[test]
fn python_functions_end_where_the_indentation_does() {
    let text = "def a(\n    x,\n):\n    return x\n\n\ndef b(): pass\n";
    let found: Vec<(String, usize)> = functions(text, language::of("a.py"))
        .into_iter()
        .map(|f| (f.name, f.lines))
        .collect();
    assert_eq!(found, [("a".into(), 4), ("b".into(), 1)]);
}

#[test]
fn a_go_method_is_named_after_its_receiver() {
    let text = "func (s *Server) Run(x int) {\n}\n";
    let found = functions(text, language::of("a.go"));
    assert_eq!(found[0].name, "Run");
    assert_eq!(found[0].lines, 2);
}

proptest::proptest! {
    #[test]
    fn masking_keeps_every_character_in_its_place(
        text in "[ -~\\n\u{e9}r\"'/*#`\\\\{}]{0,80}",
        name in proptest::sample::select(vec!["a.rs", "a.py", "a.js", "a.sh", "a.html", "a.toml"]),
    ) {
        let masked = masked(name, &text);
        let original: Vec<char> = text.chars().collect();
        let code: Vec<char> = masked.code.chars().collect();
        let comments: Vec<char> = masked.comments.chars().collect();
        proptest::prop_assert_eq!(code.len(), original.len());
        proptest::prop_assert_eq!(comments.len(), original.len());
        for (index, &c) in original.iter().enumerate() {
            proptest::prop_assert_eq!(code[index] == '\n', c == '\n');
            proptest::prop_assert!([c, ' ', STRING_FILLER].contains(&code[index]));
            proptest::prop_assert!([c, ' '].contains(&comments[index]));
        }
        functions(&masked.code, language::of(name));
    }
}
