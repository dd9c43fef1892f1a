//! Kubespray's variables, from group_vars and inventory files, to the environment that its template would render.
//!
//! Pure: texts in, settings and complaints out. The settings are a layer of the configuration, see [`crate::config`].

mod check;
mod file;
mod jinja;
mod render;
mod scope;
mod table;
mod value;

use std::fmt;

use crate::config::{Notice, Problem, Source};
use render::Facts;
pub(crate) use render::is_torn;
use scope::Scope;

/// A file of variables.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// Its path, for messages.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// A variable of the environment, as Kubespray's template would have it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Setting {
    /// Its name.
    pub(crate) env: &'static str,
    /// Its value.
    pub(crate) text: String,
    /// The variable of Kubespray's that it comes from.
    pub(crate) source: Source,
}

/// What the files come to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// In the order of the table.
    pub(crate) settings: Vec<Setting>,
    /// What is wrong with the files, with a variable or between variables.
    pub(crate) problems: Vec<Problem>,
    /// What is worth knowing.
    pub(crate) notices: Vec<Notice>,
}

/// Reads files of variables. A later file wins over an earlier one, and every file over Kubespray's defaults.
pub(crate) fn read(files: &[Text]) -> Reading {
    let (scope, problems) = Scope::of(files);
    let mut facts = Facts::new(&scope, problems);
    facts.render();
    check::check(&mut facts);
    facts.reading()
}

/// Says it in Kubespray's words: `vip_arp=true` is written `kube_vip_arp_enabled: true` there.
pub(crate) fn reword(problem: &mut Problem) {
    let name = |word: &str| table::of_env(word).map_or_else(|| word.to_owned(), |row| row.name.to_owned());
    let pair = |word: &str| match word.split_once('=') {
        Some((env, value)) if table::of_env(env).is_some() => format!("{}: {value}", name(env)),
        // `address` and `port` are words as well.
        None if word.contains('_') => name(word),
        Some(_) | None => word.to_owned(),
    };
    for place in ["set address", "the VIP in address"] {
        problem.fix = problem.fix.replace(place, &place.replace("address", "kube_vip_address"));
    }
    let words =
        |text: &str, word: &dyn Fn(&str) -> String| text.split(' ').map(word).collect::<Vec<_>>().join(" ");
    problem.fix = words(&problem.fix, &pair);
    if problem.source.is_none() {
        problem.setting = words(&problem.setting, &name);
    }
}

impl Setting {
    /// Whether a file says it, rather than Kubespray's defaults.
    pub(crate) fn is_explicit(&self) -> bool {
        matches!(self.source, Source::Kubespray { place: Some(_), .. })
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = matches!(self.env, "bgp_peerpass" | "bgp_peers");
        let text = if secret { "***" } else { self.text.as_str() };
        write!(f, "{}={text:?} from {}", self.env, self.source)
    }
}

/// How the names begin that are Kubespray's alone.
const PREFIX: &str = "kube_vip_";

#[cfg(test)]
mod tests;
