//! `docs/cli.md`: the help of every command, and every exit code.

use crate::page;
use crate::server::phisync;

const PAGE: &str = "docs/cli.md";

/// What `phisync WORDS --help` prints, on a page of fixed width.
fn help(words: &[String]) -> String {
    let output = phisync()
        .args(words)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// The names below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A description that goes on on the next line is indented further.
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Help without what every command has.
fn own_part(help: &str) -> String {
    const SHARED: [&str; 2] = ["Where:", "How:"];
    let mut own = String::new();
    let mut shared = false;
    for line in help.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            shared = SHARED.contains(&line);
        }
        if !shared {
            own.push_str(line.trim_end());
            own.push('\n');
        }
    }
    let own = own.replace(
        "  -h, --help\n          Print help (see a summary with '-h')\n",
        "",
    );
    let own = own.replace("  -h, --help  Print help\n", "");
    let own = own.trim_end().trim_end_matches("Options:");
    let mut lines: Vec<&str> = own.trim_end().lines().collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    lines.join("\n").replace("\n\nOptions:\n\n", "\n\n") + "\n"
}

fn reference(words: &[String], out: &mut String) {
    let help = help(words);
    if !words.is_empty() {
        let title = words.join(" ");
        out.push_str(&format!(
            "\n### `phisync {title}`\n\n```text\n{}```\n",
            own_part(&help)
        ));
    }
    for command in commands(&help) {
        let mut words = words.to_vec();
        words.push(command);
        reference(&words, out);
    }
}

#[test]
fn the_page_has_the_help_of_every_command() {
    let mut expected = String::new();
    reference(&[], &mut expected);
    page::generated(PAGE, "the help of every command", &expected);
}

#[test]
fn the_page_has_the_options_that_every_command_takes() {
    let help = help(&[]);
    let shared: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Where:")
        .take_while(|line| !line.starts_with("Exit codes:"))
        .map(str::trim_end)
        .collect();
    let mut expected = format!("\n```text\n{}\n```\n", shared.join("\n").trim_end());
    expected.push('\n');
    page::generated(PAGE, "options of every command", &expected);
}

#[test]
fn the_page_has_exactly_the_exit_codes_that_the_help_names() {
    let help = help(&[]);
    let (_, list) = help
        .split_once("Exit codes:")
        .expect("the help names exit codes");
    let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
    let in_help: Vec<&str> = list
        .trim_end_matches('.')
        .split(", ")
        .filter_map(|item| item.split(' ').next())
        .collect();
    let page = page::text(PAGE);
    let rows = page::table(&page, "## Exit codes");
    let in_page: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(in_page, in_help);
}
