//! Headings, anchors, links and images, and the places where they do not count.

use super::*;

#[track_caller]
fn check_slug(heading: &str, expected: &str) {
    assert_eq!(slug(&plain(heading)), expected);
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    check_slug("Getting started", "getting-started");
    check_slug("What's new, in 2.0?", "whats-new-in-20");
    check_slug("C++ & Rust", "c--rust");
    check_slug("`phisync why RUN`", "phisync-why-run");
    check_slug(
        "Files: [the journal](x.md) and *more*",
        "files-the-journal-and-more",
    );
    check_slug("snake_case-and-kebab", "snake_case-and-kebab");
    check_slug("Uber \u{dc}ber", "uber-\u{fc}ber");
}

#[test]
fn headings_of_the_same_text_get_numbered_anchors() {
    let document = Document::read("# A\n## Use\n## Use\n## Use\n");
    for anchor in ["use", "use-1", "use-2", "USE-2", "top", ""] {
        assert!(document.has_anchor(anchor), "{anchor}");
    }
    assert!(!document.has_anchor("use-3"));
}

#[test]
fn headings_are_marked_or_underlined() {
    let document =
        Document::read("Title\n=====\n\n## Second ##\n\nThird\n---\n\n#none\n\n| a |\n---\n");
    let found: Vec<(usize, &str, usize)> = document
        .headings
        .iter()
        .map(|h| (h.level, h.text.as_str(), h.line))
        .collect();
    assert_eq!(found, [(1, "Title", 1), (2, "Second", 4), (2, "Third", 6)]);
}

#[test]
fn a_yaml_header_is_no_heading() {
    assert!(
        Document::read("---\ntitle: x\n---\ntext\n")
            .headings
            .is_empty()
    );
}

#[track_caller]
fn check_links(text: &str, expected: &[(&str, usize)]) {
    let document = Document::read(text);
    let found: Vec<(&str, usize)> = document
        .links
        .iter()
        .map(|link| (link.target.as_str(), link.line))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn links_are_found_in_every_form() {
    check_links("see [a](b.md)", &[("b.md", 1)]);
    check_links("[a]( <b c.md> \"title\")", &[("b c.md", 1)]);
    check_links("\n[a](b(1).md 'title')", &[("b(1).md", 2)]);
    check_links("[![i](i.png)](a.md)", &[("i.png", 1), ("a.md", 1)]);
    check_links("[two\nlines](x.md)", &[("x.md", 2)]);
    check_links("[label]: dir/x.md \"Title\"", &[("dir/x.md", 1)]);
}

#[test]
fn code_and_comments_hold_no_links_and_no_headings() {
    check_links("`[a](b)` ``[`](c)``", &[]);
    check_links("```sh\n[a](b)\n# c\n```\n[d](e)", &[("e", 5)]);
    check_links("~~~\n```\n[a](b)\n~~~\n[d](e)", &[("e", 5)]);
    check_links("<!-- [a](b)\n[c](d) -->\n[^1]: note", &[]);
    check_links("array[i](unclosed", &[]);
    check_links("` a ``` b ` [c](d) `", &[("d", 1)]);
    assert!(Document::read("```\n# c\n").headings.is_empty());
}

#[test]
fn an_image_needs_words_or_an_explicit_empty_alt() {
    let document = Document::read(
        "![](a.png)\n![b](b.png)\n<img src=\"c.png\">\n<img src=\"d.png\" alt=\"\">\n",
    );
    let silent: Vec<(&str, usize)> = document
        .silent_images
        .iter()
        .map(|image| (image.target.as_str(), image.line))
        .collect();
    assert_eq!(silent, [("a.png", 1), ("c.png", 3)]);
    assert_eq!(document.links.len(), 4);
}

#[test]
fn html_anchors_count() {
    let document = Document::read("<a name=\"Old\"></a>\n<h2 id='new'>x</h2>\n");
    assert!(document.has_anchor("old"));
    assert!(document.has_anchor("new"));
}
