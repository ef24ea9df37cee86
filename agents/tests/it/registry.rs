//! `agents.yaml`: what is read, and what is said about what is not.

use std::time::Duration;

use phisync_agents::registry::Registry;

const TEAM: &str = "\
phisync: 1
agents:
  DC:    { capabilities: [research, write, plan], concurrency: 2 }
  KALIC: { capabilities: [security, pentest] }
  CMDC:  { capabilities: [shell, deploy, report], command: [./cmdc.sh, -v], silence: 1m30s, detector: phi }
  IDLE:
people:
  dana: { roles: [security-lead, editor] }
";

#[test]
fn a_team_is_read_with_its_defaults() {
    let team = Registry::parse("agents.yaml", TEAM).expect("a team");
    let declared: Vec<&str> = team
        .agents
        .iter()
        .map(|agent| agent.name.declared())
        .collect();
    assert_eq!(declared, ["DC", "KALIC", "CMDC", "IDLE"]);
    let cmdc = team.agent("cmdc").expect("declared");
    assert_eq!(cmdc.capabilities, ["deploy", "report", "shell"]);
    assert_eq!(
        cmdc.command.as_deref(),
        Some(&["./cmdc.sh".to_owned(), "-v".to_owned()][..])
    );
    assert_eq!(
        (cmdc.concurrency, cmdc.silence),
        (1, Duration::from_secs(90))
    );
    assert_eq!(team.agent("Dc").expect("declared").concurrency, 2);
    assert_eq!(
        team.agent("idle").expect("declared").silence,
        Duration::from_secs(60)
    );
    assert_eq!(
        team.person("DANA").expect("declared").roles,
        ["editor", "security-lead"]
    );
    assert_eq!(team.agent("dana"), None);
    let write = ["write".to_owned()];
    assert_eq!(
        team.able(&write)
            .map(|agent| agent.name.key())
            .collect::<Vec<_>>(),
        ["dc"]
    );
}

#[test]
fn rates_and_limits_of_types_are_read() {
    let text = "agents:\n  DC: { rate: 30/m }\ntypes:\n  deploy: { concurrency: 1, rate: 2/90s }\n  scan: {}\n";
    let team = Registry::parse("agents.yaml", text).expect("a team");
    let told = |rate: Option<phisync_agents::rate::Rate>| rate.map(|rate| rate.to_string());
    assert_eq!(told(team.agents[0].rate).as_deref(), Some("30/m"));
    let types = team.types.iter();
    let types: Vec<_> = types
        .map(|t| (t.name.as_str(), t.concurrency, told(t.rate)))
        .collect();
    assert_eq!(
        types,
        [
            ("deploy", Some(1), Some("2/90s".to_owned())),
            ("scan", None, None)
        ]
    );
}

#[test]
fn a_refusal_says_where_what_and_what_to_do() {
    let cases = [
        "agents: []",
        "agents: {DC: {capabilities: [a]",
        "agents:\n  DC: { capabilites: [a] }",
        "agents:\n  DC: { colour: red }",
        "agent: {}",
        "phisync: 2",
        "agents:\n  DC: {}\n  VSSC: {}\n  dc: {}",
        "agents:\n  DC: {}\n  DC: {}",
        "agents:\n  DC:\n    concurrency: 1\n    concurrency: 2",
        "agents: {}\npeople: {}\nagents: {}",
        "people:\n  dana: {}\nagents:\n  Dana: {}",
        "agents:\n  a/b: {}",
        "agents:\n  con: {}",
        "agents:\n  DC: { concurrency: 0 }",
        "agents:\n  DC: { concurrency: many }",
        "agents:\n  DC: { concurrency: [1] }",
        "agents:\n  DC:\n    silence: 0s",
        "agents:\n  DC:\n    silence: 60",
        "agents:\n  DC: { pool: two words }",
        "agents:\n  DC: { rate: often }",
        "agents:\n  DC: { rate: 0/m }",
        "types: [deploy]",
        "types:\n  deploy: { rate: 5/m, speed: 1 }",
        "types:\n  de ploy: {}",
        "agents:\n  DC: { detector: crystal ball }",
        "agents:\n  DC: { command: ./run.sh }",
        "agents:\n  DC: { command: [] }",
        "agents:\n  DC: { command: [''] }",
        "agents:\n  DC: { capabilities: [a, b, a] }",
        "agents:\n  DC: { capabilities: [two words] }",
        "people:\n  dana: { role: [lead] }",
        "agents: &a {DC: {}}\npeople: *a",
        "agents: {}\n---\nagents: {}",
    ];
    let mut told = String::new();
    for text in cases {
        let error = Registry::parse("agents.yaml", text).expect_err(text);
        told.push_str(&format!("{text}\n  => {error}\n"));
        if let Some(hint) = error.hint {
            told.push_str(&format!("     hint: {hint}\n"));
        }
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_larger_than_any_team_is_refused_unread() {
    let text = format!("agents: {{}} # {}", "x".repeat(256 * 1024));
    let error = Registry::parse("agents.yaml", &text).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "agents.yaml:1:1: the file has 262157 bytes, more than 262144"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n\t\u{0}-\u{2}\u{feff}\u{2028}]{0,200}") {
        if let Err(error) = Registry::parse("agents.yaml", &text) {
            proptest::prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }

    #[test]
    fn nor_does_a_damaged_team(at in 0usize..TEAM.len(), with in "[ -~\n]{0,3}", cut in 0usize..8) {
        let end = (at + cut).min(TEAM.len());
        let text = format!("{}{with}{}", &TEAM[..at], &TEAM[end..]);
        if let Ok(team) = Registry::parse("agents.yaml", &text) {
            proptest::prop_assert!(team.agents.iter().all(|agent| agent.concurrency >= 1));
        }
    }
}
