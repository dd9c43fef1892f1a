//! Services, pools and outcomes in few words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::ipam::{
    Assignment, Family, FamilyPolicy, Forbidden, Ipam, Labels, Pool, PoolId, Port, Protocol, Request,
    RequestFields, ServiceKey, ServiceView, Settings, Source, Standing, TrafficPolicy,
};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> ServiceKey {
    let (namespace, name) = text.split_once('/').unwrap();
    ServiceKey { namespace: namespace.into(), name: name.into() }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A Service of ours that takes any IPv4 address, for TCP port 80; the order of creation is that of the names.
#[derive(Clone)]
pub(crate) struct Service(pub(crate) ServiceView);

impl Service {
    pub(crate) fn new(name: &str) -> Self {
        Self(ServiceView {
            key: key(name),
            uid: name.to_owned(),
            created: 0,
            standing: Standing::Ours,
            labels: Labels::new(),
            namespace_labels: Arc::default(),
            request: None,
            pool: None,
            sharing_key: None,
            ports: vec![Port { protocol: Protocol::Tcp, number: 80 }],
            traffic: TrafficPolicy::Cluster,
            family_policy: FamilyPolicy::SingleStack,
            families: vec![Family::V4],
            ingress: vec![],
            ports_shown: true,
            status_writer: None,
            record: vec![],
        })
    }

    pub(crate) fn created(mut self, created: i64) -> Self {
        self.0.created = created;
        self
    }

    pub(crate) fn foreign(mut self) -> Self {
        self.0.standing = Standing::Foreign;
        self
    }

    pub(crate) fn labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.labels = labels(pairs);
        self
    }

    pub(crate) fn namespace_labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.namespace_labels = Arc::new(labels(pairs));
        self
    }

    pub(crate) fn asks(mut self, fields: RequestFields<'_>) -> Self {
        self.0.request = Request::from_fields(fields);
        self
    }

    /// By kube-vip's annotation.
    pub(crate) fn asks_for(self, addresses: &str) -> Self {
        self.asks(RequestFields { kube_vip: Some(addresses), ..RequestFields::default() })
    }

    pub(crate) fn pool(mut self, name: &str) -> Self {
        self.0.pool = Some(name.to_owned());
        self
    }

    pub(crate) fn sharing(mut self, key: &str) -> Self {
        self.0.sharing_key = Some(key.to_owned());
        self
    }

    pub(crate) fn ports(mut self, ports: &[u16]) -> Self {
        self.0.ports = ports.iter().map(|&number| Port { protocol: Protocol::Tcp, number }).collect();
        self
    }

    pub(crate) fn udp(mut self, number: u16) -> Self {
        self.0.ports = vec![Port { protocol: Protocol::Udp, number }];
        self
    }

    /// `externalTrafficPolicy: Local`.
    pub(crate) fn local(mut self, selector: &[(&str, &str)]) -> Self {
        self.0.traffic = TrafficPolicy::Local { selector: labels(selector) };
        self
    }

    pub(crate) fn families(mut self, policy: FamilyPolicy, families: &[Family]) -> Self {
        self.0.family_policy = policy;
        self.0.families = families.to_vec();
        self
    }

    /// In its status.
    pub(crate) fn has(mut self, addresses: &[&str]) -> Self {
        self.0.ingress = addresses.iter().map(|text| ip(text)).collect();
        self
    }

    /// In our annotation.
    pub(crate) fn record(mut self, address: &str, pool: Option<&str>) -> Self {
        self.0.record.push(Assignment { address: ip(address), pool: pool.map(Into::into) });
        self
    }

    pub(crate) fn view(&self) -> Arc<ServiceView> {
        Arc::new(self.0.clone())
    }
}

pub(crate) fn pool(name: &str, addresses: &[&str]) -> Pool {
    let ranges = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Pool::new(PoolId { source: Source::Own, name: name.into() }, ranges)
}

pub(crate) fn ipam(pools: Vec<Pool>) -> Ipam {
    Ipam::new(Settings::default(), pools, Forbidden::default())
}

/// Tells of each Service in turn, as it is created.
pub(crate) fn create(ipam: &mut Ipam, services: &[Service]) {
    for service in services {
        ipam.upsert(service.view());
    }
}

/// Service, addresses, and what it was refused.
pub(crate) fn outcome(ipam: &Ipam, services: &[&str]) -> Vec<String> {
    let one = |name: &&str| {
        let decision = ipam.decision(&key(name)).unwrap_or_default();
        let has = decision.assigned.iter().map(|it| it.address.to_string());
        let not = decision.refused.iter().map(|it| format!("[{it}]"));
        let all: Vec<_> = has.chain(not).collect();
        format!("{name} {}", all.join(" "))
    };
    services.iter().map(one).collect()
}

/// The views as the cluster has them when every decision is written.
pub(crate) fn written(ipam: &Ipam, views: &BTreeMap<ServiceKey, Arc<ServiceView>>) -> Vec<Arc<ServiceView>> {
    let one = |view: &Arc<ServiceView>| {
        let Some(decision) = ipam.decision(&view.key) else { return view.clone() };
        let record = decision.assigned.iter();
        let record = record.map(|it| Assignment { address: it.address, pool: it.pool.clone() }).collect();
        let ingress = decision.assigned.iter().map(|it| it.address).collect();
        Arc::new(ServiceView { ingress, record, ..(**view).clone() })
    };
    views.values().map(one).collect()
}
