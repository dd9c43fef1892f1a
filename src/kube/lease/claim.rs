//! What stands in a Lease of a Service beside who holds it: which addresses that is about, and who may remove it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::time::timeout;
use vipcast_proto::election::Intent;

use super::LeaseName;
use crate::kube::access::Connection;
use crate::kube::failure::Failure;

/// The addresses that the holder announces by this Lease, or is about to, with commas.
pub const ADDRESSES: &str = "vipcast.io/addresses";
/// The label of a Lease that was made for a Service, and may be removed with it. It names the namespace of the Lease of all
/// Services: who has another one does not know these Services.
pub const MARK: &str = "vipcast.io/services";

/// How a claim is written.
#[must_use]
pub fn render_claim<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Which addresses the holder of `lease` says are its own. What is no address says nothing.
#[must_use]
pub fn addresses(lease: &Lease) -> BTreeSet<IpAddr> {
    let text = lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ADDRESSES));
    text.into_iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok()).collect()
}

/// Whether `lease` was made for a Service by those whose Leases are in `namespace`.
#[must_use]
pub fn is_marked(lease: &Lease, namespace: &str) -> bool {
    lease.metadata.labels.as_ref().and_then(|labels| labels.get(MARK)).is_some_and(|mark| mark == namespace)
}

/// Removes the Lease if it still has this version.
///
/// # Errors
///
/// It has another one (409), or it could not be removed.
pub async fn delete_lease(
    connection: &Connection,
    name: &LeaseName,
    version: String,
    limit: Duration,
) -> Result<(), Failure> {
    let api = Api::<Lease>::namespaced(connection.lease.clone(), &name.namespace);
    let preconditions = Preconditions { resource_version: Some(version), uid: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match timeout(limit, api.delete(&name.name, &params)).await {
        Ok(answer) => answer.map(drop).map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Takes what the holder said was its own out of a Lease that is still just as `lease`.
///
/// # Errors
///
/// It is another one by now (409), or it could not be written.
pub async fn silence_lease(connection: &Connection, lease: &Lease, limit: Duration) -> Result<(), Failure> {
    let name = LeaseName::of(lease);
    let api = Api::<Lease>::namespaced(connection.lease.clone(), &name.namespace);
    let mut silent = lease.clone();
    say(&mut silent, Intent::Release, "");
    match timeout(limit, api.replace(&name.name, &PostParams::default(), &silent)).await {
        Ok(answer) => answer.map(drop).map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Who gives a Lease back has no addresses any more.
pub(super) fn say(lease: &mut Lease, intent: Intent, claim: &str) {
    let claim = Some(claim).filter(|claim| !claim.is_empty() && intent != Intent::Release);
    let annotations = lease.metadata.annotations.get_or_insert_default();
    match claim {
        Some(claim) => annotations.insert(ADDRESSES.to_owned(), claim.to_owned()),
        None => annotations.remove(ADDRESSES),
    };
    if annotations.is_empty() {
        lease.metadata.annotations = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_is_read_back_and_goes_with_the_release() {
        let claimed: BTreeSet<IpAddr> =
            [[192, 0, 2, 7].into(), "2001:db8::7".parse::<IpAddr>().unwrap()].into();
        let mut lease = Lease::default();
        say(&mut lease, Intent::Claim { transitions: 0 }, &render_claim(&claimed));
        assert_eq!(addresses(&lease), claimed);
        say(&mut lease, Intent::Release, &render_claim(&claimed));
        assert_eq!(lease, Lease::default());
        lease.metadata.annotations = Some([(ADDRESSES.to_owned(), "192.0.2.7, web,".to_owned())].into());
        assert_eq!(addresses(&lease), [[192, 0, 2, 7].into()].into());
    }

    #[test]
    fn a_mark_is_that_of_those_who_know_the_services() {
        let mut lease = Lease::default();
        assert!(!is_marked(&lease, "kube-system"));
        lease.metadata.labels = Some([(MARK.to_owned(), "kube-system".to_owned())].into());
        assert_eq!(["kube-system", "vips"].map(|namespace| is_marked(&lease, namespace)), [true, false]);
    }
}
