//! The JSON schema of our own file, from the settings table.

use serde_json::{Map, Value, json};

use crate::config::setting::{Kind, Spec};
use crate::config::table::ALL;

/// The JSON schema (draft 2020-12) of our own file.
#[must_use]
pub fn schema() -> String {
    let root = object(ALL);
    let mut document = Map::new();
    document.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    document.insert("title".into(), "vipcast configuration".into());
    document.insert("$comment".into(), "written by: vipcast config --schema".into());
    if let Value::Object(root) = root {
        document.extend(root);
    }
    format!("{:#}\n", Value::Object(document))
}

/// An object with these keys.
fn object(specs: &[&Spec]) -> Value {
    let mut root = group();
    for spec in specs {
        insert(&mut root, spec.key, spec);
    }
    root
}

fn group() -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": false, "properties": {} })
}

fn insert(node: &mut Value, key: &str, spec: &Spec) {
    let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    match key.split_once('.') {
        Some((head, rest)) => insert(properties.entry(head).or_insert_with(group), rest, spec),
        None => {
            properties.insert(key.to_owned(), leaf(spec));
        }
    }
}

fn leaf(spec: &Spec) -> Value {
    let mut leaf = shape(&spec.kind);
    if let Some(object) = leaf.as_object_mut() {
        object.insert("description".into(), format!("{} ({})", spec.help, spec.kind.describe()).into());
        if let Some(default) = spec.default {
            object.insert("default".into(), serde_json::from_str(default).unwrap_or_else(|_| default.into()));
        }
    }
    leaf
}

fn shape(kind: &Kind) -> Value {
    match kind {
        Kind::Switch => json!({ "type": ["boolean", "null"] }),
        Kind::Addresses => {
            json!({ "type": ["string", "array", "null"], "items": { "type": "string" } })
        }
        Kind::Prefixes => json!({ "type": ["string", "integer", "null"] }),
        Kind::Port => json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 65535 }),
        Kind::Count(range) => {
            json!({ "type": ["integer", "null"], "minimum": range.min, "maximum": range.max })
        }
        Kind::Span(_) => {
            json!({ "type": ["string", "integer", "null"], "pattern": "^[0-9]+(ms|s|m|h)?$" })
        }
        Kind::Choice(words) => {
            json!({ "enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>() })
        }
        Kind::Level => json!({ "type": ["string", "integer", "null"] }),
        Kind::Listen => json!({ "type": ["string", "boolean", "null"] }),
        Kind::Path | Kind::Url | Kind::Server | Kind::UrlPath | Kind::Interface | Kind::NodeName => text(),
        Kind::Namespace | Kind::LeaseName | Kind::Text(_) | Kind::Secret => text(),
        Kind::Number(min, max) => json!({ "type": ["integer", "null"], "minimum": min, "maximum": max }),
        Kind::NumberOr(_) | Kind::SwitchOr(_) => json!({ "type": ["string", "number", "boolean", "null"] }),
        Kind::Texts(_) => {
            json!({ "type": ["string", "array", "null"], "items": { "type": ["string", "number"] } })
        }
        Kind::Records(fields) => {
            json!({ "type": ["string", "array", "null"], "items": object(fields.all) })
        }
    }
}

fn text() -> Value {
    json!({ "type": ["string", "null"] })
}
