//! The little of Jinja that is plain: references, literals and a few filters. Everything else is refused by name.

use super::value::Value;

/// Where references lead.
pub(super) trait Variables {
    /// The value of a variable with its own Jinja resolved; `None` where nobody defined it.
    fn lookup(&mut self, name: &str) -> Result<Option<Value>, Unresolved>;
}

/// Why an expression has no value here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unresolved {
    /// The expression, or the variable with which it went wrong.
    pub(super) expression: String,
    /// The reason.
    pub(super) reason: String,
    /// The variable that holds the expression, where it is another than the one that was asked for.
    pub(super) within: Option<Box<super::file::Written>>,
}

/// A text with its expressions replaced. A text that is one expression has that expression's value.
pub(super) fn render(text: &str, variables: &mut impl Variables) -> Result<Value, Unresolved> {
    if !is_template(text) {
        return Ok(Value::Text(text.to_owned()));
    }
    if let Some(sign) = ["{%", "{#"].into_iter().find(|sign| text.contains(sign)) {
        return Err(unresolved(text, format!("{sign} is more Jinja than vipcast understands")));
    }
    let mut rest = text;
    let mut rendered = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, after)) = after.split_once("}}") else {
            return Err(unresolved(text, "{{ without }}"));
        };
        let value = evaluate(expression, variables)?;
        if before.trim().is_empty() && rendered.trim().is_empty() && after.trim().is_empty() {
            return Ok(value);
        }
        let Some(plain) = value.text() else {
            return Err(unresolved(expression, format!("{} in the middle of a text", value.kind())));
        };
        rendered.push_str(before);
        rendered.push_str(&plain);
        if rendered.len() > LONGEST {
            return Err(unresolved(expression, "becomes too long"));
        }
        rest = after;
    }
    rendered.push_str(rest);
    Ok(Value::Text(rendered))
}

/// Whether there is any Jinja in it.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign))
}

fn evaluate(expression: &str, variables: &mut impl Variables) -> Result<Value, Unresolved> {
    let wrong = |reason: String| unresolved(expression, reason);
    let mut parts = split(expression, '|').ok_or_else(|| wrong("a quote is not closed".into()))?.into_iter();
    let first = parts.next().unwrap_or_default();
    let mut value = operand(first, variables).map_err(|error| error.or(expression))?;
    for filter in parts {
        value = apply(filter, value, variables).map_err(|error| error.or(expression))?;
    }
    value.ok_or_else(|| wrong(format!("{} is not defined in the files", first.trim())))
}

/// `None`: not defined, which a filter may put right.
fn operand(text: &str, variables: &mut impl Variables) -> Result<Option<Value>, Unresolved> {
    let text = text.trim();
    if let Some(literal) = literal(text) {
        return Ok(Some(literal));
    }
    let (name, path) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    if !is_name(name) {
        return Err(unresolved("", format!("{text} is more Jinja than vipcast understands")));
    }
    if ONLY_ANSIBLE.contains(&name) || name.starts_with("ansible_") {
        return Err(unresolved("", format!("only Ansible knows {name}")));
    }
    let Some(steps) = steps(path) else {
        return Err(unresolved("", format!("{text} is more Jinja than vipcast understands")));
    };
    let mut value = variables.lookup(name)?;
    for step in steps {
        value = value.and_then(|value| value.entry(step).cloned());
    }
    Ok(value)
}

fn apply(
    filter: &str,
    value: Option<Value>,
    variables: &mut impl Variables,
) -> Result<Option<Value>, Unresolved> {
    let filter = filter.trim();
    let (name, arguments) = match filter.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')')),
        None => (filter, Some("")),
    };
    let unknown = || unresolved("", format!("vipcast does not know the filter {name}"));
    let arguments = arguments.and_then(|arguments| split(arguments, ',')).ok_or_else(unknown)?;
    match (name, value) {
        ("default" | "d", value) => default(value, &arguments, variables),
        ("bool", Some(value)) => match value.switch() {
            Some(switch) => Ok(Some(Value::Bool(switch))),
            None => Err(unresolved("", "neither true nor false")),
        },
        ("int" | "string" | "trim" | "lower" | "upper", Some(value)) => {
            let text = value.text().ok_or_else(|| unresolved("", format!("{name} of {}", value.kind())))?;
            Ok(Some(match name {
                "int" => Value::Number(text),
                "lower" => Value::Text(text.to_lowercase()),
                "upper" => Value::Text(text.to_uppercase()),
                _ => Value::Text(text),
            }))
        }
        ("bool" | "int" | "string" | "trim" | "lower" | "upper", None) => Ok(None),
        _ => Err(unknown()),
    }
}

/// `default(value)` for what is not defined; with `true` also for what is empty or false.
fn default(
    value: Option<Value>,
    arguments: &[&str],
    variables: &mut impl Variables,
) -> Result<Option<Value>, Unresolved> {
    let also_empty = matches!(arguments.get(1).map(|text| text.trim()), Some("true" | "True"));
    let empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        Value::Number(text) => text == "0",
        Value::List(items) => items.is_empty(),
        Value::Map(pairs) => pairs.is_empty(),
        Value::Bool(true) => false,
    };
    match value {
        Some(value) if !(also_empty && empty(&value)) => Ok(Some(value)),
        Some(_) | None => match arguments.first().map(|text| text.trim()) {
            None | Some("") => Ok(Some(Value::Text(String::new()))),
            Some(argument) => operand(argument, variables),
        },
    }
}

fn literal(text: &str) -> Option<Value> {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains([quote, '\\'])).then(|| inner.to_owned())
    });
    match text {
        "true" | "True" => Some(Value::Bool(true)),
        "false" | "False" => Some(Value::Bool(false)),
        "none" | "None" => Some(Value::Null),
        _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Value::Number(text.to_owned()))
        }
        _ => quoted.map(Value::Text),
    }
}

/// `.name` and `['name']`.
fn steps(mut path: &str) -> Option<Vec<&str>> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        let (step, rest) = match path.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            None => {
                let (inner, rest) = path.strip_prefix('[')?.split_once(']')?;
                let inner = inner.trim();
                let bare = inner.trim_matches(['\'', '"']);
                (bare.len() + 2 == inner.len()).then_some((bare, rest))?
            }
        };
        steps.push(Some(step).filter(|step| is_name(step))?);
        path = rest;
    }
    Some(steps)
}

/// Splits outside of quotes and parentheses; `None` where one of them is left open.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut quote, mut depth, mut start) = (None, 0_u32, 0);
    let mut parts = Vec::new();
    for (index, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(char),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1)?,
            (None, _) if char == at && depth == 0 => {
                parts.push(text.get(start..index)?);
                start = index + char.len_utf8();
            }
            (None, _) => {}
        }
    }
    parts.push(text.get(start..)?);
    (quote.is_none() && depth == 0).then_some(parts)
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn unresolved(expression: &str, reason: impl Into<String>) -> Unresolved {
    Unresolved { expression: expression.trim().to_owned(), reason: reason.into(), within: None }
}

impl Unresolved {
    /// Names the expression, where a smaller part did not name itself.
    fn or(mut self, expression: &str) -> Self {
        if self.expression.is_empty() {
            self.expression = expression.trim().to_owned();
        }
        self
    }
}

/// Ansible's own variables, and Kubespray's that it makes of facts.
const ONLY_ANSIBLE: &[&str] = &[
    "inventory_hostname",
    "inventory_hostname_short",
    "inventory_dir",
    "hostvars",
    "groups",
    "group_names",
    "play_hosts",
    "lookup",
    "query",
    "main_ip",
    "main_access_ip",
];

/// Nothing that is asked for is longer; references to references could make more of a small file.
const LONGEST: usize = 4096;
