//! Services announced by BGP to FRR and BIRD: by every node, or by those that have endpoints.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use vipcast::clock;
use vipcast::demo::lab::sys::Signal;

use super::bed::{Bed, Node, SOON, host, ms, wait};
use super::probes::existing;
use super::routers::Routers;
use super::web::{self, Visitor};

/// What the client sees of both, while Pods move and end, and a node's daemon is stopped.
pub(crate) fn reached_by_all_ways(bed: &Bed) {
    let local = json!({ "externalTrafficPolicy": "Local" });
    web::serve(bed, "web", 3, None);
    web::serve(bed, "follower", 1, Some(1));
    let begin = clock::now();
    let everywhere = v4(web::expose(bed, "web", "web", &json!({}), &local)[0]);
    let follower = v4(web::expose(bed, "follower", "follower", &json!({}), &local)[0]);
    let [web_routes, follower_routes] =
        [everywhere, follower].map(|address| Routers::watch(&bed.script, bed.nodes(), address));
    web_routes.wait_announcers(&[1, 2, 3]);
    follower_routes.wait_announcers(&[1]);
    eprintln!("routes {:?} after the Services were made", clock::now() - begin);
    let hops = bed.script.run("exec", &["core", "ip", "route", "show", &everywhere.to_string()]);
    assert_eq!(hops.matches("via ").count(), 3, "{hops}");

    let client = existing(&bed.script, "client");
    let all = Visitor::start(&client, SocketAddr::new(everywhere.into(), 80));
    let one = Visitor::start(&client, SocketAddr::new(follower.into(), 80));
    let begin = clock::now();
    wait("flows take all ways", SOON, || (all.tally(begin).nodes.len() == 3).then_some(()));
    assert_eq!(all.tally(begin).clients, BTreeSet::from([client.v4.into()]));
    wait("the only Pod answers", SOON, || (one.tally(begin).nodes == BTreeSet::from([1])).then_some(()));

    // From a rack with FRR to one with BIRD.
    let begin = clock::now();
    web::move_to(bed, "follower", 2);
    follower_routes.wait_announcers(&[2]);
    web::rolled_out(bed, "follower");
    let tally = one.tally(begin);
    eprintln!("the Pod went from n1 to n2: {tally:?}");
    assert_eq!(tally.nodes, BTreeSet::from([1, 2]));
    assert!(tally.silence <= MOVED, "nobody answered for {:?}", tally.silence);
    bed.kubectl(&["scale", "deployment", "follower", "--replicas=0"]);
    follower_routes.wait_announcers(&[]);

    for node in [1, 2] {
        let begin = clock::now();
        bed.daemon(node).signal(Signal::Term);
        let withdrawn = wait("the route is withdrawn", SOON, || web_routes.first_after(begin, node, false));
        web_routes.wait_announcers(&[1, 2, 3]);
        let tally = all.tally(begin);
        eprintln!("{} stopped: withdrawn {:?} later, {tally:?}", host(node), withdrawn - begin);
        assert!(withdrawn - begin <= AT_ONCE && tally.lost <= FLOWS, "{tally:?}");
    }
    web::unexpose(bed, &["web", "follower"]);
    web_routes.wait_announcers(&[]);
}

impl Routers {
    fn wait_announcers(&self, nodes: &[Node]) {
        let nodes = BTreeSet::from_iter(nodes.iter().copied());
        wait(&format!("{nodes:?} announce the Service"), SOON, || (self.announcers() == nodes).then_some(()));
    }
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is of the other family"),
    }
}

/// kube-proxy of the new node may learn of the Pod after we do.
const MOVED: Duration = ms(2500);
/// The daemon says so itself; FRR hands it on in its own time.
const AT_ONCE: Duration = ms(1000);
/// What is on its way when flows go elsewhere.
const FLOWS: usize = 3;
