//! More than one speaker, more than one router.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Case;
use crate::net;
use crate::plan::{Plan, ROUTER_AS, SPEAKER_AS, VIPS};
use crate::route::Route;
use crate::router::{Brand, Router};
use crate::setup::{Family, Peer, Setup};
use crate::speaker::Speaker;
use crate::wait::wait_equal;

pub(super) fn all() -> Vec<Case> {
    vec![
        Case::new("many::three_nodes_announce_and_an_unhealthy_one_does_not", ecmp),
        Case::new("many::a_hundred_routers", hundred).except(HUNDRED),
    ]
}

/// Each node has a link of its own to the router.
fn ecmp(brand: Brand) {
    let far = net::net();
    let peer = |node: u8, ours: u8, theirs: u8, remote| {
        let at = |host| IpAddr::from([10, 88, node, host]);
        let mut peer = Peer::new(at(ours), at(theirs), remote);
        peer.families = [Family::V4].into();
        peer
    };
    let nets = NODES.map(|node| {
        let near = net::net();
        let interface = format!("eth{node}");
        net::cable((&near, "eth0"), (&far, &interface));
        net::addresses(&near, "eth0", &[&format!("10.88.{node}.2/24")]);
        net::addresses(&far, &interface, &[&format!("10.88.{node}.1/24")]);
        near
    });
    let passive = |node| Peer { passive: true, ..peer(node, 1, 2, SPEAKER_AS) };
    let setup = Setup::new(ROUTER_AS, [10, 88, 0, 1], NODES.map(passive).into());
    let router = Router::start(brand, &far, setup);
    let mut speakers: Vec<Speaker> = NODES
        .iter()
        .zip(&nets)
        .map(|(node, net)| {
            let mut setup = Setup::new(SPEAKER_AS, [10, 88, *node, 2], vec![peer(*node, 2, 1, ROUTER_AS)]);
            setup.routes = vec![VIPS[0].parse().unwrap()];
            Speaker::start(net, &setup)
        })
        .collect();
    let of = |nodes: &[u8]| -> BTreeSet<Route> {
        nodes.iter().map(|node| Route::new(VIPS[0], &format!("10.88.{node}.2"), &[SPEAKER_AS])).collect()
    };
    let routes = || router.routes(Family::V4);
    wait_equal("all announce", &of(&NODES), routes);
    speakers[1].api_is(false);
    wait_equal("the unhealthy one does not", &of(&[NODES[0], NODES[2]]), routes);
    speakers[1].api_is(true);
    wait_equal("all announce again", &of(&NODES), routes);
}

/// One BIRD with a hundred addresses.
fn hundred(brand: Brand) {
    let (near, far) = (net::net(), net::net());
    net::cable((&near, "eth0"), (&far, "eth0"));
    net::addresses(&near, "eth0", &["10.88.0.2/16"]);
    let at = |number: u8| IpAddr::from([10, 88, 1, number]);
    let addresses: Vec<String> = (1..=COUNT).map(|number| format!("{}/16", at(number))).collect();
    net::addresses(&far, "eth0", &addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let mut plan = Plan::new().only(Family::V4).hold(90);
    let (ours, theirs) = (plan.speaker.peer().clone(), plan.router.peer().clone());
    plan.router.peers = (1..=COUNT).map(|number| Peer { local: at(number), ..theirs.clone() }).collect();
    plan.speaker.peers = (1..=COUNT).map(|number| Peer { address: at(number), ..ours.clone() }).collect();
    let router = Router::start(brand, &far, plan.router.clone());
    let mut speaker = Speaker::start(&near, &plan.speaker);
    wait_equal("routes and sessions", &(usize::from(COUNT), usize::from(COUNT)), || router.paths());
    assert_eq!(router.routes(Family::V4), plan.expected());
    speaker.api_is(false);
    wait_equal("no routes", &0, || router.paths().1);
}

const NODES: [u8; 3] = [1, 2, 3];
const COUNT: u8 = 100;
const HUNDRED: &[(Brand, &str)] = &[
    (Brand::Frr, "one instance has one session with one address; a hundred instances are too heavy here"),
    (Brand::GoBgp, "one instance has one session with one address; a hundred instances are too heavy here"),
    (Brand::ExaBgp, "one instance has one session with one address; a hundred instances are too heavy here"),
];
