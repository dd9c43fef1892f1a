//! `kube-vip.io/vipHost`: which node announces a Service, written by that node when it begins, and taken away by it when nobody has
//! followed. One request for each move, at its own pace; nothing is announced later or sooner for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};
use vipcast_proto::ipam::ServiceKey;
use vipcast_proto::service::VIP_HOST;

use super::Services;
use crate::change::Told;
use crate::clock;
use crate::kube::access::Connection;
use crate::kube::failure::Failure;
use crate::placement::Grants;

/// Where it is known what this node announces, and whom to tell.
#[derive(Debug)]
pub struct HostWires {
    /// What this node may announce.
    pub grants: watch::Receiver<Grants>,
    /// The newest connection to an API server.
    pub connections: watch::Receiver<Option<Connection>>,
}

/// What is to be written, and what is under way.
#[derive(Debug)]
pub(super) struct Hosts {
    wires: HostWires,
    /// What was announced when it was looked at last.
    announced: BTreeSet<IpAddr>,
    /// When to look at a Service.
    due: BTreeMap<ServiceKey, Instant>,
    /// Not before.
    next_at: Instant,
    writes: JoinSet<(ServiceKey, Result<(), Failure>)>,
    trouble: Told<String>,
}

impl Hosts {
    pub(super) fn new(wires: HostWires) -> Self {
        Self {
            wires,
            announced: BTreeSet::new(),
            due: BTreeMap::new(),
            next_at: clock::now(),
            writes: JoinSet::new(),
            trouble: Told::default(),
        }
    }

    /// Cancel safe.
    async fn ready(&mut self) -> Ready {
        let first = self.due.values().min().map(|&at| at.max(self.next_at));
        let at = first.filter(|_| self.writes.len() < AT_ONCE);
        tokio::select! {
            Ok(()) = self.wires.grants.changed() => Ready::Grants,
            Some(Ok((key, result))) = self.writes.join_next() => Ready::Written(key, result),
            () = clock::until(at) => Ready::Due,
        }
    }

    /// Returns what this node announces now and did not before, and the other way round.
    fn turned(&mut self) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let grants = self.wires.grants.borrow_and_update().clone();
        // Nearly always it was only renewed.
        if grants.keys().eq(&self.announced) {
            return (vec![], vec![]);
        }
        let now: BTreeSet<IpAddr> = grants.keys().copied().collect();
        let begun = now.difference(&self.announced).copied().collect();
        let ended = self.announced.difference(&now).copied().collect();
        self.announced = now;
        (begun, ended)
    }

    fn look(&mut self, key: ServiceKey, at: Instant) {
        self.due.insert(key, at);
    }

    fn start(&mut self, key: ServiceKey, request: Request<Vec<u8>>) {
        let connection = self.wires.connections.borrow().clone();
        self.writes.spawn(async move {
            let result = match connection {
                Some(connection) => send(&connection, request).await,
                None => Err(Failure::NoServer),
            };
            (key, result)
        });
    }

    fn written(&mut self, key: ServiceKey, result: Result<(), Failure>) {
        let Err(failure) = result else {
            self.trouble.is_over();
            return;
        };
        match failure.code() {
            // The Service is gone, or another node has written meanwhile.
            Some(404 | 409 | 422) => {}
            Some(401 | 403) => {
                if self.trouble.is_news(failure.to_string()) {
                    warn!(error = %failure, "kube-vip.io/vipHost cannot be written");
                }
                self.look(key, clock::now() + REFUSED);
            }
            Some(_) | None => {
                debug!(service = %key, error = %failure, "{VIP_HOST} not written");
                self.look(key, clock::now() + FAILED);
            }
        }
    }
}

/// What has to be done.
#[derive(Debug)]
pub(super) enum Ready {
    /// Look at what is announced.
    Grants,
    /// A request has ended.
    Written(ServiceKey, Result<(), Failure>),
    /// A Service is to be looked at.
    Due,
}

/// Something to be done, where anything is.
pub(super) async fn ready(hosts: Option<&mut Hosts>) -> Ready {
    match hosts {
        Some(hosts) => hosts.ready().await,
        None => std::future::pending().await,
    }
}

impl Services {
    pub(super) fn write_hosts(&mut self, ready: Ready) {
        match ready {
            Ready::Grants => self.moved_hosts(),
            Ready::Written(key, result) => {
                if let Some(hosts) = &mut self.hosts {
                    hosts.written(key, result);
                }
            }
            Ready::Due => self.write_due(),
        }
    }

    /// Whoever begins says so at once; whoever ends gives others the time to say so.
    fn moved_hosts(&mut self) {
        let Some(hosts) = &mut self.hosts else { return };
        let now = clock::now();
        let (begun, ended) = hosts.turned();
        let moments = begun.into_iter().map(|address| (address, now));
        for (address, at) in moments.chain(ended.into_iter().map(|address| (address, now + OTHERS))) {
            let owners = self.catalog.plan(&address).map(|plan| plan.owners.as_slice()).unwrap_or_default();
            owners.iter().for_each(|owner| hosts.look(owner.key.clone(), at));
        }
    }

    /// These Services are not as they were: one may have come to an address that is announced already.
    pub(super) fn look_at_hosts(&mut self, keys: &BTreeSet<ServiceKey>) {
        if let Some(hosts) = &mut self.hosts {
            keys.iter().for_each(|key| hosts.look(key.clone(), clock::now() + SETTLED));
        }
    }

    fn write_due(&mut self) {
        let now = clock::now();
        let Some(hosts) = &mut self.hosts else { return };
        let due = hosts.due.iter().find(|(_, at)| **at <= now).map(|(key, _)| key.clone());
        let Some(key) = due else { return };
        hosts.due.remove(&key);
        let request = self.host_request(&key);
        if let (Some(request), Some(hosts)) = (request, &mut self.hosts) {
            hosts.next_at = now + PACE;
            hosts.start(key, request);
        }
    }

    /// What makes the annotation right; `None`: it is, or it is not ours to make so.
    fn host_request(&self, key: &ServiceKey) -> Option<Request<Vec<u8>>> {
        let (service, announced) = (self.catalog.service(key)?, &self.hosts.as_ref()?.announced);
        let ours = service.ownership.is_ours();
        let announces = ours && service.view.ingress.iter().any(|address| announced.contains(address));
        let node = self.settings.node.as_str();
        match (announces, service.vip_host.as_deref() == Some(node)) {
            (true, false) => request(key, MERGE, &set(&service.view.uid, node)),
            (false, true) => request(key, JSON_PATCH, &clear(node)),
            (true, true) | (false, false) => None,
        }
    }
}

/// Of this very Service, whoever was named before.
fn set(uid: &str, node: &str) -> Value {
    json!({ "metadata": { "uid": uid, "annotations": { VIP_HOST: node } } })
}

/// If it names this node still.
fn clear(node: &str) -> Value {
    let path = format!("/metadata/annotations/{}", VIP_HOST.replace('/', "~1"));
    json!([{ "op": "test", "path": path, "value": node }, { "op": "remove", "path": path }])
}

/// To the status, which takes annotations too: so it takes no other permission than addresses do.
fn request(key: &ServiceKey, kind: &'static str, body: &Value) -> Option<Request<Vec<u8>>> {
    let ServiceKey { namespace, name } = key;
    let path = format!("/api/v1/namespaces/{namespace}/services/{name}/status?fieldManager={FIELD_MANAGER}");
    Request::patch(path).header(CONTENT_TYPE, kind).body(body.to_string().into_bytes()).ok()
}

async fn send(connection: &Connection, request: Request<Vec<u8>>) -> Result<(), Failure> {
    match timeout(LIMIT, connection.lease.request::<Value>(request)).await {
        Ok(answer) => answer.map(drop).map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut),
    }
}

const FIELD_MANAGER: &str = "vipcast-host";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
/// Between two requests.
const PACE: Duration = Duration::from_millis(10);
/// Under way at once.
const AT_ONCE: usize = 4;
/// What changed together is looked at together.
const SETTLED: Duration = Duration::from_millis(100);
/// For so long others may say that they announce it now.
const OTHERS: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(3);
const FAILED: Duration = Duration::from_secs(5);
const REFUSED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_writes_its_name_and_takes_away_no_other() {
        let key = ServiceKey { namespace: "shop".into(), name: "web".into() };
        let request = request(&key, JSON_PATCH, &clear("n1")).unwrap();
        let expected = "/api/v1/namespaces/shop/services/web/status?fieldManager=vipcast-host";
        assert_eq!(request.uri().to_string(), expected);
        let path = "/metadata/annotations/kube-vip.io~1vipHost";
        let operations =
            json!([{ "op": "test", "path": path, "value": "n1" }, { "op": "remove", "path": path }]);
        assert_eq!(serde_json::from_slice::<Value>(request.body()).unwrap(), operations);
        let annotated = json!({ "metadata": { "uid": "u", "annotations": { "kube-vip.io/vipHost": "n1" } } });
        assert_eq!(set("u", "n1"), annotated);
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_are_nothing_to_write() {
        let (out, grants) = watch::channel(Grants::default());
        let mut hosts = Hosts::new(HostWires { grants, connections: watch::channel(None).1 });
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut seen = vec![];
        for (second, last) in [(1, 1_u8), (2, 1), (3, 2)] {
            let until = clock::now() + Duration::from_secs(second);
            let predecessor = vipcast_proto::election::Predecessor::Left;
            let grant = vipcast_proto::election::Grant { until, fence: until, predecessor };
            out.send_replace([(address(last), grant)].into_iter().collect::<BTreeMap<_, _>>().into());
            assert!(matches!(hosts.ready().await, Ready::Grants));
            seen.push(hosts.turned());
        }
        let (one, two) = (address(1), address(2));
        assert_eq!(seen, [(vec![one], vec![]), (vec![], vec![]), (vec![two], vec![one])]);
    }
}
