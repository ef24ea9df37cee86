//! What a schema no longer allows.

use serde_json::Value as Json;

use crate::schema::Schema;

/// The first thing that `old` allows and `new` does not, in words. Looks at what the two say, keyword
/// by keyword; what it cannot compare and that changed counts as narrower.
pub(super) fn narrowed(old: &Schema, new: &Schema) -> Option<String> {
    if new.is_any() {
        return None;
    }
    if old.is_any() {
        return Some("anything was taken".to_owned());
    }
    if old.is_optional() && !new.is_optional() {
        return Some("null was taken".to_owned());
    }
    between(&old.to_json(), &new.to_json(), "")
}

fn between(old: &Json, new: &Json, path: &str) -> Option<String> {
    let at = if path.is_empty() {
        String::new()
    } else {
        format!("`{path}` ")
    };
    let (was, is) = (words(&old["type"]), words(&new["type"]));
    let widened = was == "integer" && is == "number";
    if was != is && !widened && !is.is_empty() {
        let was = if was.is_empty() { "anything" } else { &was };
        return Some(format!("{at}was {was}, is {is}"));
    }
    for (keyword, grows) in [
        ("minimum", true),
        ("minLength", true),
        ("minItems", true),
        ("maximum", false),
        ("maxLength", false),
        ("maxItems", false),
    ] {
        if let Some(limit) = new[keyword].as_f64() {
            let tighter = old[keyword]
                .as_f64()
                .is_none_or(|known| if grows { limit > known } else { limit < known });
            if tighter {
                return Some(format!("{at}`{keyword}` is {}", new[keyword]));
            }
        }
    }
    for keyword in ["pattern", "format", "const"] {
        if !new[keyword].is_null() && new[keyword] != old[keyword] {
            return Some(format!("{at}`{keyword}` is {}", new[keyword]));
        }
    }
    let missing = |keyword: &str, from: &Json, of: &Json| {
        let known = from[keyword].as_array().cloned().unwrap_or_default();
        let list = of[keyword].as_array().cloned().unwrap_or_default();
        list.into_iter().find(|item| !known.contains(item))
    };
    if new["enum"].is_array() {
        if old["enum"].is_null() {
            return Some(format!("{at}only a few values are taken now"));
        }
        if let Some(gone) = missing("enum", new, old) {
            return Some(format!("{at}{gone} is no longer taken"));
        }
    }
    if let Some(added) = missing("required", old, new) {
        return Some(format!("{at}needs the field {added}"));
    }
    if new["oneOf"] != old["oneOf"] && !new["oneOf"].is_null() {
        return Some(format!("{at}has other variants"));
    }
    if new["items"].is_object() {
        let items = between(&old["items"], &new["items"], &format!("{path}[]"));
        if items.is_some() {
            return items;
        }
    }
    let fields = old["properties"].as_object()?;
    fields.iter().find_map(|(name, field)| {
        let inner = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match new["properties"].get(name) {
            Some(known) => between(field, known, &inner),
            None if new["additionalProperties"] == Json::Bool(false) => {
                Some(format!("`{inner}` is no longer taken"))
            }
            None => None,
        }
    })
}

fn words(json: &Json) -> String {
    match json {
        Json::String(name) => name.clone(),
        Json::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
            names.join(" or ")
        }
        _ => String::new(),
    }
}
