//! Where a value came from.

use std::fmt;

/// Where a value came from. `Display` says it in full, for `vipcast config`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// A flag.
    Flag {
        /// Its name with the dashes.
        name: String,
        /// The name to use, where this one is deprecated.
        instead: Option<String>,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
        /// The name to use, where this one is deprecated.
        instead: Option<String>,
    },
    /// Files of Kubespray's variables, or its defaults.
    Kubespray {
        /// The variable.
        variable: String,
        /// File and line, counted from one; `None`: Kubespray's default.
        place: Option<(String, u64)>,
    },
    /// Our own file.
    File {
        /// The file.
        path: String,
        /// The key in it.
        key: String,
        /// The line, counted from one.
        line: u64,
    },
    /// Nothing was given.
    Default,
    /// Nothing was given, and it follows from something else.
    Derived(String),
}

impl Source {
    /// The place in a few words, for a message that already names the setting.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Flag { .. } => "flag".into(),
            Self::Environment { .. } => "environment".into(),
            Self::File { path, line, .. } | Self::Kubespray { place: Some((path, line)), .. } => {
                format!("{path} line {line}")
            }
            Self::Kubespray { place: None, .. } => "Kubespray's default".into(),
            Self::Default => "default".into(),
            Self::Derived(from) => format!("derived: {from}"),
        }
    }

    /// The name that was used, where one was.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Flag { name, .. } | Self::Environment { name, .. } => Some(name),
            Self::File { key, .. } => Some(key),
            Self::Kubespray { variable, .. } => Some(variable),
            Self::Default | Self::Derived(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name, instead } => {
                write!(f, "flag {name}{}", deprecation(instead.as_deref()))
            }
            Self::Environment { name, instead } => {
                write!(f, "environment {name}{}", deprecation(instead.as_deref()))
            }
            Self::Kubespray { variable, place: Some((path, _)) } => write!(f, "Kubespray {path}:{variable}"),
            Self::Kubespray { variable, place: None } => write!(f, "Kubespray's default of {variable}"),
            Self::File { path, key, .. } => write!(f, "file {path}:{key}"),
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "derived: {from}"),
        }
    }
}

fn deprecation(instead: Option<&str>) -> String {
    instead.map(|name| format!(" (deprecated name, use {name})")).unwrap_or_default()
}
