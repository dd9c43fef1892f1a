//! The holder of the Lease is told to stop: for how long a client gets no answer.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::PostParams;
use vipcast::clock;

use super::{longest, median};
use crate::figure::Figure;
use crate::net::{self, Net};
use crate::rack::{self, Ground, NODES, Plan, Rack, Who};
use crate::support::real_api::{Launch, RealApi};
use crate::wait::ms;

pub(super) fn measure(runs: usize) -> Vec<Figure> {
    let mut bed = Elected::start(Some(300));
    let mut gaps = Vec::new();
    for run in 1..=runs {
        let holder = bed.rack.victim();
        let begin = clock::now();
        bed.rack.speakers[holder].term();
        thread::sleep(ms(1000));
        let seen = bed.rack.flows.seen(begin, clock::now() - SETTLED);
        eprintln!("    {run}: gap {:?}, {} lost, client late by {:?}", seen.gap, seen.lost, seen.late);
        gaps.push(seen.gap);
        bed.rack.speakers[holder].start_again();
        bed.rack.settle();
    }
    vec![
        Figure::millis(OF, format!("client's gap, median of {runs}"), median(&gaps))
            .at_most(30.0)
            .kube_vip("kube-vip 1.1 to 1.8 s"),
        Figure::millis(OF, "client's gap, longest", longest(&gaps)),
    ]
}

/// Three nodes of which the holder of a Lease announces, and a real API server behind their router.
pub(super) struct Elected {
    pub(super) rack: Rack,
    _api: RealApi,
    _net: Net,
}

impl Elected {
    pub(super) fn start(bfd: Option<u32>) -> Self {
        let (ground, net) = (Ground::build(), net::net());
        rack::host(&ground.top, &net, "api", API);
        let namespace = format!("--net=/proc/{}/fd/{}", std::process::id(), net.number());
        let launch = Launch {
            wrapper: vec!["nsenter".to_owned(), namespace],
            address: IpAddr::from([10, 88, API, 2]),
            ..Launch::default()
        };
        let api = RealApi::start(launch).unwrap();
        register(&api);
        let election = Some(api.kubeconfig("admin"));
        let plan = Plan { election, ..Plan::new(Who::Vipcast, bfd) };
        Self { rack: Rack::start(ground, plan), _api: api, _net: net }
    }
}

/// The API server knows the nodes, as ever: a holder can tell that it has rivals.
fn register(api: &RealApi) {
    let create = async {
        let nodes = Api::<Node>::all(api.client("admin").await.unwrap());
        for number in NODES {
            let node = serde_json::json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": rack::name(number),
                    "labels": { "node-role.kubernetes.io/control-plane": "" },
                },
            });
            nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        }
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    api.inside(|| runtime().block_on(create));
}

/// The network of the API server.
const API: u8 = 91;
/// What has just left may still be answered.
const SETTLED: Duration = ms(100);
const OF: &str = "planned stop, with a Lease";
