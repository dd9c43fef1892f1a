//! One mapping of a list: its fields are read as settings are, and blamed by their place in the list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::problem::Problem;
use super::reader::Settings;
use super::secret::MASK;
use super::setting::{Setting, Spec};
use super::source::Source;
use super::tree::Value;
use super::value::peers::Item;
use super::value::{as_number, is_unset};
use super::walk::{Entries, Walk, placed};

/// One mapping of a list, such as a peer.
#[derive(Debug)]
pub(super) struct Record {
    /// Such as `bgp.peers[1]`.
    pub(super) name: String,
    source: Source,
    line: u64,
    entries: Entries,
    form: Form,
    /// Whether everything in it could be read.
    complete: bool,
    /// The values that were read, as they may be shown.
    shown: BTreeMap<&'static str, String>,
    pub(super) problems: Vec<Problem>,
}

/// How a mapping was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// With its keys.
    Mapping,
    /// By the places of its values, in one text with a password: where a separator is too many or too few, any value may
    /// be a part of the password.
    Grammar,
}

impl Record {
    pub(super) fn new(
        name: String,
        fields: &'static [&'static Spec],
        item: Item,
        form: Form,
        source: &Source,
    ) -> Self {
        let tree = item.tree;
        let mut walk = Walk::new(fields, &format!("{name}."), source.clone());
        let wrong = item.wrong.into_iter().map(|(field, wrong)| {
            let setting = field.map_or_else(|| name.clone(), |field| format!("{name}.{field}"));
            let problem = Problem::of(source.clone(), setting, wrong.reason, wrong.fix);
            Problem { value: field.map(|_| MASK.to_owned()), ..problem }
        });
        let mut problems: Vec<_> = wrong.collect();
        match &tree.value {
            Value::Map(pairs) => walk.map("", pairs),
            Value::Null | Value::Text(_) | Value::List(_) => {
                let source = placed(source, &name, tree.line);
                problems.push(Problem::of(source, &name, "not a mapping", "write key: value pairs"));
            }
        }
        problems.extend(walk.problems);
        let (line, source, entries, complete) =
            (tree.line, source.clone(), walk.entries, problems.is_empty());
        Self { name, source, line, form, entries, complete, shown: BTreeMap::new(), problems }
    }

    /// Says that something is missing, unless it may be what could not be read.
    pub(super) fn missing(&mut self, reason: impl Into<String>, fix: impl Into<String>) {
        if self.complete {
            self.refuse(reason, fix);
        }
    }

    /// Says that the mapping as a whole is wrong.
    pub(super) fn refuse(&mut self, reason: impl Into<String>, fix: impl Into<String>) {
        let source = placed(&self.source, &self.name, self.line);
        self.problems.push(Problem::of(source, self.name.clone(), reason, fix));
    }

    /// Whether a value may be a password, or a part of one.
    fn hides(&self, spec: &Spec, text: &str) -> bool {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let certain = match spec.key {
            "address" => bare.parse::<IpAddr>().is_ok(),
            "as" => text.parse::<u32>().is_ok() || as_number(text).is_ok(),
            _ => false,
        };
        spec.is_secret() || self.form == Form::Grammar && !certain
    }

    fn text(&self, spec: &Spec) -> Option<String> {
        let text = self.entries.get(spec.key)?.text.as_deref().filter(|text| !is_unset(text))?;
        Some(if spec.is_secret() { text.to_owned() } else { text.trim().to_owned() })
    }
}

impl Settings for Record {
    fn optional<T>(&mut self, setting: &'static Setting<T>) -> Option<Option<T>> {
        let spec = &setting.spec;
        let given = self.text(spec);
        let Some(text) = given.as_deref().or(spec.default) else { return Some(None) };
        let parsed = (setting.parse)(spec, text);
        let shown = if self.hides(spec, text) { MASK.to_owned() } else { text.to_owned() };
        if given.is_some() {
            self.shown.insert(spec.key, shown);
        }
        match parsed {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                self.blame(spec, wrong.reason, wrong.fix);
                None
            }
        }
    }

    fn blame(&mut self, spec: &'static Spec, reason: impl Into<String>, fix: impl Into<String>) {
        let name = self.name(spec);
        let line = self.entries.get(spec.key).map_or(self.line, |entry| entry.line);
        let value = self.shown.get(spec.key).cloned();
        let source = placed(&self.source, &name, line);
        self.problems.push(Problem { value, ..Problem::of(source, name, reason, fix) });
    }

    fn name(&self, spec: &'static Spec) -> String {
        format!("{}.{}", self.name, spec.key)
    }

    fn says(&self, spec: &'static Spec) -> bool {
        self.text(spec).is_some()
    }
}
