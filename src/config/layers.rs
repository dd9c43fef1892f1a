//! Flags, environment and file side by side: who says what about a setting, and who speaks of unknown ones.

use std::collections::BTreeMap;
use std::fmt;

use super::file;
use super::foreign::{self, Foreign, Verdict};
use super::hint;
use super::problem::{Notice, Problem};
use super::secret::MASK;
use super::setting::{Blank, Kind, Name, Spec, Status, Unit};
use super::source::Source;
use super::table;
use super::tree::Tree;
use super::value::is_unset;
use super::walk::Entries;
use crate::kubespray;

/// The flags as given: long names without dashes, and their values.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Flags(pub Vec<(String, String)>);

impl Flags {
    /// The files of Kubespray's variables, in order.
    pub(super) fn kubespray_files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| name == FROM_KUBESPRAY).map(|(_, path)| path.as_str())
    }
}

/// Our own file.
pub(super) enum Document {
    /// None was named.
    None,
    /// Its path and text.
    Text { path: String, text: String },
    /// One was named, and cannot be read.
    Unreadable(Box<Problem>),
}

/// Files of Kubespray's variables, in order.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Those that could be read.
    pub(super) files: Vec<kubespray::Text>,
    /// What is wrong with the others.
    pub(super) unreadable: Vec<Problem>,
}

/// What one layer says about a setting.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Given {
    pub(super) text: String,
    /// In place of the text, where our own file has a list of mappings.
    pub(super) tree: Option<Tree>,
    pub(super) source: Source,
    pub(super) bare: Unit,
}

/// Everything that was given.
pub(super) struct Layers {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    /// Nothing where no files were named.
    kubespray: Vec<kubespray::Setting>,
    path: String,
    file: Entries,
    /// Whether everything could be read, so that what is absent is known to be absent.
    pub(super) complete: bool,
}

impl Layers {
    /// Takes everything in. Problems are those of the file's form.
    pub(super) fn new(
        flags: &Flags,
        env: impl Iterator<Item = (String, String)>,
        file: Document,
    ) -> (Self, Vec<Problem>) {
        let (path, read) = match file {
            Document::None => (String::new(), Ok((Entries::new(), Vec::new()))),
            Document::Text { path, text } => {
                let read = file::read(&path, &text);
                (path, read)
            }
            Document::Unreadable(problem) => (String::new(), Err(problem)),
        };
        let complete = read.is_ok();
        let (file, problems) = read.unwrap_or_else(|problem| (Entries::new(), vec![*problem]));
        let flags = flags.0.iter().filter(|(name, _)| name != FROM_KUBESPRAY).cloned().collect();
        (Self { flags, env: env.collect(), kubespray: Vec::new(), path, file, complete }, problems)
    }

    /// Takes in Kubespray's variables, and says what is wrong with them and worth knowing about them.
    pub(super) fn take_kubespray(&mut self, inventory: Inventory) -> (Vec<Problem>, Vec<Notice>) {
        let mut problems = inventory.unreadable;
        if inventory.files.is_empty() {
            self.complete &= problems.is_empty();
            return (problems, Vec::new());
        }
        if !self.path.is_empty() {
            let reason = "has a say in the same settings as the configuration file";
            let fix =
                "use one of them; what Kubespray has no variable for can be a flag or in the environment";
            problems.push(Problem::plain(format!("--{FROM_KUBESPRAY}"), reason, fix));
        }
        let reading = kubespray::read(&inventory.files);
        problems.extend(reading.problems);
        self.complete &= problems.is_empty();
        self.kubespray = reading.settings;
        (problems, reading.notices)
    }

    /// Says it in the words of whoever wrote it.
    pub(super) fn reword(&self, problem: &mut Problem) {
        if !self.kubespray.is_empty() {
            kubespray::reword(problem);
        }
    }

    /// What counts: the first of flag, environment, Kubespray's variables and file that says anything. Names of one layer
    /// that contradict each other are a problem.
    pub(super) fn given(&self, spec: &'static Spec) -> (Option<Given>, Vec<Problem>) {
        let mut problems = Vec::new();
        let flag = agree(spec, self.named_flags(spec), &mut problems);
        let env = agree(spec, self.named_env(spec), &mut problems);
        let kubespray = self.of_kubespray(spec);
        let file = self.file.get(spec.key).and_then(|entry| {
            let source = Source::File { path: self.path.clone(), key: spec.key.to_owned(), line: entry.line };
            let text = match &entry.tree {
                Some(_) => String::new(),
                None => text_of(spec, entry.text.as_deref()?)?,
            };
            Some(Given { text, tree: entry.tree.clone(), source, bare: Unit::Seconds })
        });
        (flag.or(env).or(kubespray).or(file), problems)
    }

    /// A variable that is not a setting of ours, such as `KUBECONFIG`.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Names of kube-vip's that set nothing here.
    pub(super) fn foreign(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (name, text) in &self.flags {
            if let Some(row) = Foreign::with_flag(name) {
                let dashed = format!("--{name}");
                verdict.add(row, &dashed, text, Source::Flag { name: dashed.clone(), instead: None });
            }
        }
        for (name, text) in &self.env {
            if let Some(row) = Foreign::with_env(name) {
                verdict.add(row, name, text, Source::Environment { name: name.clone(), instead: None });
            }
        }
        for setting in self.kubespray.iter().filter(|setting| setting.is_explicit()) {
            if let (Some(row), Some(name)) = (Foreign::with_env(setting.env), setting.source.name()) {
                verdict.add(row, name, &setting.text, setting.source.clone());
            }
        }
        verdict.finish();
        verdict
    }

    /// A hint for each variable that looks like one of ours and is not.
    pub(super) fn unknown(&self) -> impl Iterator<Item = Notice> {
        let known = |name: &str| table::with_env(name).is_some() || Foreign::with_env(name).is_some();
        self.env.keys().filter(move |name| looks_like_ours(name) && !known(name)).map(move |name| {
            let text = hint::unknown(name, known_env());
            let notice = Notice::warning(name.clone(), text);
            if name.chars().any(char::is_uppercase) && known(&name.to_lowercase()) {
                return Notice { text: format!("{} Names are lower case", notice.text), ..notice };
            }
            notice
        })
    }

    fn of_kubespray(&self, spec: &Spec) -> Option<Given> {
        let named = |setting: &&kubespray::Setting| spec.env.iter().any(|name| name.text == setting.env);
        let setting = self.kubespray.iter().find(named)?;
        let (text, source) = (setting.text.clone(), setting.source.clone());
        Some(Given { text, tree: None, source, bare: Unit::Seconds })
    }

    fn named_flags<'a>(&'a self, spec: &'static Spec) -> impl Iterator<Item = Given> + use<'a> {
        let instead = first(spec.flags).map(|name| format!("--{name}"));
        spec.flags.iter().filter_map(move |name| {
            let text = text_of(spec, self.flags.get(name.text)?)?;
            let instead = instead.clone().filter(|_| name.status == Status::Deprecated);
            Some(Given {
                text,
                tree: None,
                source: Source::Flag { name: format!("--{}", name.text), instead },
                bare: name.bare,
            })
        })
    }

    fn named_env<'a>(&'a self, spec: &'static Spec) -> impl Iterator<Item = Given> + use<'a> {
        let instead = first(spec.env).map(str::to_owned);
        spec.env.iter().filter_map(move |name| {
            let text = trimmed(spec, self.env.get(name.text).filter(|text| !is_unset(text))?);
            let instead = instead.clone().filter(|_| name.status == Status::Deprecated);
            Some(Given {
                text,
                tree: None,
                source: Source::Environment { name: name.text.to_owned(), instead },
                bare: name.bare,
            })
        })
    }
}

impl Given {
    /// The text with the unit that its name implies.
    pub(super) fn with_unit(&self) -> String {
        let bare = !self.text.is_empty() && self.text.bytes().all(|b| b.is_ascii_digit());
        match self.bare {
            Unit::Milliseconds if bare => format!("{}ms", self.text),
            Unit::Milliseconds | Unit::Seconds => self.text.clone(),
        }
    }
}

/// The value of a flag or of the file, where it says anything.
fn text_of(spec: &Spec, text: &str) -> Option<String> {
    match spec.blank {
        Blank::Off if text.trim().is_empty() => Some("off".to_owned()),
        Blank::Off | Blank::Unset if is_unset(text) => None,
        Blank::Off | Blank::Unset => Some(trimmed(spec, text)),
    }
}

/// A password may begin or end with a space.
fn trimmed(spec: &Spec, text: &str) -> String {
    if spec.is_secret() { text.to_owned() } else { text.trim().to_owned() }
}

/// The first; every other one has to say the same.
fn agree(spec: &Spec, mut named: impl Iterator<Item = Given>, problems: &mut Vec<Problem>) -> Option<Given> {
    let first = named.next()?;
    for other in named.filter(|other| other.text != first.text) {
        let (name, rival) =
            (other.source.name().unwrap_or_default(), first.source.name().unwrap_or_default());
        let problem = Problem::plain(name, format!("contradicts {rival}"), format!("keep only {rival}"));
        let value = Some(if hides(spec) { MASK.to_owned() } else { other.text });
        problems.push(Problem { value, source: Some(other.source.clone()), ..problem });
    }
    Some(first)
}

/// Whether there may be a secret in its text.
fn hides(spec: &Spec) -> bool {
    spec.is_secret() || matches!(spec.kind, Kind::Records(_))
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |name: &str| {
            let spec = table::ALL.iter().find(|spec| spec.flags.iter().any(|flag| flag.text == name));
            spec.is_none_or(|spec| hides(spec))
        };
        let pairs = self.0.iter();
        f.debug_list()
            .entries(pairs.map(|(name, text)| (name, if hidden(name) { MASK } else { text })))
            .finish()
    }
}

/// Passwords may be in the texts of a layer.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// Passwords may be in every layer.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").finish_non_exhaustive()
    }
}

fn first(names: &'static [Name]) -> Option<&'static str> {
    names.first().map(|name| name.text)
}

fn known_env() -> impl Iterator<Item = &'static str> {
    let ours = table::ALL.iter().flat_map(|spec| spec.env.iter().map(|name| name.text));
    ours.chain(foreign::ALL.iter().flat_map(|row| row.env.iter().copied()))
}

fn looks_like_ours(name: &str) -> bool {
    // Upper case: only where it is a name of ours letter for letter, because Kubernetes itself puts
    // variables such as VIP_SERVICE_HOST into a container.
    let lower = name.to_lowercase();
    let exact = lower != name && known_env().any(|known| known == lower && known.contains('_'));
    exact || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The flag that names files of Kubespray's variables, any number of them.
pub(super) const FROM_KUBESPRAY: &str = "from-kubespray";

const PREFIXES: &[&str] = &[
    "vip_",
    "cp_",
    "svc_",
    "bgp_",
    "mpbgp_",
    "annotat",
    "lb_",
    "egress_",
    "prometheus_",
    "control_plane_",
    "vipcast_",
];
