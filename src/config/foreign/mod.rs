//! kube-vip's names that are no settings here: features that do not exist yet, what rides along with
//! them, and switches whose effect is always on or never wanted.

mod names;

pub(super) use names::ALL;

use super::problem::{Notice, Problem, Severity};
use super::source::Source;
use super::{value, value::is_unset};

/// A name of kube-vip's that is understood but sets nothing.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Foreign {
    /// Environment variables.
    pub env: &'static [&'static str],
    /// Flags, without the dashes.
    pub flags: &'static [&'static str],
    /// What a value looks like.
    pub form: Form,
    /// What becomes of it.
    pub fate: Fate,
}

/// What the value of a foreign name looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Form {
    /// Go's booleans.
    Switch,
    /// Anything.
    Text,
}

/// What becomes of a foreign name.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Fate {
    /// A feature that is not built: any value but these (and `false`) is refused.
    Unbuilt {
        /// The feature, as the subject of a sentence.
        feature: &'static str,
        /// Values that leave it off.
        off: &'static [&'static str],
        /// What to do without it.
        fix: &'static str,
    },
    /// Harmless while its feature is off: ignored, and named in one line.
    Rider,
    /// Accepted without effect; `why` is said when the value is this one.
    Moot {
        /// The value it is said for.
        said: Said,
        /// How much it matters.
        severity: Severity,
        /// Why it has no effect.
        why: &'static str,
    },
}

/// When the reason of [`Fate::Moot`] is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Said {
    /// Where it is switched on.
    On,
    /// Where it is switched off.
    Off,
}

/// What came of the foreign names that were given.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    /// Whether another way of announcing was asked for.
    pub(super) other_announcer: bool,
    riders: Vec<String>,
}

impl Foreign {
    /// The row to which a variable belongs.
    pub(super) fn with_env(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|row| row.env.contains(&name))
    }

    /// The row to which a flag belongs.
    pub(super) fn with_flag(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|row| row.flags.contains(&name))
    }
}

impl Verdict {
    /// Judges one foreign name that was given.
    pub(super) fn add(&mut self, row: &Foreign, name: &str, text: &str, source: Source) {
        if is_unset(text) {
            return;
        }
        if matches!(row.fate, Fate::Rider) {
            return self.riders.push(name.to_owned());
        }
        let on = match row.form {
            Form::Text => true,
            Form::Switch => match go_bool(text.trim()) {
                Some(on) => on,
                None => return self.not_a_switch(name, text, source),
            },
        };
        match row.fate {
            Fate::Unbuilt { off, feature, fix } if on && !off.contains(&text.trim()) => {
                self.other_announcer |= ANNOUNCERS.iter().any(|announcer| row.env.contains(announcer));
                let reason = format!("{feature} is not built into this version");
                self.problems.push(Problem { source: Some(source), ..Problem::plain(name, reason, fix) });
            }
            Fate::Moot { said, severity, why } if on == (said == Said::On) => {
                self.notices.push(Notice { severity, setting: name.to_owned(), text: why.to_owned() });
            }
            Fate::Unbuilt { .. } | Fate::Moot { .. } | Fate::Rider => {}
        }
    }

    /// The one line about everything that was ignored.
    pub(super) fn finish(&mut self) {
        if !self.riders.is_empty() {
            let text = "understood, but without use while their features are off: ignored";
            self.notices.push(Notice::info(self.riders.join(", "), text));
        }
    }

    fn not_a_switch(&mut self, name: &str, text: &str, source: Source) {
        let problem = Problem::plain(name, "neither true nor false", "write true or false");
        self.problems.push(Problem { value: Some(text.to_owned()), source: Some(source), ..problem });
    }
}

fn go_bool(text: &str) -> Option<bool> {
    value::switch(&super::table::LAYER2.spec, text).ok()
}

/// Switches that stand for another way of announcing.
const ANNOUNCERS: &[&str] = &["vip_routingtable", "vip_wireguard"];
