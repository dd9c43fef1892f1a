//! Fetches what [`resolve`](super::resolve) needs from the process and the host. No other file reads the environment.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::layers::{Document, FROM_KUBESPRAY, Flags, Inventory, Layers};
use super::problem::{Problem, Problems};
use super::{HostFacts, Purpose, Resolved, resolve_document, table};
use crate::kubespray::Text;

/// The configuration of this process.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn load(flags: &Flags) -> Result<Resolved, Problems> {
    load_for(flags, Purpose::Run, &host())
}

/// The same for another purpose, or for another host than this one.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn load_for(flags: &Flags, purpose: Purpose, host: &HostFacts) -> Result<Resolved, Problems> {
    // Not `vars`: it panics on a value that is not UTF-8. Such a value is refused when it is parsed.
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let env: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    let file = file(flags, &env).unwrap_or_else(Document::Unreadable);
    resolve_document(flags, env.into_iter(), file, inventory(flags), host, purpose)
}

/// The configuration file of this process, where one was named.
#[must_use]
pub fn config_file(flags: &Flags) -> Option<PathBuf> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let env: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    let (layers, _) = Layers::new(flags, env.into_iter(), Document::None);
    layers.given(&table::CONFIG_FILE.spec).0.map(|given| given.text.into())
}

/// The files of Kubespray's variables that the flags name.
fn inventory(flags: &Flags) -> Inventory {
    let mut inventory = Inventory::default();
    for path in flags.kubespray_files() {
        match read(Path::new(path)) {
            Ok(text) => inventory.files.push(Text { path: path.to_owned(), text }),
            Err(reason) => {
                let fix = "name readable YAML files of Kubespray's variables";
                let problem = Problem::plain(format!("--{FROM_KUBESPRAY}"), reason, fix);
                inventory.unreadable.push(Problem { value: Some(path.to_owned()), ..problem });
            }
        }
    }
    inventory
}

/// Path and text of our own file, where one was named.
fn file(flags: &Flags, env: &[(String, String)]) -> Result<Document, Box<Problem>> {
    let (layers, _) = Layers::new(flags, env.iter().cloned(), Document::None);
    let (given, contradictions) = layers.given(&table::CONFIG_FILE.spec);
    if let Some(contradiction) = contradictions.into_iter().next() {
        return Err(Box::new(contradiction));
    }
    let Some(given) = given else {
        return Ok(Document::None);
    };
    match read(Path::new(&given.text)) {
        Ok(text) => Ok(Document::Text { path: given.text, text }),
        Err(reason) => {
            let setting = given.source.name().unwrap_or("config").to_owned();
            let problem = Problem::plain(setting, reason, "name a readable YAML or JSON file");
            Err(Box::new(Problem { value: Some(given.text), source: Some(given.source), ..problem }))
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_MAX { Err(format!("larger than {FILE_MAX} bytes")) } else { Ok(text) }
}

fn host() -> HostFacts {
    let line = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    HostFacts {
        hostname: line("/proc/sys/kernel/hostname").unwrap_or_default(),
        service_account_namespace: line("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
            .filter(|namespace| !namespace.is_empty()),
    }
}

/// Far more than every setting with a page of comments.
const FILE_MAX: u64 = 1 << 20;
