//! What is wrong with the configuration, and what is merely worth knowing, in words an operator can act on.

use std::fmt;

use super::source::Source;

/// A value, or its absence, with which the daemon does not start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The name that was used: variable, flag or key.
    pub setting: String,
    /// The value as written, where there is one that may be shown.
    pub value: Option<String>,
    /// Where it was written.
    pub source: Option<Source>,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub fix: String,
}

/// Everything that is wrong at once. Never empty.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Problems {
    /// What has to be put right.
    pub problems: Vec<Problem>,
    /// What may help in finding it, such as the hint for a mistyped name.
    pub notices: Vec<Notice>,
}

/// Something that does not keep the daemon from starting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// The name it is about.
    pub setting: String,
    /// What there is to know.
    pub text: String,
}

/// How much a [`Notice`] matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Somebody should change something.
    Warning,
    /// Nobody has to do anything.
    Info,
}

impl Problem {
    /// A problem with what was written at `source`.
    pub(crate) fn of(
        source: Source,
        setting: impl Into<String>,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { source: Some(source), ..Self::plain(setting, reason, fix) }
    }

    pub(super) fn plain(
        setting: impl Into<String>,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { setting: setting.into(), value: None, source: None, reason: reason.into(), fix: fix.into() }
    }
}

impl Notice {
    pub(crate) fn warning(setting: impl Into<String>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, setting: setting.into(), text: text.into() }
    }

    pub(crate) fn info(setting: impl Into<String>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, setting: setting.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.setting))?;
        if let Some(value) = &self.value {
            write!(f, "={}", shown(value))?;
        }
        if let Some(source) = &self.source {
            write!(f, " ({})", source.place())?;
        }
        write!(f, ": {}", self.reason)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "; {}", self.fix) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines =
            self.problems.iter().map(ToString::to_string).chain(self.notices.iter().map(ToString::to_string));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.setting), self.text)
    }
}

/// Text from outside as it may go to a terminal: one line, bounded, without credentials of a URL.
pub(super) fn shown(text: &str) -> String {
    let text = text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, host)| format!("***@{host}"));
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    // Quotes do no harm in a line, and escaping them would make JSON unreadable.
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

/// Enough to recognise any value of a setting.
const SHOWN: usize = 120;
