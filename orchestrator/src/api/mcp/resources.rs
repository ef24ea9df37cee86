//! Resources: what can be read by address, `phisync://...`, the same JSON as from the API.

use rmcp::model::{Resource, ResourceTemplate};

use super::door::Ask;

const SCHEME: &str = "phisync://";

/// What can be listed.
pub(super) fn fixed() -> Vec<Resource> {
    let entry = |path: &str, title: &str, description: &str| {
        let mut resource = Resource::new(format!("{SCHEME}{path}"), path);
        resource.title = Some(title.to_owned());
        resource.description = Some(description.to_owned());
        resource.mime_type = Some("application/json".to_owned());
        resource
    };
    vec![
        entry("runs", "Runs", "The newest runs and how they stand."),
        entry(
            "agents",
            "Agents",
            "Who is there, alive or not, and what each holds.",
        ),
        entry("workflows", "Workflows", "The registered workflows."),
    ]
}

/// What can be addressed by name.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let entry = |path: &str, name: &str, description: &str| {
        let mut template = ResourceTemplate::new(format!("{SCHEME}{path}"), name);
        template.description = Some(description.to_owned());
        template.mime_type = Some("application/json".to_owned());
        template
    };
    vec![
        entry("runs/{id}", "run", "One run: inputs, steps, outputs."),
        entry(
            "runs/{id}/why",
            "why",
            "What a run waits for, and why that is open.",
        ),
        entry("runs/{id}/events", "events", "The run's transition log."),
        entry(
            "workflows/{name}",
            "workflow",
            "A registered workflow's newest definition.",
        ),
    ]
}

/// The request behind an address; `None` for one that names nothing here.
pub(super) fn request(uri: &str) -> Option<Ask> {
    let path = uri.strip_prefix(SCHEME)?;
    let segments: Vec<&str> = path.split('/').collect();
    if segments
        .iter()
        .any(|segment| segment.is_empty() || segment.contains(['?', '#', '%']))
    {
        return None;
    }
    match segments[..] {
        [all @ ("runs" | "agents" | "workflows")] => Some(Ask::get([all])),
        ["runs", id] => Some(Ask::get(["runs", id])),
        ["runs", id, part @ ("why" | "events")] => Some(Ask::get(["runs", id, part])),
        ["workflows", name] => Some(Ask::get(["workflows", name])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn an_address_reaches_what_it_names_and_nothing_else() {
        let target = |uri: &str| request(uri).map(|ask| ask.target());
        assert_eq!(
            target("phisync://runs/r1/why").as_deref(),
            Some("/v1/runs/r1/why")
        );
        assert_eq!(target("phisync://runs/.."), Some("/v1/runs/..".to_owned()));
        for strange in [
            "phisync://tokens",
            "phisync://runs/",
            "http://runs",
            "phisync://runs/a/b/c",
            "phisync://runs/a%2fb",
        ] {
            assert_eq!(target(strange), None, "{strange}");
        }
    }
}
