//! Reads settings one by one, and remembers what was wrong and where each value came from.

use std::collections::BTreeMap;

use super::layers::{Given, Layers};
use super::problem::{Notice, Problem};
use super::setting::{Setting, Spec};
use super::source::Source;
use super::{Effective, Purpose};

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

    /// A setting that may be absent, which is `Some(None)`.
    pub(super) fn optional<T>(&mut self, setting: &'static Setting<T>) -> Option<Option<T>> {
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
            Ok(value) => {
                self.note(spec, Some((setting.show)(&value)), given.source);
                Some(Some(value))
            }
            Err(wrong) => {
                self.note(spec, Some(given.text.clone()), given.source);
                self.blame(spec, wrong.reason, wrong.fix);
                None
            }
        }
    }

    /// Says that the value of a setting, which was read before, does not go with the others.
    pub(super) fn blame(&mut self, spec: &Spec, reason: impl Into<String>, fix: impl Into<String>) {
        let noted = self.effective.get(spec.key);
        let source = noted.map(|noted| noted.source.clone());
        let setting = source.as_ref().and_then(Source::name).unwrap_or_else(|| spec.preferred()).to_owned();
        let value = noted.and_then(|noted| noted.value.clone());
        self.problems.push(Problem { setting, value, source, reason: reason.into(), fix: fix.into() });
    }

    /// The name under which a setting was given, else the one to recommend.
    pub(super) fn name(&self, spec: &Spec) -> String {
        let noted = self.effective.get(spec.key).and_then(|noted| noted.source.name());
        noted.unwrap_or_else(|| spec.preferred()).to_owned()
    }

    /// Whether somebody asked for this setting by name.
    pub(super) fn is_explicit(&self, spec: &Spec) -> bool {
        self.effective.get(spec.key).is_some_and(|noted| noted.source.name().is_some())
    }

    /// Replaces what `vipcast config` shows for a setting that follows from something else.
    pub(super) fn derived(&mut self, spec: &'static Spec, value: impl Into<String>, from: impl Into<String>) {
        self.note(spec, Some(value.into()), Source::Derived(from.into()));
    }

    /// In the order of the table.
    pub(super) fn effective(mut self) -> Vec<Effective> {
        super::table::ALL.iter().filter_map(|spec| self.effective.remove(spec.key)).collect()
    }

    fn deprecation(&mut self, given: &Given) {
        if let Source::Flag { name, instead: Some(instead) }
        | Source::Environment { name, instead: Some(instead) } = &given.source
        {
            self.notices.push(Notice::warning(name.clone(), format!("deprecated name, use {instead}")));
        }
    }

    fn note(&mut self, spec: &'static Spec, value: Option<String>, source: Source) {
        self.effective.insert(spec.key, Effective { key: spec.key, value, source });
    }
}

fn default(spec: &Spec) -> Option<Given> {
    let text = spec.default?.to_owned();
    Some(Given { text, source: Source::Default, bare: super::setting::Unit::Seconds })
}
