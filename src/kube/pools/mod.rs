//! The pools of addresses, wherever they are written down: our settings, kube-vip's ConfigMaps, MetalLB's objects.

mod metallb;

use std::collections::BTreeMap;
use std::fmt;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;
use tracing::{info, warn};
use vipcast_proto::ipam::{Pool, Problem, Severity, Source, kube_vip, own};

use self::metallb::{IpAddressPool, Objects};
use super::access::Connection;
use super::follow::{self, Step, follow};
use super::optional::Optional;
use crate::change::publish;

/// Where pools are looked for.
#[derive(Clone, Debug)]
pub struct PoolSources {
    /// What our own settings say; it may change while we run.
    pub own: watch::Receiver<Vec<own::PoolSpec>>,
    /// ConfigMaps of kube-vip's cloud provider, the one that counts most first.
    pub config_maps: Vec<ConfigMapName>,
    /// Whether MetalLB's `IPAddressPool` objects are used, in all namespaces.
    pub metallb: bool,
}

/// Where a ConfigMap is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConfigMapName {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl ConfigMapName {
    /// Both names that kube-vip's cloud provider uses: that of its documentation and that of its Helm chart.
    #[must_use]
    pub fn both(namespace: &str) -> Vec<Self> {
        ["kubevip", "kube-vip-cloud-provider"]
            .map(|name| Self { namespace: namespace.to_owned(), name: name.to_owned() })
            .into()
    }
}

/// All pools, and everything that is wrong with their descriptions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pools {
    /// Whether every source has been read. While one has not, a pool that comes first may be missing.
    pub complete: bool,
    /// The pools: ours, then kube-vip's, then MetalLB's.
    pub pools: Vec<Pool>,
    /// What is wrong, and where; the rest is used all the same.
    pub faults: Vec<Fault>,
}

/// Something wrong in a description of pools.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where it is written.
    pub source: Source,
    /// The ConfigMap, if it is one.
    pub config_map: Option<ConfigMapName>,
    /// What.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config_map {
            Some(name) => write!(f, "ConfigMap {}/{}: {}", name.namespace, name.name, self.problem),
            None => write!(f, "pools of {}: {}", self.source, self.problem),
        }
    }
}

/// Publishes the pools of all sources, and logs each fault once. What was known last stays while nobody can be asked.
/// Returns only when nobody publishes connections any more.
pub async fn watch_pools(
    sources: PoolSources,
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<Pools>,
) {
    let parts = watch::channel(Parts::new(&sources)).0;
    let merged = || {
        let pools = parts.borrow().merged();
        tell(&out.borrow().faults, &pools.faults);
        publish(&out, pools);
    };
    merged();
    let learn = |source: Place, part: Part| {
        parts.send_modify(|parts| drop(parts.0.insert(source, Some(part))));
        merged();
    };
    let learn = &learn;
    let mut all: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    for (rank, name) in sources.config_maps.iter().enumerate() {
        all.push(Box::pin(config_map(name, connections.clone(), move |part| {
            learn(Place::ConfigMap(rank), part)
        })));
    }
    if sources.metallb {
        all.push(Box::pin(objects(connections.clone(), |part| learn(Place::MetalLb, part))));
    }
    all.push(Box::pin(closed(connections)));
    let mut settings = sources.own.clone();
    while !all.is_empty() {
        tokio::select! {
            Some(()) = all.next() => {}
            Ok(()) = settings.changed() => {
                let part = own(&settings.borrow_and_update());
                learn(Place::Own, part);
            }
        }
    }
}

async fn closed(mut connections: watch::Receiver<Option<Connection>>) {
    while connections.changed().await.is_ok() {}
}

/// The pools of one source, and what is wrong with it.
type Part = (Vec<Pool>, Vec<Fault>);

/// A source, in the order in which pools are tried.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    Own,
    ConfigMap(usize),
    MetalLb,
}

/// What every source has said; `None`: nothing yet.
#[derive(Debug)]
struct Parts(BTreeMap<Place, Option<Part>>);

impl Parts {
    fn new(sources: &PoolSources) -> Self {
        let maps = (0..sources.config_maps.len()).map(Place::ConfigMap);
        let awaited = maps.chain(sources.metallb.then_some(Place::MetalLb)).map(|place| (place, None));
        let ours = (Place::Own, Some(own(&sources.own.borrow())));
        Self(awaited.chain([ours]).collect())
    }

    fn merged(&self) -> Pools {
        let mut merged = Pools { complete: self.0.values().all(Option::is_some), ..Pools::default() };
        for (pools, faults) in self.0.values().flatten() {
            for pool in pools {
                if merged.pools.iter().any(|other| other.id == pool.id) {
                    merged.faults.push(twice(pool));
                } else {
                    merged.pools.push(pool.clone());
                }
            }
            merged.faults.extend(faults.iter().cloned());
        }
        merged
    }
}

fn twice(pool: &Pool) -> Fault {
    let problem = Problem {
        severity: Severity::Error,
        key: pool.id.name.to_string(),
        value: String::new(),
        reason: "another pool of this name was found before it; this one is left out".into(),
        fix: "give each pool a name of its own".into(),
    };
    Fault { source: pool.id.source, config_map: None, problem }
}

fn own(specs: &[own::PoolSpec]) -> Part {
    let mut part = Part::default();
    for spec in specs {
        let (pool, problems) = own::pool(spec);
        part.0.extend(pool);
        part.1.extend(faults(Source::Own, None, problems));
    }
    part
}

fn faults(
    source: Source,
    config_map: Option<&ConfigMapName>,
    problems: Vec<Problem>,
) -> impl Iterator<Item = Fault> {
    problems.into_iter().map(move |problem| Fault { source, config_map: config_map.cloned(), problem })
}

async fn config_map(
    name: &ConfigMapName,
    connections: watch::Receiver<Option<Connection>>,
    learn: impl Fn(Part) + Send,
) {
    let source = |connection: &Connection| follow::Objects::<ConfigMap> {
        api: Api::namespaced(connection.watch.clone(), &name.namespace),
        fields: format!("metadata.name={}", name.name),
    };
    follow("ConfigMap of pools", connections, source, |step| {
        let map = match step {
            Step::Listed(maps) => maps.into_iter().find(|map| map.name_any() == name.name),
            Step::Applied(map) => Some(map),
            Step::Deleted(_) => None,
        };
        let data = map.and_then(|map| map.data).unwrap_or_default();
        let (pools, problems) =
            kube_vip::parse(data.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        learn((pools, faults(Source::KubeVip, Some(name), problems).collect()));
    })
    .await;
}

async fn objects(connections: watch::Receiver<Option<Connection>>, learn: impl Fn(Part) + Send) {
    let source = |connection: &Connection| Optional(Api::<IpAddressPool>::all(connection.watch.clone()));
    let mut known = Objects::default();
    follow("IPAddressPools", connections, source, |step| {
        let (pools, problems) = known.apply(step);
        learn((pools, faults(Source::MetalLb, None, problems).collect()));
    })
    .await;
}

/// What is new, once.
fn tell(before: &[Fault], now: &[Fault]) {
    for fault in now.iter().filter(|fault| !before.contains(fault)) {
        let source = fault.source;
        match fault.problem.severity {
            Severity::Error => warn!(%source, problem = %fault, "part of a pool is left out"),
            Severity::Warning => info!(%source, problem = %fault, "a pool may not be as meant"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::extract::{Query, State};
    use axum::http::{StatusCode, Uri};
    use axum::response::{IntoResponse as _, Response};
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::kube::testing::{Server, connection};

    /// The items of each list by path; a path that is not there is unknown to the server.
    type Script = Arc<Mutex<BTreeMap<&'static str, Vec<Value>>>>;

    async fn answer(
        State(script): State<Script>,
        uri: Uri,
        Query(query): Query<BTreeMap<String, String>>,
    ) -> Response {
        if query.contains_key("watch") {
            return std::future::pending().await;
        }
        let Some(items) = script.lock().unwrap().get(uri.path()).cloned() else {
            return (StatusCode::NOT_FOUND, "404 page not found").into_response();
        };
        let wanted = |item: &Value| {
            let name = format!("metadata.name={}", item["metadata"]["name"].as_str().unwrap());
            query.get("fieldSelector").is_none_or(|selector| *selector == name)
        };
        let items: Vec<_> = items.into_iter().filter(wanted).collect();
        Json(json!({"metadata": {"resourceVersion": "5"}, "items": items})).into_response()
    }

    fn spec(name: &str, address: &str) -> own::PoolSpec {
        own::PoolSpec { name: name.into(), addresses: vec![address.into()], ..own::PoolSpec::default() }
    }

    /// What is published once every source was read.
    async fn complete(script: Script, own: Vec<own::PoolSpec>) -> Pools {
        let server = Server::start(Router::new().fallback(answer).with_state(script)).await;
        let (_connections, receiver) = watch::channel(Some(connection(&server.url(), 1)));
        let (_own, own) = watch::channel(own);
        let sources = PoolSources { own, config_maps: ConfigMapName::both("kube-system"), metallb: true };
        let (out, mut pools) = watch::channel(Pools::default());
        let mut task = JoinSet::new();
        task.spawn(watch_pools(sources, receiver, out));
        let seen = timeout(Duration::from_secs(10), pools.wait_for(|pools| pools.complete)).await;
        seen.expect("in time").unwrap().clone()
    }

    fn names(pools: &Pools) -> Vec<String> {
        pools.pools.iter().map(|pool| pool.id.to_string()).collect()
    }

    #[tokio::test]
    async fn pools_of_every_source_are_there_in_their_order_and_of_one_name_only_the_first() {
        let map = |name: &str, cidr: &str| json!({"metadata": {"name": name, "resourceVersion": "5"}, "data": {"cidr-global": cidr}});
        let pool = json!({
            "metadata": {"name": "first", "namespace": "metallb-system", "resourceVersion": "5"},
            "spec": {"addresses": ["203.0.113.0/24"]},
        });
        let bad = json!({
            "metadata": {"name": "bad", "namespace": "metallb-system", "resourceVersion": "5"},
            "spec": {"addresses": 7},
        });
        let maps = vec![map("kubevip", "192.0.2.0/24"), map("kube-vip-cloud-provider", "198.51.100.0/24")];
        let script = Script::default();
        script.lock().unwrap().insert("/api/v1/namespaces/kube-system/configmaps", maps);
        script.lock().unwrap().insert("/apis/metallb.io/v1beta1/ipaddresspools", vec![bad, pool]);
        let pools = complete(script, vec![spec("lab", "192.0.2.7")]).await;
        assert_eq!(names(&pools), ["lab (vipcast)", "cidr-global (kube-vip)", "first (MetalLB)"]);
        let faults: Vec<_> = pools.faults.iter().map(|it| (it.source, &*it.problem.key)).collect();
        assert_eq!(faults, [(Source::KubeVip, "cidr-global"), (Source::MetalLb, "bad.spec")]);
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_config_map_is_told_with_its_name_and_key() {
        let data = json!({"cidr-web": "0.0.0.0/32", "range-lab": "192.0.2.1-192.0.2.9,x"});
        let map = json!({"metadata": {"name": "kubevip", "resourceVersion": "5"}, "data": data});
        let script = Script::default();
        script.lock().unwrap().insert("/api/v1/namespaces/kube-system/configmaps", vec![map]);
        let pools = complete(script, vec![]).await;
        let told: Vec<_> = pools.faults.iter().map(ToString::to_string).collect();
        let forms = "write networks (192.0.2.0/24) or ranges (192.0.2.10-192.0.2.20), separated by commas";
        let expected = [
            "ConfigMap kube-system/kubevip: cidr-web = \"0.0.0.0/32\": addresses from DHCP are not supported; \
             write the addresses that may be given"
                .to_owned(),
            format!(
                "ConfigMap kube-system/kubevip: range-lab = \"x\": neither a network (192.0.2.0/24), nor a range \
                 (192.0.2.10-192.0.2.20), nor an address; {forms}"
            ),
        ];
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn what_the_cluster_does_not_have_is_not_waited_for() {
        let script = Script::default();
        script.lock().unwrap().insert("/api/v1/namespaces/kube-system/configmaps", vec![]);
        let pools = complete(script, vec![]).await;
        assert_eq!(pools, Pools { complete: true, ..Pools::default() });
    }

    #[test]
    fn a_source_that_was_not_read_yet_leaves_the_pools_incomplete() {
        let (_own, own) = watch::channel(vec![spec("lab", "192.0.2.7"), spec("lab", "x")]);
        let parts = Parts::new(&PoolSources { own, config_maps: vec![], metallb: true });
        let pools = parts.merged();
        assert_eq!((pools.complete, names(&pools)), (false, vec!["lab (vipcast)".to_owned()]));
        assert_eq!(pools.faults.len(), 2);
    }
}
