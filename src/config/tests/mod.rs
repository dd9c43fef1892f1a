//! The configuration as a whole.

mod bgp;
mod bgp_notices;
mod bgp_refused;
mod documents;
mod kube_vip;
mod kubespray;
mod peers;
mod services;
mod services_refused;
mod sources;
mod values;

use super::{Config, Flags, HostFacts, Problems, Resolved, resolve};

/// What is enough.
const MINIMUM: [(&str, &str); 3] = [("address", "192.0.2.10"), ("vip_arp", "true"), ("cp_enable", "true")];

fn host() -> HostFacts {
    HostFacts { hostname: "cp1".into(), service_account_namespace: None }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The minimum, and more variables, which win.
fn with(more: &[(&str, &str)]) -> Result<Resolved, Problems> {
    let env = pairs(&MINIMUM).into_iter().chain(pairs(more));
    resolve(&Flags::default(), env, None, &host())
}

fn config(more: &[(&str, &str)]) -> Config {
    with(more).unwrap().config
}

/// What is complained of, one line each.
fn complaints(more: &[(&str, &str)]) -> Vec<String> {
    with(more).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

fn notices(more: &[(&str, &str)]) -> Vec<String> {
    with(more).unwrap().notices.iter().map(ToString::to_string).collect()
}

fn file(text: &str) -> Result<Resolved, Problems> {
    resolve(&Flags::default(), std::iter::empty(), Some(("vipcast.yaml".into(), text.into())), &host())
}
