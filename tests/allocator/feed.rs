//! A stand-in for the services task: what the API has, as the allocator is fed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use tokio::sync::mpsc;
use vipcast::allocator::{ASSIGNED, Feed, record};
use vipcast::clock;
use vipcast_proto::ipam::{
    Family, FamilyPolicy, Forbidden, Port, Protocol, Request, RequestFields, ServiceKey, ServiceView,
    Standing, TrafficPolicy,
};

pub(crate) async fn follow(client: kube::Client, out: mpsc::Sender<Feed>) {
    let mut events = watcher::watcher(Api::<Service>::all(client), watcher::Config::default()).boxed();
    let mut listed = vec![];
    let mut news = vec![Feed::Forbidden(Forbidden::default())];
    loop {
        for feed in news.drain(..) {
            if out.send(feed).await.is_err() {
                return;
            }
        }
        match events.next().await {
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(service))) => listed.extend(view(&service).map(Arc::new)),
            Some(Ok(Event::InitDone)) => news.push(Feed::Loaded(std::mem::take(&mut listed))),
            Some(Ok(Event::Apply(service))) => news.push(match view(&service) {
                Some(view) => Feed::Upsert(Arc::new(view)),
                None => Feed::Removed(key(&service)),
            }),
            Some(Ok(Event::Delete(service))) => news.push(Feed::Deleted(key(&service))),
            // Not at once: where the runtime ends, nothing else would ever come.
            Some(Err(_)) => clock::pause(RETRY).await,
            None => return,
        }
    }
}

fn key(service: &Service) -> ServiceKey {
    ServiceKey { namespace: service.namespace().unwrap_or_default().into(), name: service.name_any().into() }
}

fn view(service: &Service) -> Option<ServiceView> {
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() != Some("LoadBalancer") {
        return None;
    }
    let annotation = |name: &str| service.annotations().get(name).map(String::as_str);
    let fields = RequestFields {
        kube_vip: annotation("kube-vip.io/loadbalancerIPs"),
        load_balancer_ip: spec.load_balancer_ip.as_deref(),
        ..RequestFields::default()
    };
    let ignored = annotation("kube-vip.io/ignore") == Some("true");
    let created = service.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    let port = |number: i32| Port { protocol: Protocol::Tcp, number: number.try_into().unwrap_or(0) };
    Some(ServiceView {
        key: key(service),
        uid: service.uid().unwrap_or_default(),
        created,
        standing: if ignored { Standing::Foreign } else { Standing::Ours },
        labels: service.labels().clone().into_iter().collect(),
        namespace_labels: Arc::default(),
        request: Request::from_fields(fields),
        pool: None,
        sharing_key: None,
        ports: spec.ports.iter().flatten().map(|it| port(it.port)).collect(),
        traffic: TrafficPolicy::Cluster,
        family_policy: match spec.ip_family_policy.as_deref() {
            Some("PreferDualStack") => FamilyPolicy::PreferDualStack,
            Some("RequireDualStack") => FamilyPolicy::RequireDualStack,
            _ => FamilyPolicy::SingleStack,
        },
        families: spec.ip_families.iter().flatten().map(|it| family(it)).collect(),
        ingress: ingress(service),
        ports_shown: ports_shown(service),
        status_writer: None,
        record: annotation(ASSIGNED).map(record).unwrap_or_default(),
    })
}

/// Whether the status has the ports of the Service, in their order.
fn ports_shown(service: &Service) -> bool {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let ports: Vec<_> = ports.map(|it| (it.protocol.clone().unwrap_or_else(tcp), it.port)).collect();
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let mut entries = balancer.into_iter().flat_map(|it| it.ingress.iter().flatten());
    entries.all(|it| {
        it.ports.iter().flatten().map(|it| (it.protocol.clone(), it.port)).eq(ports.iter().cloned())
    })
}

/// What is meant where nothing is said.
fn tcp() -> String {
    "TCP".to_owned()
}

/// The addresses in the status.
pub(crate) fn ingress(service: &Service) -> Vec<IpAddr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = balancer.into_iter().flat_map(|it| it.ingress.iter().flatten());
    entries.filter_map(|it| it.ip.as_ref()?.parse().ok()).collect()
}

fn family(name: &str) -> Family {
    if name == "IPv6" { Family::V6 } else { Family::V4 }
}

const RETRY: Duration = Duration::from_millis(50);
