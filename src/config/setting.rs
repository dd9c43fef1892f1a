//! What a setting is: its names, kind, default and help, tied to the parser of its type.

use std::time::Duration;

use super::value::Wrong;

/// One row of the settings table, without the type of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// Path in our own file, such as `controlPlane.address`.
    pub key: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// The value where nothing else is given, as an operator would write it.
    pub default: Option<&'static str>,
    /// Where there is no constant default: what is used instead.
    pub otherwise: &'static str,
    /// One line for `--help` and the documentation.
    pub help: &'static str,
    /// Environment variables; the first is the one to use.
    pub env: &'static [Name],
    /// Long flags; the first is the one to use.
    pub flags: &'static [Name],
    /// One-letter flag.
    pub short: Option<char>,
    /// What an empty value in a flag or in the file means.
    pub blank: Blank,
}

/// A row of the settings table together with the type of its value.
#[derive(Debug)]
pub(super) struct Setting<T> {
    /// The row.
    pub spec: Spec,
    /// From what an operator writes to a value that cannot be wrong.
    pub parse: fn(&Spec, &str) -> Result<T, Wrong>,
    /// Back to what an operator would write.
    pub show: fn(&T) -> String,
}

/// A name under which a setting can be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// The name, without the dashes of a flag.
    pub text: &'static str,
    /// Whether there is a better one.
    pub status: Status,
    /// What a number without a unit means.
    pub bare: Unit,
}

/// Whether a name is still the one to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// Use it.
    Current,
    /// Accepted, and answered with the name to use instead.
    Deprecated,
}

/// What a duration without a unit is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// Seconds, as nearly everywhere in kube-vip.
    Seconds,
    /// Milliseconds, as in `vip_arpRate`.
    Milliseconds,
}

/// What an empty value means in a flag or in the file. In the environment it always means "not set".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blank {
    /// As if the setting were absent.
    Unset,
    /// Switched off.
    Off,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Go's booleans.
    Switch,
    /// Comma list, or YAML list, of IP addresses.
    Addresses,
    /// `v4[,v6]` prefix lengths, or `auto`.
    Prefixes,
    /// A TCP port.
    Port,
    /// A whole number.
    Count(Counts),
    /// A duration.
    Span(Spans),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A log level, by name or by kube-vip's number.
    Level,
    /// `[host]:port`, or `off`.
    Listen,
    /// A file system path.
    Path,
    /// An http or https URL.
    Url,
    /// A host, `host:port` or URL.
    Server,
    /// The path part of a URL.
    UrlPath,
    /// The name of a network interface.
    Interface,
    /// A Kubernetes object name (DNS subdomain).
    NodeName,
    /// A Kubernetes namespace (DNS label).
    Namespace,
    /// A Lease, `name` or `namespace/name`.
    LeaseName,
    /// Any whole number of a range.
    Number(u32, u32),
    /// Text, as these words describe it.
    Text(&'static str),
    /// A number or a word, as these words describe it.
    NumberOr(&'static str),
    /// A switch, or a number, as these words describe it.
    SwitchOr(&'static str),
    /// Comma list, or YAML list, of what these words describe.
    Texts(&'static str),
    /// Text that is shown nowhere.
    Secret,
    /// A list of mappings, each with these fields.
    Records(Fields),
}

/// The fields of a mapping in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Every field; their keys begin in the mapping.
    pub all: &'static [&'static Spec],
    /// What such a mapping describes.
    pub what: &'static str,
    /// What a text in its place may be, in the environment and in flags.
    pub text: Option<&'static str>,
}

/// Permitted whole numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Smallest, at least one.
    pub min: u32,
    /// Largest.
    pub max: u32,
}

/// Permitted durations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    /// Shortest.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
    /// How finely it may be given.
    pub grain: Grain,
}

/// How finely a duration may be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Grain {
    /// Only whole seconds: what a Lease or the kernel can hold.
    Second,
    /// Milliseconds.
    Millisecond,
}

impl<T> Setting<T> {
    pub(super) const fn new(
        key: &'static str,
        kind: Kind,
        parse: fn(&Spec, &str) -> Result<T, Wrong>,
        show: fn(&T) -> String,
    ) -> Self {
        let spec = Spec {
            key,
            kind,
            default: None,
            otherwise: "",
            help: "",
            env: &[],
            flags: &[],
            short: None,
            blank: Blank::Unset,
        };
        Self { spec, parse, show }
    }

    pub(super) const fn env(mut self, names: &'static [Name]) -> Self {
        self.spec.env = names;
        self
    }

    pub(super) const fn flags(mut self, names: &'static [Name]) -> Self {
        self.spec.flags = names;
        self
    }

    pub(super) const fn short(mut self, letter: char) -> Self {
        self.spec.short = Some(letter);
        self
    }

    pub(super) const fn default(mut self, text: &'static str) -> Self {
        self.spec.default = Some(text);
        self
    }

    pub(super) const fn otherwise(mut self, text: &'static str) -> Self {
        self.spec.otherwise = text;
        self
    }

    pub(super) const fn blank_is_off(mut self) -> Self {
        self.spec.blank = Blank::Off;
        self
    }

    pub(super) const fn help(mut self, text: &'static str) -> Self {
        self.spec.help = text;
        self
    }
}

impl Spec {
    /// The name to recommend: the environment variable, which is what most manifests carry.
    #[must_use]
    pub(super) fn preferred(&self) -> &'static str {
        self.env.first().map_or(self.key, |name| name.text)
    }

    /// Whether a list of plain values may be written for it.
    #[must_use]
    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Addresses | Kind::Texts(_))
    }

    /// Whether its value is shown nowhere.
    #[must_use]
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether its flag alone means true.
    #[must_use]
    pub(super) fn is_switch(&self) -> bool {
        matches!(self.kind, Kind::Switch | Kind::SwitchOr(_))
    }

    /// The first part of the key.
    #[must_use]
    pub(super) fn section(&self) -> &'static str {
        self.key.split('.').next().unwrap_or(self.key)
    }
}

impl Kind {
    /// What may be written, for the documentation.
    #[must_use]
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Switch => "true or false".into(),
            Self::Addresses => "IP addresses, separated by commas; in the file also a list".into(),
            Self::Prefixes => "`v4`, `v6` or `v4,v6` prefix lengths, such as `32,128`; or `auto`".into(),
            Self::Port => "1 to 65535".into(),
            Self::Count(range) => format!("{} to {}", range.min, range.max),
            Self::Span(range) => range.describe(),
            Self::Choice(words) => words.join(", "),
            Self::Level => "error, warn, info, debug, trace; or -8, -4, 0, 4, 8".into(),
            Self::Listen => "`:port`, `address:port`, or `off`".into(),
            Self::Path => "path".into(),
            Self::Url => "http or https URL".into(),
            Self::Server => "host, `host:port` or URL".into(),
            Self::UrlPath => "path that begins with `/`".into(),
            Self::Interface => "interface name".into(),
            Self::NodeName => "name of a Node".into(),
            Self::Namespace => "namespace".into(),
            Self::LeaseName => "`name` or `namespace/name`".into(),
            Self::Number(min, max) => format!("{min} to {max}"),
            Self::Text(words) | Self::NumberOr(words) | Self::SwitchOr(words) => (*words).into(),
            Self::Texts(words) => format!("{words}, separated by commas; in the file also a list"),
            Self::Secret => "text, never shown".into(),
            Self::Records(fields) => match fields.text {
                Some(text) => {
                    format!("a list of mappings, see [below](#{0}), as YAML or JSON; or {text}", fields.what)
                }
                None => format!("a list of mappings, see [below](#{0}), as YAML or JSON", fields.what),
            },
        }
    }
}

impl Spans {
    /// The range in words.
    #[must_use]
    pub(super) fn describe(&self) -> String {
        let grain = match self.grain {
            Grain::Second => ", whole seconds",
            Grain::Millisecond => "",
        };
        let (min, max) = (super::value::show_span(&self.min), super::value::show_span(&self.max));
        format!("{min} to {max}{grain}")
    }
}

/// A name to use.
pub(super) const fn name(text: &'static str) -> Name {
    Name { text, status: Status::Current, bare: Unit::Seconds }
}

/// A name that was replaced by the first in its list.
pub(super) const fn old(text: &'static str) -> Name {
    Name { text, status: Status::Deprecated, bare: Unit::Seconds }
}

/// A name whose bare numbers are milliseconds.
pub(super) const fn millis(text: &'static str) -> Name {
    Name { text, status: Status::Current, bare: Unit::Milliseconds }
}
