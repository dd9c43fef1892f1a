//! What is in effect, and where every value came from.

use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use crate::config::Effective;
use crate::config::problem::shown;
use crate::config::setting::Kind;
use crate::config::table::ALL;

/// For a terminal.
#[must_use]
pub fn table(sources: &[Effective]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["SETTING", "VALUE", "SOURCE"]);
    for row in sources {
        table.add_row([
            row.key.to_owned(),
            shown(row.value.as_deref().unwrap_or("-")),
            shown(&row.source.to_string()),
        ]);
    }
    table.trim_fmt()
}

/// An object of `{"value": …, "source": …}` by key.
#[must_use]
pub fn json(sources: &[Effective]) -> String {
    let rows = sources.iter().map(|row| {
        let value = row.value.as_deref().map_or(Value::Null, |text| by_key(row.key, text));
        (row.key.to_owned(), json!({ "value": value, "source": row.source.to_string() }))
    });
    format!("{:#}", Value::Object(rows.collect::<Map<_, _>>()))
}

/// A configuration file of our own that says the same, with every source as a comment.
#[must_use]
pub fn yaml(sources: &[Effective]) -> String {
    document(
        sources.iter(),
        |row| row.value.as_deref(),
        |row| format!("  # {}", shown(&row.source.to_string())),
    )
}

/// A configuration file of our own with these settings and values, each followed by a remark.
pub(super) fn document<'a>(
    rows: impl Iterator<Item = &'a Effective>,
    value: impl Fn(&'a Effective) -> Option<&'a str>,
    remark: impl Fn(&Effective) -> String,
) -> String {
    let mut lines = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for row in rows {
        let mut parts: Vec<&str> = row.key.split('.').collect();
        let Some(leaf) = parts.pop() else { continue };
        let common = open.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        for (depth, part) in parts.iter().enumerate().skip(common) {
            lines.push(format!("{}{part}:", "  ".repeat(depth)));
        }
        let value = value(row).map_or(Value::Null, |text| by_key(row.key, text));
        let indent = "  ".repeat(parts.len());
        lines.push(format!("{indent}{leaf}: {value}{}", remark(row)));
        open = parts;
    }
    lines.join("\n") + "\n"
}

fn by_key(key: &str, text: &str) -> Value {
    typed(ALL.iter().find(|spec| spec.key == key).map(|spec| spec.kind), text)
}

/// Booleans and numbers as such, and lists of mappings.
pub(in crate::config) fn typed(kind: Option<Kind>, text: &str) -> Value {
    let plain = || serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let whole =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) || matches!(text, "true" | "false");
    match kind {
        Some(Kind::Switch | Kind::Port | Kind::Count(_) | Kind::Number(..) | Kind::Records(_)) => plain(),
        Some(Kind::NumberOr(_) | Kind::SwitchOr(_)) if whole(text) => plain(),
        _ => Value::from(text),
    }
}
