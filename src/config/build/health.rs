//! The health gate.

use hyper::Uri;

use super::rebuilt;
use crate::config::reader::{Reader, Settings};
use crate::config::table as t;
use crate::config::types::Health;

pub(super) fn health(r: &mut Reader<'_>) -> Option<Option<Health>> {
    let enabled = r.value(&t::HEALTH);
    let address = r.optional(&t::HEALTH_ADDRESS);
    let path = r.value(&t::HEALTH_PATH);
    let interval = r.value(&t::HEALTH_INTERVAL);
    let timeout = r.value(&t::HEALTH_TIMEOUT);
    let failure_threshold = r.value(&t::HEALTH_FAILURES);
    let success_threshold = r.value(&t::HEALTH_SUCCESSES);
    let ca_path = r.optional(&t::HEALTH_CA);
    let (address, path) = (address?, path?);
    let path = probed_path(r, address.as_ref(), path)?;
    let health = Health {
        address: address.map(without_path),
        path,
        interval: interval?,
        timeout: timeout?,
        failure_threshold: failure_threshold?,
        success_threshold: success_threshold?,
        ca_path: ca_path?,
    };
    Some(enabled?.then_some(health))
}

/// kube-vip has the path in the address.
fn probed_path(r: &mut Reader<'_>, address: Option<&Uri>, path: String) -> Option<String> {
    let within = address.and_then(Uri::path_and_query).map(|within| within.as_str().to_owned());
    let Some(within) = within.filter(|within| within != "/" && *within != path) else {
        return Some(path);
    };
    if r.is_explicit(&t::HEALTH_PATH.spec) {
        let address = r.name(&t::HEALTH_ADDRESS.spec);
        r.blame(&t::HEALTH_PATH.spec, format!("contradicts the path in {address}"), "keep one of the two");
        return None;
    }
    r.derived(&t::HEALTH_PATH.spec, within.clone(), "the path in health.address");
    Some(within)
}

fn without_path(uri: Uri) -> Uri {
    match uri.authority() {
        Some(authority) => rebuilt(&uri, authority.to_string()),
        None => uri,
    }
}
