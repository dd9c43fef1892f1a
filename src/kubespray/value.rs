//! What a variable of Ansible can be.

use serde_saphyr::Spanned;

use crate::yaml::{self, Node};

/// The value of a variable. Text may hold Jinja.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Value {
    /// From a node of `source`.
    pub(super) fn of(source: &str, node: &Spanned<Node>) -> Self {
        match &node.value {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(*value),
            Node::Number(understood) => {
                Self::Number(yaml::written(source, node).unwrap_or(understood).to_owned())
            }
            Node::Text(text) => Self::Text(text.clone()),
            Node::List(items) => Self::List(items.iter().map(|item| Self::of(source, item)).collect()),
            Node::Map(pairs) => {
                let pair = |(name, node): &(String, _)| (name.clone(), Self::of(source, node));
                Self::Map(pairs.iter().map(pair).collect())
            }
        }
    }

    /// An entry of a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().rfind(|(name, _)| name == key).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// As a template writes it: `None` for what is no single value.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Null => Some(String::new()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.trim().to_owned()),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// As Ansible's filter `bool` reads it, but that what is neither is neither.
    pub(super) fn switch(&self) -> Option<bool> {
        let text = match self {
            Self::Null => return Some(false),
            Self::Bool(value) => return Some(*value),
            Self::Number(text) | Self::Text(text) => text.trim().to_ascii_lowercase(),
            Self::List(_) | Self::Map(_) => return None,
        };
        match text.as_str() {
            "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
            "" | "0" | "f" | "false" | "n" | "no" | "off" | "none" | "null" | "~" => Some(false),
            _ => None,
        }
    }

    /// What it is called in a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Every piece of text in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(_, value)| value.texts()).collect(),
            Self::Null | Self::Bool(_) | Self::Number(_) => Vec::new(),
        }
    }
}
