//! Diagnostics as SARIF 2.1.0, the form that code hosts and editors show beside the lines.
//!
//! One log with one run of the tool over all files. Columns count characters, as everywhere here. A change
//! that answers a diagnostic is a `fix`; whatever else matters is a related location.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Severity, code_info};
use crate::explain::explain;
use crate::source::{SourceText, Span};

/// Where the form is defined.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A SARIF log of what was found in these texts by the tool of this version.
#[must_use]
pub fn sarif(version: &str, files: &[(&SourceText, &[Diagnostic])]) -> Json {
    let found = files.iter().flat_map(|(_, found)| *found);
    let codes: BTreeSet<&str> = found.map(|diagnostic| diagnostic.code).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let results: Vec<Json> = files
        .iter()
        .flat_map(|(source, found)| found.iter().map(|one| result(source, one, &codes)))
        .collect();
    let artifacts: Vec<Json> = files
        .iter()
        .map(|(source, _)| json!({ "location": location(source) }))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "phisync",
                "version": version,
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "artifacts": artifacts,
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Json {
    let subject = code_info(code).map_or("", |info| info.subject);
    let mut rule = json!({ "id": code, "shortDescription": { "text": subject } });
    if let Some(explained) = explain(code) {
        rule["fullDescription"] = json!({ "text": explained.text });
        rule["help"] = json!({ "text": format!("`phisync explain {code}` shows an example") });
    }
    rule
}

fn result(source: &SourceText, diagnostic: &Diagnostic, codes: &[&str]) -> Json {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let mut message = diagnostic.message.clone();
    for more in [Some(&diagnostic.label), diagnostic.help.as_ref()] {
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            message.push('\n');
            message.push_str(more);
        }
    }
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": message },
        "locations": [{ "physicalLocation": place(source, diagnostic.span) }],
    });
    if let Ok(index) = codes.binary_search(&diagnostic.code) {
        result["ruleIndex"] = index.into();
    }
    let related: Vec<Json> = diagnostic
        .labels
        .iter()
        .zip(1..)
        .map(|((span, text), id)| {
            json!({
                "id": id,
                "physicalLocation": place(source, *span),
                "message": { "text": text },
            })
        })
        .collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if let Some(edit) = &diagnostic.edit {
        let what = diagnostic.help.as_ref().unwrap_or(&diagnostic.message);
        result["fixes"] = json!([{
            "description": { "text": what },
            "artifactChanges": [{
                "artifactLocation": location(source),
                "replacements": [{
                    "deletedRegion": region(source, edit.span),
                    "insertedContent": { "text": edit.replacement },
                }],
            }],
        }]);
    }
    result
}

fn place(source: &SourceText, span: Span) -> Json {
    json!({ "artifactLocation": location(source), "region": region(source, span) })
}

fn location(source: &SourceText) -> Json {
    json!({ "uri": uri(source.name()) })
}

/// Lines and columns count from 1; the end column is the one behind the last character.
fn region(source: &SourceText, span: Span) -> Json {
    let (line, column) = source.line_column(span.start);
    let (end_line, end_column) = source.line_column(span.end);
    json!({
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
    })
}

/// The name of a file as a URI reference (RFC 3986): what no path of one may hold is escaped.
fn uri(name: &str) -> String {
    let slashes = name.replace('\\', "/");
    let drive = slashes.as_bytes().get(1) == Some(&b':');
    let mut uri = match (slashes.starts_with('/'), drive) {
        (true, _) => "file://".to_owned(),
        (false, true) => "file:///".to_owned(),
        (false, false) => String::new(),
    };
    for (at, byte) in slashes.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if plain || (drive && at == 1) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn names_of_files_are_uris() {
        let check = |name, expected| assert_eq!(uri(name), expected);
        check("flows/a b.yaml", "flows/a%20b.yaml");
        check("/tmp/a.yaml", "file:///tmp/a.yaml");
        check("C:\\flows\\a.yaml", "file:///C:/flows/a.yaml");
        check("<stdin>", "%3Cstdin%3E");
        check("\u{fc}.yaml", "%C3%BC.yaml");
    }
}
