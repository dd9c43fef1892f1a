//! The variables of all files together: the last file that names one wins, then Kubespray's default.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{self, Written};
use super::jinja::{self, Unresolved, Variables};
use super::table::{self, Row};
use super::value::Value;
use super::{PREFIX, Text};
use crate::config::{Notice, Problem, Source, hint};

/// The variables of all files together.
#[derive(Debug)]
pub(super) struct Scope {
    variables: BTreeMap<String, Written>,
}

/// What a variable of the table comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) source: Source,
    /// Whether a file says it, rather than Kubespray's defaults.
    pub(super) explicit: bool,
}

impl Scope {
    /// Reads the files, the later ones winning, as more specific groups do in Ansible.
    pub(super) fn of(files: &[Text]) -> (Self, Vec<Problem>) {
        let mut scope = Self { variables: BTreeMap::new() };
        let mut problems = Vec::new();
        for text in files {
            let (variables, wrong) = file::variables(&text.path, &text.text);
            problems.extend(wrong);
            scope.variables.extend(variables.into_iter().map(|one| (one.name.clone(), one)));
        }
        (scope, problems)
    }

    /// What a file says, as it stands there.
    pub(super) fn written(&self, name: &str) -> Option<&Written> {
        self.variables.get(name)
    }

    /// The value of a variable of the table.
    pub(super) fn find(&self, row: &'static Row) -> Result<Found, Box<Problem>> {
        match self.variables.get(row.name) {
            Some(written) => {
                let source = written.source();
                let value = self.value(written).map_err(|error| Box::new(self.blame(written, error)))?;
                Ok(Found { value, source, explicit: true })
            }
            None => {
                let source = Source::Kubespray { variable: row.name.to_owned(), place: None };
                let mut resolution = Resolution { scope: self, open: Vec::new(), budget: BUDGET };
                // The defaults of the table refer to variables that blame themselves where they are read.
                let value = resolution.resolve(&row.default()).unwrap_or(Value::Null);
                Ok(Found { value, source, explicit: false })
            }
        }
    }

    /// Kubespray has no variable of that name: a slip where one is near, else somebody's own.
    pub(super) fn unknown(&self) -> (Vec<Problem>, Vec<Notice>) {
        let (mut problems, mut notices) = (Vec::new(), Vec::new());
        let used = self.used();
        let unknown = self.variables.values().filter(|written| {
            let name = written.name.as_str();
            name.starts_with(PREFIX) && table::row(name).is_none() && !used.contains(name)
        });
        for written in unknown.take(MOST) {
            match hint::nearest(&written.name, table::names()) {
                Some(near) => {
                    let reason = format!("unknown to Kubespray, did you mean {near}?");
                    problems.push(Problem::of(written.source(), &written.name, reason, ""));
                }
                None => notices.push(Notice::warning(&written.name, "unknown to Kubespray: ignored")),
            }
        }
        (problems, notices)
    }

    /// Names that expressions of the files refer to.
    fn used(&self) -> BTreeSet<&str> {
        let texts = self.variables.values().flat_map(|written| written.value.texts());
        let word = |char: char| !char.is_ascii_alphanumeric() && char != '_';
        texts.filter(|text| jinja::is_template(text)).flat_map(|text| text.split(word)).collect()
    }

    fn value(&self, written: &Written) -> Result<Value, Unresolved> {
        let open = vec![written.name.clone()];
        let mut resolution = Resolution { scope: self, open, budget: BUDGET };
        resolution.written(written)
    }

    fn blame(&self, asked: &Written, error: Unresolved) -> Problem {
        let within = error.within.as_deref().unwrap_or(asked);
        let needed = match &error.within {
            Some(within) if within.name != asked.name => format!(" (needed by {})", asked.name),
            Some(_) | None => String::new(),
        };
        let reason = format!("cannot be resolved: {}{needed}", error.reason);
        let fix = "write the value, or add the file that defines it";
        let value = Some(error.expression).filter(|expression| !expression.is_empty());
        Problem { value, ..Problem::of(within.source(), &within.name, reason, fix) }
    }
}

/// One question and everything that it leads to.
struct Resolution<'a> {
    scope: &'a Scope,
    /// Variables that are being resolved, the outermost first.
    open: Vec<String>,
    /// References that may still be followed: they can double with each other.
    budget: u32,
}

impl Resolution<'_> {
    fn written(&mut self, written: &Written) -> Result<Value, Unresolved> {
        let resolved = if written.is_encrypted() {
            Err(refused("encrypted by ansible-vault"))
        } else {
            self.resolve(&written.value)
        };
        resolved.map_err(|mut error| {
            error.within.get_or_insert_with(|| Box::new(written.clone()));
            error
        })
    }

    fn resolve(&mut self, value: &Value) -> Result<Value, Unresolved> {
        Ok(match value {
            Value::Text(text) => jinja::render(text, self)?,
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            Value::Map(pairs) => {
                let mut resolved = Vec::new();
                for (name, value) in pairs {
                    resolved.push((name.clone(), self.resolve(value)?));
                }
                Value::Map(resolved)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }
}

impl Variables for Resolution<'_> {
    fn lookup(&mut self, name: &str) -> Result<Option<Value>, Unresolved> {
        self.budget = self.budget.checked_sub(1).ok_or_else(|| refused("it refers to too much"))?;
        if self.open.iter().any(|open| open == name) {
            return Err(refused(&format!("{name} refers to itself")));
        }
        self.open.push(name.to_owned());
        let scope = self.scope;
        let value = match (scope.variables.get(name), table::row(name)) {
            (Some(written), _) => Some(self.written(written)?),
            (None, Some(row)) if row.is_defined() => Some(self.resolve(&row.default())?),
            (None, Some(_) | None) => None,
        };
        self.open.pop();
        Ok(value)
    }
}

fn refused(reason: &str) -> Unresolved {
    Unresolved { expression: String::new(), reason: reason.to_owned(), within: None }
}

/// How many references one value may lead to, and with it how deep they go.
const BUDGET: u32 = 200;

/// Who has as many of his own has named the wrong file. It bounds the time that hints take.
const MOST: usize = 50;
