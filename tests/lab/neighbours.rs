//! The neighbour caches of those who use the VIP follow it at once.

use std::net::SocketAddr;

use vipcast::clock;
use vipcast::demo::lab::client::Client;

use super::LAN;
use super::bed::{Bed, SOON, VIP, VIP6, ms, throughout, wait};
use super::kernel::{forget_neighbour, neighbour};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("neighbours::an_arp_cache_follows_within_50_ms", LAN, || follows(VIP)),
        trial("neighbours::an_ipv6_neighbour_cache_follows_within_50_ms", LAN, || follows(VIP6)),
    ]
}

/// Once with an entry that is old, once with one that is younger than a second, in which Linux is slow to believe
/// news (`locktime`).
fn follows(vip: &str) {
    let mut bed = Bed::embedded(2);
    let service = SocketAddr::new(vip.parse().unwrap(), 7);
    let _client = Client::start(&bed.lan.client, service).unwrap();
    bed.start(0, &[("address", vip)]);
    bed.wait_address(0, vip, SOON);
    hand_over(&mut bed, vip, 0, Age::Old);
    bed.start(0, &[("address", vip)]);
    hand_over(&mut bed, vip, 1, Age::Young);
}

enum Age {
    Old,
    Young,
}

fn hand_over(bed: &mut Bed, vip: &str, holder: usize, age: Age) {
    let taker = 1 - holder;
    if holder == 0 {
        bed.start(taker, &[("address", vip)]);
    }
    bed.wait_standby(taker);
    let knows = |bed: &Bed, node: usize| {
        wait("the client knows the holder", SOON, || {
            (neighbour(&bed.lan.client, vip) == Some(bed.lan.nodes[node].mac)).then(clock::now)
        })
    };
    knows(bed, holder);
    match age {
        Age::Old => throughout(ms(1500), || ()),
        Age::Young => {
            forget_neighbour(&bed.lan.client, vip);
            knows(bed, holder);
        }
    }
    bed.daemon(holder).term().unwrap();
    let taken = bed.wait_address(taker, vip, SOON);
    let known = knows(bed, taker);
    assert!(known.saturating_duration_since(taken) < ms(50) + BUSY, "{:?}", known - taken);
    bed.daemon(holder).wait(SOON).unwrap().expect("it ends");
}

/// Far less than the second after which the next announcement would come.
const BUSY: std::time::Duration = ms(50);
