//! Reads settings one by one, and remembers what was wrong and where each value came from.

use std::collections::BTreeMap;

use super::layers::{Given, Layers};
use super::problem::{Notice, Problem};
use super::record::{Form, Record};
use super::secret::{MASK, Secret};
use super::setting::{Setting, Spec};
use super::source::Source;
use super::tree::{self, Secrets, Tree};
use super::value::peers::{self, Item};
use super::{Effective, Purpose};

/// Where settings are read: everywhere, or in one mapping of a list. `None` from a method means: a problem was noted, go
/// on reading the others.
pub(super) trait Settings {
    /// A setting that may be absent, which is `Some(None)`.
    fn optional<T>(&mut self, setting: &'static Setting<T>) -> Option<Option<T>>;

    /// Says that the value of a setting, which was read before, does not go with the others.
    fn blame(&mut self, spec: &'static Spec, reason: impl Into<String>, fix: impl Into<String>);

    /// The name under which a setting was given, else the one to recommend.
    fn name(&self, spec: &'static Spec) -> String;

    /// Whether somebody asked for this setting by name.
    fn says(&self, spec: &'static Spec) -> bool;
}

/// Reads settings one by one. `None` from a method means: a problem was noted, go on reading the others.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) purpose: Purpose,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    effective: BTreeMap<&'static str, Effective>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers, problems: Vec<Problem>, purpose: Purpose) -> Self {
        Self { layers, purpose, problems, notices: Vec::new(), effective: BTreeMap::new() }
    }

    /// A setting that has a default.
    pub(super) fn value<T>(&mut self, setting: &'static Setting<T>) -> Option<T> {
        self.optional(setting)?
    }

    /// A list of mappings; empty where there is none.
    pub(super) fn records(&mut self, setting: &'static Setting<Vec<Item>>) -> Option<Vec<Record>> {
        let spec = &setting.spec;
        let (given, contradictions) = self.layers.given(spec);
        self.problems.extend(contradictions);
        let Some(given) = given else {
            self.note(spec, None, Source::Derived(spec.otherwise.to_owned()));
            return Some(Vec::new());
        };
        let fields = spec.kind.fields().unwrap_or_default();
        let structured = given.tree.clone().map(Tree::into_items).or_else(|| tree::parse_list(&given.text));
        let form = if structured.is_some() { Form::Mapping } else { Form::Grammar };
        let list = match structured {
            Some(items) => {
                let json = |secrets| {
                    serde_json::Value::from_iter(items.iter().map(|item| item.json(fields, "", secrets)))
                };
                let (plain, shown) = (json(Secrets::Shown).to_string(), json(Secrets::Masked).to_string());
                self.note_secret(spec, shown, plain, given.source.clone());
                items.into_iter().map(|tree| Item { tree, wrong: Vec::new() }).collect()
            }
            None => match (setting.parse)(spec, &given.text) {
                Ok(items) => {
                    self.note_secret(
                        spec,
                        peers::masked(&given.text),
                        given.text.clone(),
                        given.source.clone(),
                    );
                    items
                }
                Err(wrong) => {
                    self.note(spec, None, given.source);
                    self.blame(spec, wrong.reason, wrong.fix);
                    return None;
                }
            },
        };
        let name = self.name(spec);
        let record = |(number, item): (usize, Item)| {
            Record::new(format!("{name}[{number}]"), fields, item, form, &given.source)
        };
        Some(list.into_iter().enumerate().map(record).collect())
    }

    /// Whether somebody asked for this setting by name.
    pub(super) fn is_explicit(&self, spec: &Spec) -> bool {
        self.effective.get(spec.key).is_some_and(|noted| noted.source.name().is_some())
    }

    /// Whether somebody asked for this setting by name, and for something else than its default: Kubespray writes
    /// defaults of its own, and its template all of them.
    pub(super) fn says_more(&self, spec: &Spec) -> bool {
        let Some(noted) = self.effective.get(spec.key) else { return false };
        let written = match &noted.source {
            Source::Kubespray { place, .. } => place.is_some(),
            Source::Flag { .. } | Source::Environment { .. } | Source::File { .. } => true,
            Source::Default | Source::Derived(_) => false,
        };
        written && noted.value.as_deref() != spec.default
    }

    /// Where a secret was written, if there is one in this setting.
    pub(super) fn secret_from(&self, spec: &Spec) -> Option<&Source> {
        let noted = self.effective.get(spec.key)?;
        noted.secret.as_ref().map(|_| &noted.source)
    }

    /// Replaces what `vipcast config` shows for a setting that follows from something else.
    pub(super) fn derived(&mut self, spec: &'static Spec, value: impl Into<String>, from: impl Into<String>) {
        self.note(spec, Some(value.into()), Source::Derived(from.into()));
    }

    /// In the order of the table.
    pub(super) fn effective(mut self) -> Vec<Effective> {
        super::table::ALL.iter().filter_map(|spec| self.effective.remove(spec.key)).collect()
    }

    fn note_secret(&mut self, spec: &'static Spec, shown: String, text: String, source: Source) {
        let secret = (shown != text).then(|| Secret::of(text));
        self.effective.insert(spec.key, Effective { key: spec.key, value: Some(shown), source, secret });
    }

    fn deprecation(&mut self, given: &Given) {
        if let Source::Flag { name, instead: Some(instead) }
        | Source::Environment { name, instead: Some(instead) } = &given.source
        {
            self.notices.push(Notice::warning(name.clone(), format!("deprecated name, use {instead}")));
        }
    }

    fn note(&mut self, spec: &'static Spec, value: Option<String>, source: Source) {
        self.effective.insert(spec.key, Effective { key: spec.key, value, source, secret: None });
    }
}

impl Settings for Reader<'_> {
    fn optional<T>(&mut self, setting: &'static Setting<T>) -> Option<Option<T>> {
        let spec = &setting.spec;
        let (given, contradictions) = self.layers.given(spec);
        self.problems.extend(contradictions);
        let given = given.or_else(|| default(spec));
        let Some(given) = given else {
            self.note(spec, None, Source::Derived(spec.otherwise.to_owned()));
            return Some(None);
        };
        self.deprecation(&given);
        match (setting.parse)(spec, &given.with_unit()) {
            Ok(value) if spec.is_secret() => {
                self.note_secret(spec, (setting.show)(&value), given.text, given.source);
                Some(Some(value))
            }
            Ok(value) => {
                self.note(spec, Some((setting.show)(&value)), given.source);
                Some(Some(value))
            }
            Err(wrong) => {
                let shown = if spec.is_secret() { MASK.to_owned() } else { given.text.clone() };
                self.note(spec, Some(shown), given.source);
                self.blame(spec, wrong.reason, wrong.fix);
                None
            }
        }
    }

    fn blame(&mut self, spec: &'static Spec, reason: impl Into<String>, fix: impl Into<String>) {
        let noted = self.effective.get(spec.key);
        let source = noted.map(|noted| noted.source.clone());
        let setting = source.as_ref().and_then(Source::name).unwrap_or_else(|| spec.preferred()).to_owned();
        let value = noted.and_then(|noted| noted.value.clone());
        self.problems.push(Problem { setting, value, source, reason: reason.into(), fix: fix.into() });
    }

    fn name(&self, spec: &'static Spec) -> String {
        let noted = self.effective.get(spec.key).and_then(|noted| noted.source.name());
        noted.unwrap_or_else(|| spec.preferred()).to_owned()
    }

    fn says(&self, spec: &'static Spec) -> bool {
        self.is_explicit(spec)
    }
}

fn default(spec: &Spec) -> Option<Given> {
    let text = spec.default?.to_owned();
    Some(Given { text, tree: None, source: Source::Default, bare: super::setting::Unit::Seconds })
}
