//! What a server knows of the workflows that others call, when it takes a caller.

use phisync_tests::process::{Project, Server};
use serde_json::json;

const CHILD: &str = "
workflow: child
version: \"1.2.0\"
inputs: { n: int }
outputs: { twice: '${{ inputs.n * 2 }}' }
steps: [{ id: pause, wait: 1s }]
";

fn caller(name: &str, input: &str) -> String {
    format!(
        "
workflow: caller
outputs: {{ got: '${{{{ steps.ask.output.twice }}}}' }}
steps: [{{ id: ask, call: {name}, input: {input} }}]
"
    )
}

#[test]
fn a_caller_is_held_against_what_is_deployed_and_says_which_version_it_took() {
    let project = Project::new([]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let apply = |text: &str| {
        owner.send(
            "POST",
            "/v1/workflows",
            Some("application/yaml"),
            text.as_bytes(),
        )
    };
    let said = |text: &str, code: &str| {
        let refused = apply(text).expect(422);
        let codes = refused["diagnostics"].as_array().expect("diagnostics");
        assert!(codes.iter().any(|d| d["code"] == code), "{refused}");
    };
    said(&caller("child", "{ n: 1 }"), "PHI208");
    let _registered = apply(CHILD).expect(201);
    said(&caller("child", "{ m: 1 }"), "PHI209");
    said(&caller("child", "{ n: one }"), "PHI306");
    said(
        &caller("{ workflow: child, version: '^2' }", "{ n: 1 }"),
        "PHI208",
    );
    let _registered = apply(&caller("child", "{ n: 1 }")).expect(201);
    let shown = owner.get("/v1/workflows/caller").expect(200);
    assert_eq!(shown["calls"], json!({ "child": "1.2.0" }));
    server.stop();
}
