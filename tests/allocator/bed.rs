//! A cluster that consists of an API server and nodes that run nothing but the allocator.

use std::net::IpAddr;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use vipcast::admin::board::StatusBoard;
use vipcast::admin::metrics::Metrics;
use vipcast::allocator::{self, AllocatorReport, Ask, Candidate, Inputs, Outputs, PoolsAnswer};
use vipcast::clock;
use vipcast::drain::{Drain, Trigger};
use vipcast::election::Vacancy;
use vipcast::kube::access::{self, AccessSettings, Connection, EndpointSettings, Touchstone};
use vipcast::kube::events::{Events, publish};
use vipcast::kube::lease::LeaseName;
use vipcast::kube::pools::{ConfigMapName, PoolSources, Pools, watch_pools};
use vipcast::task::Tasks;
use vipcast::witness::Witness;
use vipcast_proto::election::Timing;

use super::feed;
use super::support::real_api::RealApi;

/// What a case has: the API server, and a namespace of its own.
pub(crate) struct Bed {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    _access: Tasks,
}

impl Bed {
    /// With the pools of kube-vip's ConfigMap.
    pub(crate) async fn new(api: &RealApi, namespace: &str, pools: Value) -> Self {
        let (connections, access) = connect(api, "admin").await;
        let client = connections.borrow().clone().expect("is connected").lease;
        let bed = Self { client, namespace: namespace.to_owned(), _access: access };
        bed.sweep().await;
        bed.create::<Namespace>(&Api::all(bed.client.clone()), json!({"metadata": {"name": namespace}}))
            .await;
        let maps = Api::<ConfigMap>::namespaced(bed.client.clone(), namespace);
        bed.create(&maps, json!({"metadata": {"name": "kubevip"}, "data": pools})).await;
        bed
    }

    /// No Service of an earlier case is left.
    async fn sweep(&self) {
        let all = Api::<Service>::all(self.client.clone());
        for service in all.list(&ListParams::default()).await.expect("is listed") {
            let spec = service.spec.unwrap_or_default();
            let namespace = service.metadata.namespace.unwrap_or_default();
            if spec.type_.as_deref() == Some("LoadBalancer") || namespace != "default" {
                let api = Api::<Service>::namespaced(self.client.clone(), &namespace);
                let name = service.metadata.name.unwrap_or_default();
                api.delete(&name, &DeleteParams::default()).await.expect("is deleted");
            }
        }
    }

    /// Creates an object.
    pub(crate) async fn create<K>(&self, api: &Api<K>, object: Value) -> K
    where
        K: serde::de::DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
    {
        let object = serde_json::from_value(object).expect("is such an object");
        api.create(&PostParams::default(), &object).await.expect("is created")
    }

    pub(crate) fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn service(&self, name: &str) -> Service {
        self.create(&self.services(), service(name)).await
    }

    pub(crate) async fn merge(&self, name: &str, patch: Value) -> Service {
        let patched = self.services().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.expect("is patched")
    }

    /// Waits until a Service is as `wanted`.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&Service) -> bool) -> Service {
        let came = async {
            loop {
                let service = self.services().get(name).await.expect("is there");
                if wanted(&service) {
                    return service;
                }
                clock::pause(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), came)
            .await
            .unwrap_or_else(|_| panic!("{name} is not as it should be"))
    }

    /// Waits until a Service has these addresses.
    pub(crate) async fn has(&self, name: &str, addresses: &[&str]) -> Service {
        let wanted: Vec<IpAddr> = addresses.iter().map(|it| it.parse().expect("is an address")).collect();
        self.until(name, |service| feed::ingress(service) == wanted).await
    }

    /// When each of so many Services got its first address, from now on.
    pub(crate) async fn arrivals(
        &self,
        count: usize,
    ) -> impl Future<Output = Vec<(String, IpAddr, std::time::Instant)>> {
        let services = self.services();
        let version =
            services.list(&ListParams::default()).await.expect("is listed").metadata.resource_version;
        let params = WatchParams::default();
        let changes = services.watch(&params, &version.unwrap_or_default()).await.expect("is watched");
        async move {
            let mut changes = changes.boxed();
            let mut arrived: Vec<(String, IpAddr, std::time::Instant)> = vec![];
            while arrived.len() < count {
                let Some(change) = changes.try_next().await.expect("goes on") else { break };
                let (WatchEvent::Added(service) | WatchEvent::Modified(service)) = change else { continue };
                let name = service.metadata.name.clone().unwrap_or_default();
                let Some(address) = feed::ingress(&service).first().copied() else { continue };
                if !arrived.iter().any(|(other, _, _)| *other == name) {
                    arrived.push((name, address, clock::now()));
                }
            }
            arrived
        }
    }
}

/// A node.
pub(crate) struct Node {
    pub(crate) report: watch::Receiver<AllocatorReport>,
    pub(crate) asks: mpsc::Sender<Ask>,
    trigger: Trigger,
    election: Tasks,
    _tasks: Tasks,
    _own: watch::Sender<Vec<vipcast_proto::ipam::own::PoolSpec>>,
    _access: Tasks,
}

impl Node {
    pub(crate) async fn start(api: &RealApi, bed: &Bed, name: &str) -> Self {
        Self::of_user(api, bed, name, "admin").await
    }

    /// One with the rights of another user.
    pub(crate) async fn of_user(api: &RealApi, bed: &Bed, name: &str, user: &str) -> Self {
        let (connections, access) = connect(api, user).await;
        let client = connections.borrow().clone().expect("is connected").watch;
        let (mut election, mut tasks) = (Tasks::default(), Tasks::default());
        let (board, status) = StatusBoard::new("0.1.0", name);
        let (events, notices) = Events::channel();
        let witness = Witness { board, metrics: Metrics::new("0.1.0", None, status), events };
        tasks.spawn("events", publish(name.to_owned(), notices, connections.clone()));
        let (own_out, own) = watch::channel(vec![]);
        let sources = PoolSources { own, config_maps: ConfigMapName::both(&bed.namespace), metallb: true };
        let (pools_out, pools) = watch::channel(Pools::default());
        tasks.spawn("pools", watch_pools(sources, connections.clone(), pools_out));
        let (feed_out, feed) = mpsc::channel(1024);
        tasks.spawn("feed", feed::follow(client, feed_out));
        let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
        let (trigger, drain) = Drain::manual();
        let candidate =
            Candidate { namespace: bed.namespace.clone(), identity: name.to_owned(), timing: TIMING };
        let duties = (&mut election, &mut tasks);
        let rulings = allocator::stand(candidate, &connections, vacancy, drain, witness.clone(), duties);
        let (report_out, report) = watch::channel(AllocatorReport::default());
        let (asks, asked) = mpsc::channel(8);
        let inputs = Inputs { feed, pools, rulings, connections, asks: asked };
        let outputs = Outputs { report: report_out, vacancy: vacancy_out, witness };
        tasks.spawn("allocator", allocator::run(Default::default(), inputs, outputs));
        Self { report, asks, trigger, election, _tasks: tasks, _own: own_out, _access: access }
    }

    /// Waits until it leads and knows everything.
    pub(crate) async fn leads(mut self) -> Self {
        self.reports(|report| report.is_us && report.waiting_for.is_none()).await;
        self
    }

    pub(crate) async fn reports(&mut self, wanted: impl FnMut(&AllocatorReport) -> bool) -> AllocatorReport {
        let seen = timeout(Duration::from_secs(30), self.report.wait_for(wanted)).await;
        seen.expect("is reported in time").expect("the node runs").clone()
    }

    pub(crate) async fn pools(&self) -> PoolsAnswer {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.asks.send(Ask::Pools(answer)).await.expect("the node runs");
        answered.await.expect("the node answers")
    }

    /// As on SIGTERM.
    pub(crate) async fn stop(mut self) {
        self.trigger.start();
        let ended = timeout(Duration::from_secs(10), self.election.next()).await;
        ended.expect("the lease is given back in time");
    }
}

/// A Service that waits for an address.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": false},
    })
}

/// A connection as the daemon makes it, and the task that made it.
pub(crate) async fn connect(api: &RealApi, user: &str) -> (watch::Receiver<Option<Connection>>, Tasks) {
    let settings = AccessSettings {
        root: "/".into(),
        configured: Some(api.kubeconfig(user)),
        environment: vec![],
        home: None,
        in_cluster: None,
        endpoint: EndpointSettings::default(),
        touchstone: Touchstone::Lease(LeaseName {
            namespace: "default".to_owned(),
            name: allocator::LEASE.to_owned(),
        }),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
    };
    let (out, mut connections) = watch::channel(None);
    let mut tasks = Tasks::default();
    tasks.spawn("access", access::run(settings, out, |_| {}));
    let came = timeout(Duration::from_secs(10), connections.wait_for(Option::is_some)).await;
    came.expect("is accepted in time").expect("the task runs");
    (connections, tasks)
}

/// Short, so that the case of a crashed leader is.
const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry_period: Duration::from_millis(500),
};
