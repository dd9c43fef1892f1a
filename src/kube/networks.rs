//! From which networks the cluster takes cluster IPs, where it says so (`ServiceCIDR`, Kubernetes 1.33 and later).

use std::collections::BTreeMap;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;

use super::access::Connection;
use super::follow::{Step, follow};
use super::optional::Optional;
use crate::change::publish;

/// Publishes the networks of all ServiceCIDRs, sorted, each once; none where the cluster does not know the kind. What
/// was known last stays while nobody can be asked. Returns only when nobody publishes connections any more.
pub async fn watch_service_networks(
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<Vec<IpNet>>,
) {
    let source = |connection: &Connection| Optional(Api::<ServiceCIDR>::all(connection.watch.clone()));
    let mut known = BTreeMap::new();
    follow("service networks", connections, source, |step| {
        learn(&mut known, step);
        let mut all: Vec<IpNet> = known.values().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        publish(&out, all);
    })
    .await;
}

fn learn(known: &mut BTreeMap<String, Vec<IpNet>>, step: Step<ServiceCIDR>) {
    match step {
        Step::Listed(all) => *known = all.iter().map(|it| (it.name_any(), networks(it))).collect(),
        Step::Applied(it) => drop(known.insert(it.name_any(), networks(&it))),
        Step::Deleted(it) => drop(known.remove(&it.name_any())),
    }
}

/// The server admits only networks; what is none anyway is left out.
fn networks(object: &ServiceCIDR) -> Vec<IpNet> {
    let texts = object.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten());
    texts.filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(name: &str, cidrs: &[&str]) -> ServiceCIDR {
        let object = serde_json::json!({"metadata": {"name": name}, "spec": {"cidrs": cidrs}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn networks_come_and_go_with_their_objects() {
        let mut known = BTreeMap::new();
        let nets = |known: &BTreeMap<String, Vec<IpNet>>| {
            known.values().flatten().map(ToString::to_string).collect::<Vec<_>>()
        };
        learn(&mut known, Step::Listed(vec![cidr("kubernetes", &["10.96.0.0/16", "fd00:10:96::/112", "x"])]));
        assert_eq!(nets(&known), ["10.96.0.0/16", "fd00:10:96::/112"]);
        learn(&mut known, Step::Applied(cidr("more", &["10.97.0.0/16"])));
        learn(&mut known, Step::Deleted(cidr("kubernetes", &[])));
        assert_eq!(nets(&known), ["10.97.0.0/16"]);
        learn(&mut known, Step::Listed(vec![]));
        assert_eq!(nets(&known), [""; 0]);
    }
}
