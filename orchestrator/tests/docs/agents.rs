//! The shortest ways on `docs/agents.md`, gone as they stand there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::page;
use crate::readme::{Reader, commands};

/// An assistant that starts what its settings say, and does one task.
fn assistant_does_a_task(reader: &Reader) -> Value {
    let settings = std::fs::read(reader.directory.join(".mcp.json")).expect("the settings");
    let settings: Value = serde_json::from_slice(&settings).expect("JSON");
    let server = &settings["mcpServers"]["phisync-writer"];
    let arguments = server["args"].as_array().expect("arguments").iter();
    let mut process = Command::new(server["command"].as_str().expect("a program"))
        .args(arguments.filter_map(Value::as_str))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program of the settings");
    let mut stdin = process.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut ask = |message: Value| -> Value {
        writeln!(stdin, "{message}").expect("it listens");
        if message["id"].is_null() {
            return Value::Null;
        }
        let answer = answers.next().expect("an answer").expect("a line");
        serde_json::from_str(&answer).expect("JSON")
    };
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "reader", "version": "1" } });
    let _hello = ask(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }));
    let _told = ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let prompts = ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "prompts/list" }));
    assert_eq!(prompts["result"]["prompts"][0]["name"], "work", "{prompts}");
    let mut call = |tool: &str, arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer =
            ask(json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params }));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answer["result"]["structuredContent"].clone()
    };
    let task = call("get_task", json!({ "wait_s": 20 }))["task"].take();
    let done = json!({ "task": task["id"], "token": task["token"], "output": { "word": "Ahoy" } });
    let _done = call("complete_task", done);
    drop(stdin);
    process.wait().expect("its end");
    task
}

#[test]
fn an_assistant_and_a_shell_each_find_their_way_in_a_few_lines() {
    let page = page::text("docs/agents.md");
    let (_, part) = page
        .split_once("## The shortest ways\n")
        .expect("the heading");
    let (part, _) = part.split_once("\n## ").expect("the next heading");
    let blocks: Vec<Vec<String>> = page::blocks(part)
        .iter()
        .map(|block| commands(&block.text))
        .collect();
    let [beginning, assistant, shell] = blocks.as_slice() else {
        panic!("three blocks: {blocks:?}");
    };
    let place = tempfile::tempdir().expect("a directory");
    let mut reader = Reader::at(place.path());
    let go = |reader: &mut Reader, lines: &[String]| {
        let mut last = String::new();
        for line in lines {
            if line.ends_with('&') {
                reader.types_in_background(line);
                continue;
            }
            let output = reader.types(line);
            assert!(output.status.success(), "{line}: {output:?}");
            last = String::from_utf8_lossy(&output.stdout).into_owned();
        }
        last
    };
    go(&mut reader, beginning);
    go(&mut reader, assistant);
    let task = assistant_does_a_task(&reader);
    assert_eq!(task["workflow"], "hello", "{task}");
    go(&mut reader, &beginning[2..]);
    let list = go(&mut reader, shell);
    assert_eq!(list.matches("completed").count(), 2, "{list}");
}
