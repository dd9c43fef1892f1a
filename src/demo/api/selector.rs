//! Which objects a list or a watch is about: `labelSelector` and `fieldSelector`.

use serde_json::Value;

use super::resources::Resource;

/// What must hold of an object; empty selects everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    subject: Subject,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Subject {
    Label(String),
    Field(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads both selectors; the error is the message for a 400.
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for clause in clauses(labels) {
            requirements.push(label(clause)?);
        }
        for clause in clauses(fields) {
            requirements.push(field(resource, clause)?);
        }
        Ok(Self(requirements))
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|requirement| requirement.holds(object))
    }
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        let found = match &self.subject {
            Subject::Label(key) => object.pointer("/metadata/labels").and_then(|l| l.get(key)),
            Subject::Field(path) => path.iter().try_fold(object, |at, key| at.get(key)),
        };
        let text = found.map(text);
        match &self.test {
            Test::Exists => text.is_some(),
            Test::Absent => text.is_none(),
            Test::In(values) => match (&text, &self.subject) {
                (Some(text), _) => values.contains(text),
                // A field that is not set has its zero value.
                (None, Subject::Field(_)) => values.iter().any(|v| v.is_empty() || v == "false"),
                (None, Subject::Label(_)) => false,
            },
            Test::NotIn(values) => text.is_none_or(|text| !values.contains(&text)),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Splits at the commas that are not within parentheses.
fn clauses(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|clause| !clause.is_empty())
    .collect()
}

fn label(clause: &str) -> Result<Requirement, String> {
    let (key, test) = if let Some(key) = clause.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = clause.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = clause.split_once('=') {
        (key, Test::In(vec![value.trim_start_matches('=').trim().to_owned()]))
    } else if let Some((key, set)) = clause.split_once(" notin ") {
        (key, Test::NotIn(members(set)?))
    } else if let Some((key, set)) = clause.split_once(" in ") {
        (key, Test::In(members(set)?))
    } else {
        (clause, Test::Exists)
    };
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(format!("unable to parse requirement: {clause}"));
    }
    let subject = Subject::Label(key.to_owned());
    Ok(Requirement { subject, test })
}

fn members(set: &str) -> Result<Vec<String>, String> {
    set.trim()
        .strip_prefix('(')
        .and_then(|set| set.strip_suffix(')'))
        .map(|set| set.split(',').map(|v| v.trim().to_owned()).collect())
        .ok_or_else(|| format!("unable to parse requirement: found '{set}', expected: '('"))
}

fn field(resource: &Resource, clause: &str) -> Result<Requirement, String> {
    let (key, test) = if let Some((key, value)) = clause.split_once("!=") {
        (key, Test::NotIn(vec![value.to_owned()]))
    } else if let Some((key, value)) = clause.split_once('=') {
        (key, Test::In(vec![value.trim_start_matches('=').to_owned()]))
    } else {
        return Err(format!("invalid selector: '{clause}'; can't understand '{clause}'"));
    };
    let known = key == "metadata.name"
        || (key == "metadata.namespace" && resource.is_namespaced())
        || resource.field_labels.contains(&key);
    if !known {
        return Err(format!("field label not supported: {key}"));
    }
    let subject = Subject::Field(key.split('.').map(str::to_owned).collect());
    Ok(Requirement { subject, test })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::RESOURCES;
    use super::*;

    fn selects(labels: &str, fields: &str) -> Result<bool, String> {
        let service = RESOURCES.iter().find(|r| r.kind == "Service").expect("is in the table");
        let object = json!({
            "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "tier": ""}},
            "spec": {"type": "LoadBalancer"},
        });
        Selector::parse(service, labels, fields).map(|selector| selector.matches(&object))
    }

    #[test]
    fn labels_are_selected_by_equality_by_set_and_by_presence() {
        for labels in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "zone!=a",
            "app in (db, web)",
            "zone notin (a)",
            "app",
            "!zone",
            "tier=",
            "app=web,tier",
            "app in (a,web),!zone",
        ] {
            assert_eq!(selects(labels, ""), Ok(true), "{labels}");
        }
        for labels in
            ["app=db", "app!=web", "zone=a", "zone in (a)", "app notin (web)", "!app", "zone", "app=web,zone"]
        {
            assert_eq!(selects(labels, ""), Ok(false), "{labels}");
        }
    }

    #[test]
    fn fields_are_selected_where_the_resource_has_them() {
        let both = "metadata.name=web,metadata.namespace=default";
        assert_eq!(selects("", both), Ok(true));
        assert_eq!(selects("", "spec.type!=LoadBalancer"), Ok(false));
        let unknown = "field label not supported: spec.ports".to_owned();
        assert_eq!(selects("", "spec.ports=1"), Err(unknown));
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused() {
        assert!(selects("app in web", "").is_err());
        assert!(selects("=web", "").is_err());
        assert!(selects("", "metadata.name").is_err());
    }
}
