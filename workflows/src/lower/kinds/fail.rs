fn fail(cx: &mut Cx<'_>, node: &Node, key_span: Span) -> Option<FailSpec> {
    let map = cx.map("fail", node)?;
    cx.keys(map, &FAIL);
    let Some(entry) = map.get("code") else {
        cx.missing("`fail`", "code", key_span, "code: app.NAME");
        return None;
    };
    let code = cx.literal("code", &entry.value)?;
    let below_app = code.strip_prefix("app.").is_some_and(|rest| {
        rest.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
    });
    if !below_app {
        cx.sink.push(
            Note::error(
                "PHI104",
                entry.value.span,
                format!("`{code}` is not an error code of a workflow"),
            )
            .help("codes of workflows start with `app.`, as `app.too_many_findings`"),
        );
    }
    Some(FailSpec {
        code,
        message: Template::Literal(Json::String(String::new())),
        data: None,
    })
}

