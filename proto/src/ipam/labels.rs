//! What a Kubernetes label selector selects.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A label selector: all of its requirements have to hold, and none means everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LabelSelector {
    /// `matchLabels`.
    pub match_labels: Labels,
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
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&String>) -> bool {
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_selects_as_kubernetes_has_it() {
        let values = || BTreeSet::from(["web".to_owned()]);
        let operators =
            [Operator::In(values()), Operator::NotIn(values()), Operator::Exists, Operator::DoesNotExist];
        let selected = operators.map(|operator| {
            let match_expressions = vec![Requirement { key: "app".into(), operator }];
            let selector = LabelSelector { match_labels: Labels::new(), match_expressions };
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
