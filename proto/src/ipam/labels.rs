//! What a Kubernetes label selector selects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Labels or annotations of an object, in one piece: a map of its own for each of thousands of objects takes several times
/// as much.
#[derive(Clone, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Labels {
    /// Each key and each value, in the order of the keys, with [`END`] after it.
    text: Box<str>,
}

impl Labels {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.text.split_terminator(END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

/// Of several with one key the last counts. What has a NUL in it is passed over: it is no label, and no annotation that is
/// read.
impl FromIterator<(String, String)> for Labels {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(labels: T) -> Self {
        let is_text = |(key, value): &(String, String)| !key.contains(END) && !value.contains(END);
        let sorted: BTreeMap<_, _> = labels.into_iter().filter(is_text).collect();
        let parts = sorted.into_iter().flat_map(|(key, value)| [key, value]);
        let text = parts.fold(String::new(), |mut text, part| {
            text += &part;
            text.push(END);
            text
        });
        Self { text: text.into() }
    }
}

impl<const N: usize> From<[(String, String); N]> for Labels {
    fn from(labels: [(String, String); N]) -> Self {
        labels.into_iter().collect()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A label selector: all of its requirements have to hold, and none means everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LabelSelector {
    /// `matchLabels`.
    pub match_labels: BTreeMap<String, String>,
    /// `matchExpressions`.
    pub match_expressions: Vec<Requirement>,
}

/// One of `matchExpressions`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What has to hold of its value.
    pub operator: Operator,
}

/// What has to hold of a label's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operator {
    /// It is one of these.
    In(BTreeSet<String>),
    /// It is none of these, or there is no such label.
    NotIn(BTreeSet<String>),
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value.as_str()))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Neither keys nor values have it.
const END: char = '\0';

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn labels_are_what_a_map_of_them_would_be() {
        let labels = Labels::from([pair("b", ""), pair("a", "1"), pair("ab", "x\0y"), pair("a", "2")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "")]);
        assert_eq!(
            ["a", "b", "ab", "2", ""].map(|key| labels.get(key)),
            [Some("2"), Some(""), None, None, None]
        );
        assert_eq!(labels, Labels::from([pair("a", "2"), pair("b", "")]));
        assert_eq!(format!("{labels:?}"), r#"{"a": "2", "b": ""}"#);
        assert!(Labels::new().is_empty() && !labels.is_empty());
    }

    #[test]
    fn each_operator_selects_as_kubernetes_has_it() {
        let values = || BTreeSet::from(["web".to_owned()]);
        let operators =
            [Operator::In(values()), Operator::NotIn(values()), Operator::Exists, Operator::DoesNotExist];
        let selected = operators.map(|operator| {
            let match_expressions = vec![Requirement { key: "app".into(), operator }];
            let selector = LabelSelector { match_labels: BTreeMap::new(), match_expressions };
            [Some("web"), Some("db"), None].map(|app| {
                selector.selects(&app.map(|app| ("app".to_owned(), app.to_owned())).into_iter().collect())
            })
        });
        assert_eq!(
            selected,
            [[true, false, false], [false, true, true], [true, true, false], [false, false, true]]
        );
    }
}
