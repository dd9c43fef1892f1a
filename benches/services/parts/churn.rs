//! A hundred times a second a Service is created or deleted, in turn, and its EndpointSlice with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use axum::http::Request;
use serde_json::Value;
use tokio::task::JoinSet;
use vipcast::clock;

use super::{longest, median, megabytes, quantile};
use crate::Plan;
use crate::bed::ms;
use crate::figure::Figure;
use crate::kubernetes::{block_on, client};
use crate::objects::{service_path, slice_path};
use crate::panel::Panel;
use crate::rig::{NODES, Rig, name};
use crate::stream::{Seen, Stream};

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rig = Rig::start(plan, NODES);
    rig.populate(HELD);
    let held = rig.assigned();
    rig.answered(&held);
    let leases = rig.leases();
    let mut panel = Panel::listen(&rig.bed.lan.observer);
    let stream = Stream::open(&rig.bed);
    // What it takes to have so many come and go at all is taken in the first tenth.
    let mut created = churn(&rig, HELD, plan.churn / 10);
    let early = memory(&mut rig);
    created.extend(churn(&rig, HELD + created.len(), plan.churn * 9 / 10));
    let late = memory(&mut rig);
    thread::sleep(ms(3000));
    let ledger = Ledger::of(stream.all(), &created);
    let announced = ledger.announced(&rig, &mut panel, &created);
    let used = rig.told(0, &["pools"])["pools"][0]["usage"][0]["used"].as_u64().unwrap_or_default();
    let kept = rig.owners(&held).len();
    let fresh = rig.leases().iter().filter(|lease| !leases.contains(lease)).count();
    eprintln!("    {} created, then deleted; {used} addresses in use", created.len());
    vec![
        Figure::millis(OF, "address in its status, median", median(&ledger.spans)),
        Figure::millis(OF, "address in its status, 99 of 100", quantile(&ledger.spans, 0.99)).at_most(500.0),
        Figure::millis(OF, "announced, 99 of 100", quantile(&announced, 0.99)).at_most(500.0),
        Figure::millis(OF, "announced, latest", longest(&announced)),
        Figure::count(OF, "Services that were not announced", created.len() - announced.len()).at_most(0.0),
        Figure::count(OF, "addresses of two Services at once", ledger.duplicates).at_most(0.0),
        Figure::count(
            OF,
            "addresses in use afterwards that should not be",
            used.abs_diff(HELD as u64) as usize,
        )
        .at_most(0.0),
        Figure::count(OF, "of the other 200, not answered for by one node afterwards", HELD - kept)
            .at_most(0.0),
        Figure::count(OF, "Leases left", fresh)
            .at_most(0.0)
            .kube_vip("kube-vip 91 with a Lease each, after 100 Services"),
        Figure::new(OF, "resident memory afterwards, most", late, "MB"),
        Figure::new(OF, "growth of it after the first tenth", (late / early - 1.0) * 100.0, "%").at_most(5.0),
    ]
}

/// Creates Services of these numbers on, and deletes each a while later, for `span`; says when each was.
fn churn(rig: &Rig, first: usize, span: Duration) -> BTreeMap<String, Instant> {
    let (begin, total) = (clock::now(), (span.as_secs_f64() * RATE) as usize);
    let kubeconfig = rig.bed.kubeconfig();
    let work = async {
        let client = client(&kubeconfig).await;
        let (mut asking, mut created) = (JoinSet::new(), BTreeMap::new());
        for turn in 0..total {
            clock::until(Some(begin + Duration::from_secs_f64(turn as f64 / RATE))).await;
            let (client, name) = (client.clone(), name(first + turn));
            let objects = rig.pair(first + turn);
            created.insert(name.clone(), clock::now());
            asking.spawn(live(client, name, objects));
            while let Some(done) = asking.try_join_next() {
                done.unwrap();
            }
        }
        while let Some(done) = asking.join_next().await {
            done.unwrap();
        }
        created
    };
    rig.bed.lan.api.namespace.run(|| block_on(work)).unwrap()
}

/// A Service is created, and deleted a while later, with its endpoints.
async fn live(client: kube::Client, name: String, [service, slice]: [(String, Value); 2]) {
    for (path, object) in [slice, service] {
        ask(&client, "POST", &path, object.to_string()).await;
    }
    clock::pause(LIFE).await;
    for path in [service_path(&name), slice_path(&name)] {
        ask(&client, "DELETE", &path, String::new()).await;
    }
}

/// A server that is busy may have done before what it is asked for again.
async fn ask(client: &kube::Client, method: &str, path: &str, body: String) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    match client.request::<Value>(request.body(body.into_bytes()).unwrap()).await {
        Ok(_) => (),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => (),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

fn memory(rig: &mut Rig) -> f64 {
    let resident = (0..NODES).map(|node| megabytes(rig.memory(node).resident));
    resident.fold(0.0, f64::max)
}

/// What a watch has told of the Services that came and went.
#[derive(Default)]
struct Ledger {
    /// Until each had its address.
    spans: Vec<Duration>,
    given: BTreeMap<String, IpAddr>,
    duplicates: usize,
}

impl Ledger {
    fn of(seen: impl Iterator<Item = Seen>, created: &BTreeMap<String, Instant>) -> Self {
        let (mut ledger, mut owners) = (Self::default(), BTreeMap::<IpAddr, String>::new());
        for Seen { at, name, now } in seen {
            match now {
                None => owners.retain(|_, owner| *owner != name),
                Some(None) => (),
                Some(Some(address)) => {
                    let owner = owners.entry(address).or_insert_with(|| name.clone());
                    ledger.duplicates += usize::from(*owner != name);
                    if let Some(created) = created.get(&name)
                        && ledger.given.insert(name, address).is_none()
                    {
                        ledger.spans.push(at - *created);
                    }
                }
            }
        }
        ledger
    }

    /// Until each that had an address was announced.
    fn announced(&self, rig: &Rig, panel: &mut Panel, created: &BTreeMap<String, Instant>) -> Vec<Duration> {
        let macs = rig.macs();
        let mut said: BTreeMap<IpAddr, Vec<Instant>> = BTreeMap::new();
        for one in panel.said().iter().filter(|said| macs.contains(&said.owner)) {
            said.entry(one.address).or_default().push(one.at);
        }
        let first = |(name, address): (&String, &IpAddr)| {
            let created = created[name];
            let after = said.get(address)?.iter().find(|at| **at > created)?;
            Some(*after - created)
        };
        self.given.iter().filter_map(first).collect()
    }
}

const OF: &str = "100 changes a second: a Service created or deleted, with its EndpointSlice";
/// How many are created in a second, and as many deleted. Each life is five writes, ours among them: twice this rate is
/// more than two cores do that the API server, etcd, all daemons and whoever writes and watches share.
const RATE: f64 = 50.0;
const LIFE: Duration = Duration::from_secs(5);
/// How many Services stay.
const HELD: usize = 200;
