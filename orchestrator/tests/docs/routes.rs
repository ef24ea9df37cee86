//! `docs/http-api.md`: every route, and who may call it.

use phisync::api::http::{PROBLEMS, routes};
use phisync::identity::Role;

use crate::page;
use crate::server::Server;

const PAGE: &str = "docs/http-api.md";

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\npeople:\n  dana: { roles: [editor] }\n";

/// Method, path and the roles that may.
fn listed() -> Vec<(String, String, String)> {
    let page = page::text(PAGE);
    let rows = page::table(&page, "## Routes");
    rows.into_iter()
        .map(|row| match page::code_words(&row[0]).as_slice() {
            [route] => {
                let (method, path) = route.split_once(' ').expect("METHOD PATH");
                (method.to_owned(), path.to_owned(), row[1].clone())
            }
            other => panic!("{other:?} is no route"),
        })
        .collect()
}

#[test]
fn the_page_lists_exactly_the_routes_of_the_server_in_their_order() {
    let listed: Vec<(String, String)> = listed()
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let served: Vec<(String, String)> = routes()
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(listed, served);
}

/// Whether they really are let in, and nobody else, is tested cell by cell in `tests/it/matrix.rs`.
#[test]
fn the_page_names_the_roles_that_the_routes_let_in() {
    let listed = listed();
    assert_eq!(listed.len(), routes().len());
    for ((method, path, told), route) in listed.into_iter().zip(routes()) {
        let words = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>();
        let roles = match route.roles().map(words) {
            None => "nobody asks".to_owned(),
            Some(roles) if roles.len() == Role::ALL.len() => "any".to_owned(),
            Some(roles) => roles.join(", "),
        };
        assert_eq!(told, roles, "{method} {path}");
    }
}

#[test]
fn the_page_lists_the_codes_of_every_status() {
    let page = page::text(PAGE);
    let listed: Vec<(String, Vec<String>)> = page::table(&page, "## Errors")
        .into_iter()
        .map(|row| (row[0].clone(), page::code_words(&row[1])))
        .collect();
    let known: Vec<(String, Vec<String>)> = PROBLEMS
        .iter()
        .map(|(status, codes, _)| {
            let codes = codes.iter().map(|code| (*code).to_owned());
            (status.to_string(), codes.collect())
        })
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn a_body_may_be_as_long_as_the_page_says() {
    let server = Server::start(TEAM);
    let bearer = format!("Bearer {}", server.admin_token());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Phisync-Agent", "WEBC"),
    ];
    let status = |path: &str, mebibytes: usize, body: &str| {
        let text = body.replace("...", &"x".repeat(mebibytes << 20));
        server.call("POST", path, &headers, Some(&text)).status
    };
    let result = r#"{"token": 1, "output": "..."}"#;
    assert_eq!(status("/v1/tasks/r.s/complete", 7, result), 404);
    assert_eq!(status("/v1/tasks/r.s/complete", 8, result), 413);
    assert_eq!(status("/v1/runs/r/cancel", 1, r#"{"reason": "..."}"#), 413);
}

#[test]
fn a_refusal_has_a_code_that_the_page_lists_under_its_status() {
    let server = Server::start(TEAM);
    let page = page::text(PAGE);
    let rows = page::table(&page, "## Errors");
    let listed = |status: u16| {
        let row = rows.iter().find(|row| row[0] == status.to_string());
        page::code_words(&row.unwrap_or_else(|| panic!("{status} is not listed"))[1])
    };
    let workflow = "workflow: w\ninputs: { n: int }\nsteps: [{ id: a, prompt: A. }]\n";
    let start = |id: &str, n: serde_json::Value| {
        let inputs = serde_json::json!({ "n": n });
        serde_json::json!({ "definition": workflow, "id": id, "inputs": inputs }).to_string()
    };
    let bearer = format!("Bearer {}", server.admin_token());
    let good = ("Authorization", bearer.as_str());
    let acting = ("Phisync-Agent", "WEBC");
    let cases = [
        (
            "POST",
            "/v1/runs",
            vec![good],
            start("r", 1.into()),
            201,
            "",
        ),
        (
            "POST",
            "/v1/runs",
            vec![good],
            start("r", 1.into()),
            409,
            "exists",
        ),
        (
            "POST",
            "/v1/runs",
            vec![good],
            start("q", "one".into()),
            422,
            "schema.input",
        ),
        (
            "POST",
            "/v1/runs",
            vec![good],
            start("No Name", 1.into()),
            422,
            "bad_name",
        ),
        (
            "POST",
            "/v1/runs",
            vec![good],
            "{}".to_owned(),
            422,
            "bad_request",
        ),
        (
            "POST",
            "/v1/runs",
            vec![good],
            "{".to_owned(),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/v1/workflows",
            vec![good],
            "workflow: w".to_owned(),
            422,
            "invalid_workflow",
        ),
        (
            "POST",
            "/v1/tokens",
            vec![good],
            r#"{"role": "king"}"#.to_owned(),
            422,
            "bad_role",
        ),
        (
            "POST",
            "/healthz",
            vec![good],
            "{}".to_owned(),
            405,
            "no_method",
        ),
        (
            "GET",
            "/v1/nothing",
            vec![good],
            String::new(),
            404,
            "no_route",
        ),
        (
            "GET",
            "/v1/runs/absent",
            vec![good],
            String::new(),
            404,
            "not_found",
        ),
        (
            "POST",
            "/v1/tasks/r.x/heartbeat",
            vec![good, acting],
            r#"{"token": 1}"#.to_owned(),
            404,
            "no_such_step",
        ),
        (
            "GET",
            "/v1/runs",
            vec![],
            String::new(),
            401,
            "unauthorized",
        ),
        (
            "GET",
            "/v1/runs",
            vec![good, ("Host", "example.org")],
            String::new(),
            403,
            "wrong_door",
        ),
        (
            "POST",
            "/v1/tasks/poll",
            vec![good],
            "{}".to_owned(),
            403,
            "forbidden",
        ),
        (
            "POST",
            "/v1/tasks/r.a/heartbeat",
            vec![good, acting],
            r#"{"token": 1}"#.to_owned(),
            409,
            "stale_token",
        ),
    ];
    for (method, path, headers, body, status, code) in cases {
        let reply = server.call(method, path, &headers, Some(&body));
        assert_eq!(reply.status, status, "{method} {path} {body}: {reply:?}");
        if status < 300 {
            continue;
        }
        assert_eq!(
            reply.body["code"], code,
            "{method} {path} {body}: {reply:?}"
        );
        let known = listed(status);
        assert!(known.iter().any(|known| known == code), "{status} {code}");
    }
}
