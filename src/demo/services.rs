//! Services of type LoadBalancer on the LAN: each gets an address, and one node answers for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lab::api_call;
use super::lab::error::{LabError, Result};
use super::lab::lan::{Lan, Mac};
use super::lab::observer::Observer;
use super::lab::sightings::Sightings;

/// What daemons are told beside the rest: a pool with as many addresses as there will be Services, and to share them among
/// all nodes.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    let last = Ipv4Addr::from(u32::from(FIRST) + COUNT - 1);
    let settings = [
        ("svc_enable", "true".to_owned()),
        ("vipcast_services_distribution", "spread".to_owned()),
        ("vipcast_services_pools", format!("[{{name: lan, addresses: {FIRST}-{last}}}]")),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The Services' addresses, each with somebody who asks for it all the time.
#[derive(Debug)]
pub struct Watched(Vec<Observer>);

impl Watched {
    /// Starts asking for every address of the pool.
    pub fn start(lan: &Lan) -> Result<Self> {
        let addresses = (0..COUNT).map(|number| IpAddr::from(Ipv4Addr::from(u32::from(FIRST) + number)));
        addresses.map(|address| Observer::start(&lan.observer, address)).collect::<Result<_>>().map(Self)
    }

    /// What was seen of each.
    pub fn each(&mut self, from: Instant, to: Instant) -> Vec<Sightings> {
        self.0.iter_mut().map(|observer| observer.sightings(from, to)).collect()
    }

    /// What was seen of all together: the worst of each.
    pub fn all(&mut self, from: Instant, to: Instant) -> Sightings {
        let none = Sightings {
            rounds: 0,
            answered: 0,
            double: 0,
            longest_double: Duration::ZERO,
            longest_silence: Duration::ZERO,
            owners: BTreeSet::new(),
            announcements: Vec::new(),
        };
        self.each(from, to).into_iter().fold(none, |all, one| Sightings {
            rounds: all.rounds + one.rounds,
            answered: all.answered + one.answered,
            double: all.double + one.double,
            longest_double: all.longest_double.max(one.longest_double),
            longest_silence: all.longest_silence.max(one.longest_silence),
            owners: all.owners.into_iter().chain(one.owners).collect(),
            announcements: [all.announcements, one.announcements].concat(),
        })
    }

    /// Who answered for the most addresses; `None`: not every address was answered for.
    pub fn busiest(&mut self, from: Instant, to: Instant) -> Option<Mac> {
        let owners: Option<Vec<Mac>> =
            self.each(from, to).iter().map(|seen| seen.owners.first().copied()).collect();
        let owners = owners?;
        let share = |mac: &Mac| owners.iter().filter(|owner| *owner == mac).count();
        owners.iter().max_by_key(|mac| share(mac)).copied()
    }
}

/// Creates the Services, all of them in one go, each with an endpoint that is ready.
pub fn create(lan: &Lan, server: SocketAddr) -> Result<()> {
    let endpoint = lan.nodes.first().ok_or(LabError::Nodes(0))?.name.as_str();
    for number in 1..=COUNT {
        let name = format!("web-{number}");
        for (path, object) in [(SERVICES, service(&name)), (SLICES, slice(&name, endpoint))] {
            let body = object.to_string();
            let created = lan.api.namespace.run(|| api_call::post(server, path, &body))?;
            match created {
                Ok(200..=299) => {}
                Ok(status) => return Err(LabError::Api { status }),
                Err(source) => return Err(LabError::Socket { what: "creating a Service", source }),
            }
        }
    }
    Ok(())
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80, "protocol": "TCP" }] },
    })
}

fn slice(service: &str, node: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": service,
            "namespace": "default",
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "", "port": 80, "protocol": "TCP" }],
        "endpoints": [{ "addresses": ["10.244.0.7"], "nodeName": node, "conditions": { "ready": true } }],
    })
}

/// Few enough for one machine that asks for each of them fifty times a second.
pub const COUNT: u32 = 6;
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 240);
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
