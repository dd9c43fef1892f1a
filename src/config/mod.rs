//! Flags, environment and file become one validated configuration.
//!
//! [`resolve`] is pure; [`load`] reads the environment, the file and the host for it. A wrong value is
//! never corrected: everything that is wrong is reported at once, see [`Problems`].

pub mod bgp;
mod build;
mod file;
mod flags;
mod foreign;
pub(crate) mod hint;
mod layers;
mod load;
pub mod print;
mod problem;
mod reader;
mod record;
mod secret;
pub mod services;
mod setting;
mod source;
mod table;
mod tree;
mod types;
mod value;
mod walk;

pub use flags::RunArgs;
pub use layers::Flags;
pub use load::{config_file, load, load_for};
pub use problem::{Notice, Problem, Problems, Severity};
pub use secret::{NoPassword, Password, Secret, SecretKey};
pub use source::Source;
pub use types::{
    Admin, Announced, Config, ControlPlane, Election, Health, KubernetesAccess, Layer2, Listen, Log,
    LogFormat, LogLevel, WireCheck,
};

pub(crate) use value::{is_label, is_subdomain, is_unset};

use layers::{Document, Inventory, Layers};
use reader::Reader;

/// What is known of the host without asking an operator.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostFacts {
    /// The kernel's hostname.
    pub hostname: String,
    /// The namespace of the service account, where the process runs in a Pod that has one.
    pub service_account_namespace: Option<String>,
}

/// What the settings are wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// For the daemon: something has to be announced.
    Run,
    /// For what surrounds the daemon, such as its permissions: nothing has to be announced.
    Surroundings,
}

/// A configuration that can be used, and how it came about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// What to do.
    pub config: Config,
    /// What is worth a line in the log.
    pub notices: Vec<Notice>,
    /// Every setting in the order of the documentation, with its value and where that came from.
    pub sources: Vec<Effective>,
}

/// What a setting came to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    /// The key in our file.
    pub key: &'static str,
    /// The value as an operator would write it; `None`: found at run time.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// As it was given, where that may not be shown.
    pub(super) secret: Option<Secret>,
}

impl Effective {
    /// Whether it means the same as at another time, wherever it came from.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        (self.key, &self.value, &self.secret) == (other.key, &other.value, &other.secret)
    }

    /// Whether there is something in it that may not be shown.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        self.secret.is_some()
    }
}

/// One validated configuration from flags, environment and file (path and text), in this precedence.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn resolve(
    flags: &Flags,
    env: impl Iterator<Item = (String, String)>,
    file: Option<(String, String)>,
    host: &HostFacts,
) -> Result<Resolved, Problems> {
    let file = file.map_or(Document::None, |(path, text)| Document::Text { path, text });
    resolve_document(flags, env, file, Inventory::default(), host, Purpose::Run)
}

fn resolve_document(
    flags: &Flags,
    env: impl Iterator<Item = (String, String)>,
    file: Document,
    kubespray: Inventory,
    host: &HostFacts,
    purpose: Purpose,
) -> Result<Resolved, Problems> {
    let (mut layers, mut problems) = Layers::new(flags, env, file);
    let (wrong, mut notices) = layers.take_kubespray(kubespray);
    problems.extend(wrong);
    let mut reader = Reader::new(&layers, problems, purpose);
    let config = build::config(&mut reader, host);
    notices.extend(unique(std::mem::take(&mut reader.notices)));
    notices.extend(layers.unknown());
    let mut problems = unique(std::mem::take(&mut reader.problems));
    problems.iter_mut().for_each(|problem| layers.reword(problem));
    match config {
        Some(config) if problems.is_empty() => Ok(Resolved { config, notices, sources: reader.effective() }),
        Some(_) | None => Err(Problems { problems, notices }),
    }
}

/// A setting that two subsystems read is wrong once.
fn unique<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut unique = Vec::new();
    for one in all {
        if !unique.contains(&one) {
            unique.push(one);
        }
    }
    unique
}

#[cfg(test)]
mod tests;
